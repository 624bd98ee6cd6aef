"""Notices: a code with values, said in the language of the place that shows it, and whole after every way it goes."""

from __future__ import annotations

import copy
import json
import pickle
import re
import string
from pathlib import Path
from typing import Any

import pytest

from reporting.analysis.results import build_results
from reporting.documents.view import make_view
from reporting.notice_texts import TEXTS
from reporting.notices import Notice, codes_of, notices_of, say_notice
from reporting.results_folder import Findings
from reporting.wording import Words
from tests.reporting.sample_run import sample_run

ROOT = Path(__file__).parents[2]
NESTED = Notice(
    "differs_beside_weights", arm="a", model="m", what=[Notice("other_tokenizer"), Notice("no_chat_template")]
)
PLAIN = "a sentence of an older version"


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", TEXTS)
def test_both_languages_say_the_same_values(code: str) -> None:
    ja, en = TEXTS[code]
    assert _placeholders(ja) == _placeholders(en)
    assert ja != en


def test_every_code_in_the_sources_has_texts_and_is_used() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("actors", "jobs", "reporting")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "notice_texts.py"
    ]
    made = {code for text in sources for code in re.findall(r'Notice\(\s*"(\w+)"', text)}
    assert made and made <= set(TEXTS)
    quoted = {word for text in sources for word in re.findall(r'"(\w+)"', text)}
    assert set(TEXTS) <= quoted


def test_a_notice_is_its_english_sentence_and_can_be_said_in_japanese() -> None:
    assert NESTED == (
        "Arm a differs from m in more than its weights (another tokenizer, no chat template): part of any difference"
        " may come from that."
    )
    assert say_notice(Words("ja"), NESTED) == (
        "アーム a は、重みのほかにも m と異なる(トークナイザー、チャットテンプレートがない)。"
        "差の一部はそのためかもしれない。"
    )
    assert say_notice(Words("ja"), PLAIN) == PLAIN


@pytest.mark.parametrize("move", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_notice_stays_whole_on_its_way_between_processes(move: Any) -> None:
    (moved,) = move((NESTED,))
    assert moved == NESTED and say_notice(Words("ja"), moved) == say_notice(Words("ja"), NESTED)


def test_values_are_no_format_strings() -> None:
    notice = Notice("failed_once", unit="{unit.__class__}", error="{0} {{")
    assert notice == "{unit.__class__} failed once and is tried again: {0} {{"


def test_notices_come_back_from_the_results_file() -> None:
    kept = json.loads(json.dumps({"notices": [NESTED, PLAIN], "notice_codes": codes_of([NESTED, PLAIN])}))
    assert [say_notice(Words("ja"), one) for one in notices_of(kept)] == [say_notice(Words("ja"), NESTED), PLAIN]
    assert notices_of({"notices": [PLAIN]}) == (PLAIN,)


@pytest.mark.parametrize(
    "code",
    [
        {"code": "of_a_later_version", "values": {}},
        {"code": "few_sources", "values": {"benchmark": "b"}},
        {"code": ["few_sources"], "values": {}},
        {"code": "few_sources", "values": {"self": 1, "code": 2}},
        {"code": "nothing_compared", "values": {"model": "m", "step": {"code": "of_a_later_version", "values": {}}}},
    ],
)
def test_a_code_that_cannot_be_said_leaves_the_text(code: dict[str, Any]) -> None:
    assert notices_of({"notices": [PLAIN], "notice_codes": [code]}) == (PLAIN,)


def test_documents_say_notices_in_their_language(tmp_path: Path) -> None:
    made = sample_run()
    run = {**made.run, "notices": [NESTED, PLAIN]}
    results = build_results(run, made.records, made.timings)
    assert results.comparison["notice_codes"][:2] == codes_of([NESTED, PLAIN])
    found = Findings(json.loads(json.dumps(results.comparison)), results.analysis, notices=(Notice("no_categories"),))
    ja, en = (make_view(found, Words(lang), tmp_path).notices for lang in ("ja", "en"))
    assert ja[:2] == (say_notice(Words("ja"), NESTED), PLAIN) and en[:2] == (NESTED, PLAIN)
    assert "カテゴリーができる前の結果なので、カテゴリー別の平均は示さない。" in ja
    assert all(re.search("[ぁ-ん]", one) for one in ja if one != PLAIN)
