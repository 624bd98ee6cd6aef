"""Tokens are classified by the text they belong to, independent of tokenization."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors import token_classes
from actors.token_classes import FOLDER, TokenClass, class_rules, classify, count_tokens, weigh, with_plural
from conf.schema.protection import TokenWeights
from conf.yaml_files import read_yaml

M, S, O = TokenClass.MATHEMATICS, TokenClass.SCIENCE, TokenClass.OTHER  # noqa: E741


def found(text: str, kind: TokenClass) -> list[str]:
    """Return the passages of a class, with every character as one token. Adjacent passages are joined."""
    classes = classify([sign.encode() for sign in text])
    edges = np.flatnonzero(np.diff(np.concatenate(([0], classes == kind, [0]))))
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize(
    ("text", "mathematics", "science"),
    [
        # numerals
        ("It took 12,345 steps, 3.14e-5 of them, x86 and B2B", ["12,345", "3.14e-5"], []),
        ("５００人が５０％", ["５００", "５０％"], []),
        ("½ of x² and aₙ₊₁", ["½", "²", "ₙ₊₁"], []),
        # operators, and lookalikes
        ("48/2 = 24", ["48/2 = 24"], []),
        ("a + b, speed = 5", [" + ", " = 5"], []),
        ("well-known and/or C++ <b>bold</b>", [], []),
        ("\n = History of the town = \n", [], []),
        ("x ≤ y ∫ f ⇒ ±", ["≤", "∫", "⇒", "±"], []),
        # Greek letters, and Greek words
        ("the angle θ or αβ, λόγος", ["θ", "αβ"], []),
        # LaTeX, and money
        ("so $x^2 + y$ is", ["$x^2 + y$"], []),
        ("she paid $five and $six more", [], []),
        (r"the \frac{a}{b} of \alpha, \(n\) and \[ m \]", [r"\frac{a}{b}", r"\alpha", r"\(n\)", r"\[ m \]"], []),
        (r"\begin{align} a &= b \end{align}.", [r"\begin{align} a &= b \end{align}"], []),
        # units
        ("ran 5 km, 20 ℃ at 3 m/s^2", ["5", "20", "3", "/", "^2"], [" km", "℃", " m", "s"]),
        ("in the 1990s, 5 kg·m", ["1990", "5"], [" kg·m"]),
        ("三キロメートル、５グラム", ["５"], ["キロメートル", "グラム"]),
        # English terms: whole words, any case, plurals
        ("Theorems on a PRIME number; prime\nnumbers", ["Theorems", "PRIME number", "prime\nnumbers"], []),
        ("the enzymes of H2O and mRNA, not h2o", [], ["enzymes", "H2O", "mRNA"]),
        ("arithmetics, geniuses, integers-only", ["arithmetics", "integers"], []),
        # Japanese terms: the longest one wins
        ("微分方程式を解く", ["微分方程式"], []),
        ("分子量と細胞膜", [], ["分子量", "細胞膜"]),
        ("絶対数が多い", [], []),
        # Japanese numerals used as numbers
        ("二十一人が三百五十円で三個", ["二十一", "三百五十", "三"], []),
        ("第二に三分の一、一九九八年、二〇二四年", ["第二", "三分の一", "一九九八", "二〇二四"], []),
        ("一般に十分な六本木の千葉さんと八百屋、万一、一人で三角", [], []),
    ],
)
def test_passages_match_cases_worked_out_by_hand(text: str, mathematics: list[str], science: list[str]) -> None:
    assert found(text, M) == mathematics
    assert found(text, S) == science


def test_a_token_has_the_class_that_it_overlaps() -> None:
    assert classify([b"The", b" theo", b"rem", b" of 5", b" k", b"g."]).tolist() == [O, M, M, M, S, S]


def test_mathematics_wins_if_a_token_has_both() -> None:
    assert classify([b"5 kg"]).tolist() == [M]


def test_parts_of_a_character_have_the_characters_class() -> None:
    water = "水素".encode()
    assert classify([b"x", water[:1], water[1:4], water[4:], b"y"]).tolist() == [O, S, S, S, O]


def test_invalid_bytes_have_no_class_and_shift_nothing() -> None:
    assert classify([b"\xff\xe6", b" 5", b"\xf0", b"", b"km"]).tolist() == [O, M, O, O, O]
    assert classify([]).tolist() == []
    assert classify([b"", b""]).tolist() == [O, O]


TEXTS = st.lists(
    st.sampled_from(
        [
            "theorem",
            " the ",
            "5",
            " km",
            "$x$",
            "$",
            "微分",
            "方程式",
            "三",
            "十",
            "個",
            "水素",
            "α",
            "λόγος",
            " = ",
            "\\frac",
            "{a}",
            "-",
        ]
    )
    | st.text(max_size=4),
    max_size=25,
).map(lambda parts: "".join(parts).encode("utf-8", "ignore"))


@given(TEXTS, st.data())
@example("三十個の水素".encode(), None)
def test_classes_do_not_depend_on_tokenization(text: bytes, data: st.DataObject | None) -> None:
    """A token has the first of these classes that any of its bytes has: mathematics, science, other."""
    cuts = list(range(0, len(text), 5)) if data is None else data.draw(st.lists(st.integers(0, len(text))))
    of_bytes = classify([text[place : place + 1] for place in range(len(text))])
    edges = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    expected = [next((kind for kind in (M, S) if kind in of_bytes[start:end]), O) for start, end in pairwise(edges)]
    assert classify(pieces).tolist() == expected


def test_counts_and_weights_are_per_class() -> None:
    classes = np.array([O, M, S, M, O, O], np.uint8)
    assert count_tokens(classes) == {"other": 3, "mathematics": 2, "science": 1}
    weights = weigh(classes, TokenWeights(mathematics=4, science=2.5, other=1))
    assert weights.tolist() == [1, 4, 2.5, 4, 1, 1]


def test_plurals_are_regular() -> None:
    assert with_plural("Integer") == ("integer", "integers")
    assert with_plural("identity") == ("identity", "identities")
    assert with_plural("axis") == ("axis", "axises")
    assert with_plural("array") == ("array", "arrays")


def test_no_term_is_listed_twice() -> None:
    lists = [read_yaml(FOLDER / f"{name}.yaml", key=name) for name in ("mathematics", "science", "numerals")]
    for language in ("english", "japanese"):
        terms = [term.lower() for terms in lists[:2] for term in terms[language]]
        assert sorted(set(terms)) == sorted(terms)
    assert not set(lists[2]["ordinary"]) & {*lists[0]["japanese"], *lists[1]["japanese"]}


@pytest.mark.parametrize("name", ["mathematics", "science"])
def test_every_listed_term_is_found(name: str) -> None:
    kind = TokenClass[name.upper()]
    listed = read_yaml(FOLDER / f"{name}.yaml", key=name)
    for language in ("english", "japanese"):
        missed = [term for term in listed[language] if found(term, kind) != [term]]
        assert missed == []


def test_word_lists_are_part_of_the_rules_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = class_rules()
    for path in FOLDER.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8").replace("theorem,", ""), encoding="utf-8")
    monkeypatch.setattr(token_classes, "FOLDER", tmp_path)
    for cached in (token_classes._rules, class_rules):
        cached.cache_clear()
    try:
        assert class_rules() != before
        assert found("a theorem", M) == []
    finally:
        for cached in (token_classes._rules, class_rules):
            cached.cache_clear()
