"""The page with all answers: what it holds, that nothing foreign runs, and which answers it leaves out."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from conf.controls import CONTROLS
from conf.files import write_text
from reporting.documents.side_by_side.choice import LONGEST_TEXT_CHARS, choose
from reporting.documents.side_by_side.data import CUT_MARK, PackedAnswers, pack_answers
from reporting.documents.side_by_side.judgements import read_judgements
from reporting.documents.side_by_side.page import answers_html
from reporting.documents.side_by_side.table import AnswerSources, write_answer_tables
from reporting.documents.side_by_side.write import write_side_by_side
from reporting.wording import Words
from tests.chromium import Tab, chromium_tab
from tests.reporting.answers_run import COMPARISON, HOSTILE_TEXTS, answer, sample_answers, write_answers
from tests.reporting.documents.test_page import Page, hashed

BENCHMARKS = COMPARISON["benchmarks"]


def packed(folder: Path, rows: list[dict[str, Any]], **limits: int) -> PackedAnswers:
    sources = AnswerSources.beside(write_answers(folder, rows))
    table, _ = write_answer_tables(COMPARISON, sources, folder / "answers.parquet")
    return pack_answers(table, read_judgements(sources.judgements), choose(table, BENCHMARKS, **limits))


def unpacked(text: str) -> list[dict[str, Any]]:
    """Return the questions that a page holds."""
    pieces = re.findall(r'<script type="text/plain" class="answers">([A-Za-z0-9+/=]*)</script>', text)
    return [one for piece in pieces for one in json.loads(gzip.decompress(base64.b64decode(piece)))]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_page_holds_all_answers_and_all_that_it_needs(tmp_path: Path, lang: str) -> None:
    text = answers_html(COMPARISON, packed(tmp_path, sample_answers()), Words(lang))  # type: ignore[arg-type]
    page, questions = Page(text), unpacked(text)
    assert f'<html lang="{lang}">' in text and text.count("data:font/woff2;base64,") == 1
    assert page.addresses == [] and page.handlers == []
    assert sum(len(one["answers"]) for one in questions) == len(sample_answers()) - 1
    (judged,) = [one for one in questions if one["benchmark"] == "elyza"]
    first = judged["answers"][0]
    assert first["earlier_texts"] == ["一つ目の回答"] and len(first["verdicts"]) == 6
    assert first["verdicts"][0] == {"judge": "mild", "turn": 0, "repeat": 0, "score": 3.0}


def test_the_largest_differences_come_first(tmp_path: Path) -> None:
    questions = unpacked(answers_html(COMPARISON, packed(tmp_path, sample_answers()), Words("en")))
    assert [one["item_id"] for one in questions][:4] == ["lost", "gained", "task", "hostile-0"]


def test_the_policy_allows_the_own_style_and_script_only(tmp_path: Path) -> None:
    text = answers_html(COMPARISON, packed(tmp_path, sample_answers()), Words("en"))
    page = Page(text)
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    (script,) = [one for one in page.texts["script"] if one.startswith('"use strict"')]
    assert rules["default-src"] == "'none'" and rules["script-src"] == hashed(script)
    assert rules["style-src"] == hashed(page.texts["style"][0])
    assert "unsafe" not in page.policy and "innerHTML" not in script and "insertAdjacentHTML" not in script


def test_hostile_texts_and_names_are_inert(tmp_path: Path) -> None:
    run = json.loads(json.dumps(COMPARISON)) | {"pipeline_id": HOSTILE_TEXTS[0]}
    for benchmark in run["benchmarks"]:
        benchmark["title"] = {"ja": HOSTILE_TEXTS[1], "en": HOSTILE_TEXTS[0]}
    rows = [row | {"reason": HOSTILE_TEXTS[0]} for row in sample_answers()]
    held = packed(tmp_path, rows)
    for words in (Words("ja"), Words("en")):
        text = answers_html(run, held, words)
        page = Page(text)
        assert page.tags.count("script") == len(held.pieces) + 2 and page.handlers == []
        assert not {"img", "iframe", "b", "i", "object", "base"} & set(page.tags)
        assert not CONTROLS.search(text)
    shown = json.dumps(unpacked(text), ensure_ascii=False)
    assert not CONTROLS.search(shown) and "⟨U+202E⟩" in shown and "⟨U+2028⟩" in shown


def test_a_page_that_cannot_hold_all_holds_the_largest_differences_and_says_so(tmp_path: Path) -> None:
    held = packed(tmp_path, sample_answers(), most_answers=7)
    text = answers_html(COMPARISON, held, Words("en"))
    assert [one["item_id"] for one in unpacked(text)] == ["lost", "gained"]
    assert f"This page holds 6 of {len(sample_answers()) - 1} answers" in text
    assert "This page holds" not in answers_html(COMPARISON, packed(tmp_path / "2", sample_answers()), Words("en"))


def test_a_text_of_a_million_characters_is_cut(tmp_path: Path) -> None:
    long = "x" * 1_000_000
    rows = [answer("f16", "a", long, thoughts=long, earlier_texts=[long]), answer("q8_0", "a", "short")]
    (question,) = unpacked(answers_html(COMPARISON, packed(tmp_path, rows), Words("en")))
    first = question["answers"][0]
    for text in (first["text"], first["thoughts"], first["earlier_texts"][0]):
        assert text == "x" * LONGEST_TEXT_CHARS + CUT_MARK


def test_a_verdict_has_its_reason_in_words_and_all_that_the_judge_wrote(tmp_path: Path) -> None:
    (judged,) = [
        one
        for one in unpacked(answers_html(COMPARISON, packed(tmp_path, sample_answers()), Words("ja")))
        if one["benchmark"] == "elyza"
    ]
    first, second = [one for one in judged["answers"][0]["verdicts"] if one["judge"] == "strict"][:2]
    assert first["said"] == "<b>fine</b>" and first["text"] == '{"reason": "<b>fine</b>", "score": 4}'
    assert second["score"] == 5.0


def test_both_languages_have_the_same_answers_in_files_of_their_own(tmp_path: Path) -> None:
    results = write_answers(tmp_path, sample_answers())
    made = write_side_by_side(COMPARISON, results, tmp_path / "answers.parquet", tmp_path / "page.html", "both")
    assert [path.name for path in made] == ["answers.parquet", "answers.csv", "page_ja.html", "page_en.html"]
    japanese, english = (unpacked(path.read_text(encoding="utf-8")) for path in made[2:])
    assert japanese == english


STATUS = "document.getElementById('status').textContent"
FOCUSED = "document.activeElement.querySelector('h2')?.textContent"
TITLES = "[...document.querySelectorAll('h2')].map((one) => one.textContent.split(' · ')[1])"


def test_the_page_can_be_read_searched_and_moved_through_with_the_keyboard(tmp_path: Path) -> None:
    many = [answer(arm, f"x{place:02d}", "It is 4.", score=1.0) for place in range(20) for arm in ("f16", "q8_0")]
    text = answers_html(COMPARISON, packed(tmp_path, [*sample_answers(), *many]), Words("en"))
    write_text(tmp_path / "page.html", text)
    with chromium_tab() as tab:
        tab.show(1200, 900)
        tab.open(tmp_path / "page.html")
        tab.wait_until("document.querySelectorAll('article').length === 10")
        assert tab.value(STATUS) == "30 of 30 comparisons, with 30 questions and 63 answers"
        assert tab.value(TITLES)[:3] == ["lost", "gained", "task"]
        _moves(tab)
        _searches(tab)
        _filters(tab)
        _orders(tab)
        _says_what_judges_said(tab)
        _shows_texts_as_texts(tab)
        _fits(tab)
        assert tab.complaints == []
        assert all(one.startswith(("file:", "data:")) for one in tab.requests)


def _moves(tab: Tab) -> None:
    tab.press("j", "j")
    assert "lost" in tab.value(FOCUSED)
    tab.press("ArrowDown")
    assert "gained" in tab.value(FOCUSED)
    tab.press("k", "k")
    assert "lost" in tab.value(FOCUSED)
    for _ in range(10):
        tab.press("j", "j")
    assert tab.value("document.getElementById('place').textContent") == "2 / 3"
    tab.press("k", "k")
    assert tab.value("document.getElementById('place').textContent") == "1 / 3"
    for _ in range(40):
        tab.press("j", "j")
    assert "x19" in tab.value(FOCUSED)


def _searches(tab: Tab) -> None:
    tab.press("/", "/")
    for letter in "短い":
        tab.press(letter, letter)
    tab.wait_until(f"{STATUS}.startsWith('1 of 30 ')")
    assert tab.value("document.querySelector('mark').textContent") == "短い"
    tab.press("Escape")
    assert tab.value("document.activeElement === document.body")


def _choose(tab: Tab, name: str, value: str) -> None:
    tab.value(
        f"document.querySelector('[name={name}]').value = '{value}';"
        "document.getElementById('filters').dispatchEvent(new Event('input', {bubbles: true}))"
    )


def _orders(tab: Tab) -> None:
    tab.value("document.getElementById('filters').reset()")
    note = "document.getElementById('order').textContent"
    for order, said, first in (
        ("loss", "farthest below", ["lost", "task"]),
        ("gain", "farthest above", ["gained"]),
        ("question", "by benchmark", ["gained", "hostile-0", "hostile-1"]),
        ("", "flips", ["lost", "gained", "task"]),
    ):
        _choose(tab, "order", order)
        tab.wait_until(f"{note}.includes('{said}')")
        assert tab.value(TITLES)[: len(first)] == first


def _says_what_judges_said(tab: Tab) -> None:
    _choose(tab, "benchmark", "elyza")
    tab.wait_until(f"{STATUS}.startsWith('1 of 30 ')")
    said = tab.value(
        "[...document.querySelector('.answer').querySelectorAll('summary, h4')].map((one) => one.textContent)"
    )
    assert said[2] == "what the judges said: mild 3, no score · strict 4, 5, 4, 5"
    assert said[3] == "mild · turn 1 · repeat 1 · score 3"
    assert said[4] == "mild · turn 2 · repeat 1 · the verdict of the judge cannot be read"
    assert said[5] == "all that the judge wrote"


def _filters(tab: Tab) -> None:
    tab.value("document.getElementById('filters').reset()")
    tab.wait_until(f"{STATUS}.startsWith('30 of 30 ')")
    for name, value, n_shown in (("flip", "lost", 1), ("flip", "both", 2), ("flip", "", 30), ("arm", "q4_k_m", 3)):
        _choose(tab, name, value)
        tab.wait_until(f"{STATUS}.startsWith('{n_shown} of 30 ')")
    assert tab.value("[...document.querySelector('article').querySelectorAll('h3')].map((one) => one.textContent)") == [
        "f16 (reference)",
        "q4_k_m",
    ]


def _shows_texts_as_texts(tab: Tab) -> None:
    tab.value("document.getElementById('filters').reset()")
    tab.wait_until(f"{STATUS}.startsWith('30 of 30 ')")
    shown = tab.value("[...document.querySelectorAll('.text')].map((one) => one.textContent)")
    assert HOSTILE_TEXTS[0] in shown and HOSTILE_TEXTS[1] in shown and "<b>fine</b>" in shown
    assert tab.value("document.querySelectorAll('main img, main b, main script').length") == 0
    assert tab.value("window.hacked") is None
    assert tab.value("document.querySelector('details').open") is False


def _fits(tab: Tab) -> None:
    for width, dark in ((1200, False), (320, False), (320, True)):
        tab.show(width, 800, dark=dark)
        assert tab.value("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.value("getComputedStyle(document.documentElement).backgroundColor") == "rgb(21, 24, 28)"
    tab.show(320, 800)
    assert tab.value("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
