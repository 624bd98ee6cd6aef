"""Planted overlaps are found, in words and in unspaced writing. Nothing else is reported."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.quantization.overlap import CHARACTERS, WORDS, find_overlaps

ENGLISH = "the river that runs below the old town has carried boats of every size since long before the bridge"
JAPANESE = "この町の下を流れる川は、橋が架けられるずっと前から、大小さまざまな舟を運んできたと言い伝えられている。"


def noise(n_words: int, seed: int) -> str:
    source = random.Random(seed)
    return " ".join("".join(source.choices("abcdefghij", k=6)) for _ in range(n_words))


def japanese_noise(n_characters: int, seed: int) -> str:
    return "".join(random.Random(seed).choices([chr(code) for code in range(0x4E00, 0x5E00)], k=n_characters))


def test_thirteen_words_are_found_and_twelve_are_not() -> None:
    words = ENGLISH.split()
    text = {"text": noise(300, 1) + " " + ENGLISH + " " + noise(300, 2)}
    (found,) = find_overlaps(text, {"asked": [noise(50, 3), "Q: " + " ".join(words[:WORDS]) + "?"]})
    assert (found.text, found.benchmark, found.n_shared) == ("text", "asked", 1)
    assert found.example == " ".join(words[:WORDS])
    assert find_overlaps(text, {"asked": [" ".join(words[: WORDS - 1])]}) == ()


def test_case_punctuation_and_line_breaks_do_not_hide_words() -> None:
    hidden = "\n".join(f"{word.upper()}," for word in ENGLISH.split())
    (found,) = find_overlaps({"text": ENGLISH}, {"asked": [hidden]})
    assert found.n_shared == len(ENGLISH.split()) - WORDS + 1


def test_twenty_five_japanese_characters_are_found_and_twenty_four_are_not() -> None:
    text = {"text": japanese_noise(500, 1) + JAPANESE + japanese_noise(500, 2)}
    (found,) = find_overlaps(text, {"asked": [JAPANESE[:10] + "\n" + JAPANESE[10:CHARACTERS]]})
    assert (found.n_shared, found.example) == (1, JAPANESE[:CHARACTERS].replace("、", "、"))
    assert find_overlaps(text, {"asked": [JAPANESE[: CHARACTERS - 1]]}) == ()


def test_numbers_inside_japanese_text_belong_to_it() -> None:
    sentence = "この店では1個120円のりんごを毎日およそ350個ほど売っているそうです"
    assert find_overlaps({"text": sentence}, {"asked": [sentence]})


def test_long_strings_of_other_characters_are_not_unspaced_writing() -> None:
    line = "https://example.org/a-very-long-address/that-nobody-wrote" + "=" * 60
    assert find_overlaps({"text": line}, {"asked": [line]}) == ()


def test_sequences_do_not_cross_documents() -> None:
    words = ENGLISH.split()
    assert find_overlaps({"text": ENGLISH}, {"asked": [" ".join(words[:7]), " ".join(words[7:14])]}) == ()
    assert find_overlaps({"text": JAPANESE}, {"asked": [JAPANESE[:20], JAPANESE[20:40]]}) == ()


def test_each_overlap_names_its_text_and_benchmark() -> None:
    found = find_overlaps(
        {"en": noise(200, 1) + ENGLISH, "ja": JAPANESE, "clean": noise(300, 2)},
        {"first": [JAPANESE], "second": [ENGLISH, JAPANESE], "third": [noise(300, 3)]},
    )
    assert {(one.text, one.benchmark) for one in found} == {("ja", "first"), ("en", "second"), ("ja", "second")}


@pytest.mark.parametrize("text", ["", "a", "日", " \n"])
def test_very_short_texts_share_nothing(text: str) -> None:
    assert find_overlaps({"text": text}, {"asked": [text, ENGLISH], "empty": []}) == ()


@given(st.integers(0, 80), st.integers(WORDS, 40), st.integers(0, 2**32))
def test_every_planted_run_of_words_is_found(before: int, length: int, seed: int) -> None:
    text, planted = noise(120, seed), noise(length, seed + 1)
    words = text.split()
    mixed = " ".join([*words[:before], planted, *words[before:]])
    (found,) = find_overlaps({"text": mixed}, {"asked": [planted]})
    assert found.n_shared == length - WORDS + 1
