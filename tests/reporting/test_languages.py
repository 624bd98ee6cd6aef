"""Tests of the language detector, with answers as models write them, and with the questions of the benchmarks."""

from __future__ import annotations

import json
import string
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting.languages import LEAST_LETTERS, language_of, languages_of, prose_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("はい", "ja"),
        ("答えは5です。", "ja"),
        ("APIのendpointにrequestをsendする処理を書きます。", "ja"),
        ("This adds two and three, so the answer is five.", "en"),
        ("First, add the two numbers together.\nThen divide the sum by two.", "en"),
        ('The word "犬" means dog, and "猫" means cat in the Japanese language.', "en"),
        ("She has $3 and he has $4, so they have seven dollars together.", "en"),
        ("这两个数的和是十二。因此答案是五。", "zh"),
        ("首先，我們需要計算總數。因此答案是五，也就是說我們有五個。", "zh"),
        ("두 수의 합은 열둘입니다.", "ko"),
        ("La somme des deux nombres est égale à douze.", "fr"),
        ("La suma de los dos números es doce.", "es"),
        ("Hier sind die Schritte der Lösung.", "de"),
        ("```python\nprint('this is an English text in a program')\n```\n以上です。", "ja"),
        ("詳しくはこちら: https://example.com/an/english/page/about/the/weather", "ja"),
        ("気温", "ja"),
    ],
)
def test_the_language_of_an_answer(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text", ["", " \n", "42", "Yes", "東京都", "日本国憲法第九条", "Albert Einstein", "$x^2+y^2$", "😀😀", "\0\0"]
)
def test_what_is_too_short_has_no_language(text: str) -> None:
    assert language_of(text) is None
    assert languages_of(text).shares == {}


@pytest.mark.parametrize(
    "text",
    [
        "まず合計を求めます。Then we divide the sum by the number of people, which gives five.",
        "はい、わかりました。まず合計を求めます。这两个数的和是十二，所以答案是十二。",
        "The capital of Japan is the city of Tokyo. 日本の首都は東京です。",
    ],
)
def test_an_answer_with_a_sentence_in_another_language_is_mixed(text: str) -> None:
    assert languages_of(text).mixed


@pytest.mark.parametrize(
    "text",
    [
        "クラウドにはMicrosoft AzureやAmazon Web Servicesがあります。",
        "関数は次のとおりです。\n```\ndef add(first, second): return the sum of first and second\n```\n以上です。",
        "The Japanese word for dog is 犬 (いぬ), which is written with one character and read in two ways.",
        "合計は $a + b + c$ です。",
    ],
)
def test_terms_names_and_code_do_not_make_an_answer_mixed(text: str) -> None:
    assert not languages_of(text).mixed


def test_shares_count_a_sign_as_two_letters() -> None:
    found = languages_of("あいうえおかきくけこ。The cat sat on the mat.")
    assert found.main == "ja"
    assert found.shares == pytest.approx({"ja": 20 / 37, "en": 17 / 37})


def test_prose_is_without_code_formulas_and_addresses() -> None:
    text = "a `b` $c$ \\(d\\) \\[e\\] $$f$$ https://g.example/h <i> \\j me@k.example\n```l"
    assert prose_of(text).split() == ["a"]


@given(st.text(max_size=300))
def test_shares_sum_to_one_or_there_are_none(text: str) -> None:
    found = languages_of(text)
    assert (found.main is None) == (not found.shares)
    assert sum(found.shares.values()) == pytest.approx(1.0 if found.shares else 0.0)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    assert not found.mixed or len(found.shares) > 1


@given(st.text(alphabet=string.ascii_letters, max_size=LEAST_LETTERS - 1))
def test_few_letters_of_an_alphabet_never_have_a_language(text: str) -> None:
    assert language_of(text) is None


@given(st.text(alphabet="あいうえおカキクケコ漢字。、\n", min_size=1, max_size=200))
def test_any_text_with_kana_is_japanese(text: str) -> None:
    assert (
        language_of(text) == ("ja" if any("ぁ" <= sign <= "ヶ" for sign in text) else None)
        or "漢" in text
        or "字" in text
    )


@pytest.mark.parametrize("unit", ["```", "\\[", "$$", "<", "$a", "ab ", "あa b c d ", "a.\n", "漢"])
def test_hostile_texts_take_no_time(unit: str) -> None:
    language_of("Load the model before the time is taken.")
    start = time.process_time()
    languages_of(unit * 50_000)
    assert time.process_time() - start < 1.0


def _texts(path: Path, *fields: str) -> list[str]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row[field] for row in rows for field in fields]


def test_the_benchmarks_own_texts_have_their_languages(data_dir: Path) -> None:
    japanese = _texts(data_dir / "elyza_tasks_100" / "test.jsonl", "input", "output")
    japanese += _texts(data_dir / "mgsm_ja" / "test.jsonl", "question")
    english = _texts(data_dir / "gsm8k" / "test.jsonl", "question", "answer")[:600]
    for texts, language in ((japanese, "ja"), (english, "en")):
        found = [languages_of(text) for text in texts]
        assert {one.main for one in found} <= {language, None}
        assert sum(one.main == language for one in found) >= 0.97 * len(texts)
        assert not any(one.mixed for one in found)
