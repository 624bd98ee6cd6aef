"""Table and chart of thoughts: they show how long models thought, and are there only if some model did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reporting.charts.draw import charts_of
from reporting.charts.thoughts import thoughts_chart
from reporting.documents.tables.thoughts import thinking_table, thoughts_table
from reporting.documents.view import make_view
from reporting.results_folder import Findings, read_findings
from reporting.wording import DASH, Words
from tests.reporting.charts.drawn import shown_by
from tests.reporting.results_folder import write_results


@pytest.fixture
def findings(tmp_path: Path) -> Findings:
    return read_findings(write_results(tmp_path))


def with_thoughts(findings: Findings, arm: str, *, counted: bool = True) -> Findings:
    """Return findings in which an arm thought for 10 tokens before its first answer, for 20 before the next, and so on.

    Every fourth answer is cut while thinking.
    """
    assert findings.answers is not None
    own = pl.col("arm").cast(pl.String).eq(arm) & pl.col("text").is_not_null()
    place = own.cum_sum()
    answers = findings.answers.with_columns(
        thoughts=pl.when(own).then(pl.lit("hmm")),
        thought_tokens=pl.when(own & counted).then(10 * place).cast(pl.Int64),
        reason=pl.when(own & (place % 4 == 0)).then(pl.lit("cut_while_thinking")).otherwise(pl.col("reason")),
    )
    return replace(findings, answers=answers)


def test_the_table_shows_how_long_an_arm_thought_and_how_often_it_was_cut(findings: Findings) -> None:
    (row,) = thoughts_table(with_thoughts(findings, "q8_0"), Words("en")).rows
    benchmark, arm, n_answers, share, mean, median, cut = row
    assert (benchmark, arm, share) == ("gsm8k", "q8_0", "100.0%")
    n = int(n_answers)
    assert mean == median == f"{10 * (n + 1) / 2:.1f}"
    assert cut == f"{100 * (n // 4) / n:.1f}%"


def test_thoughts_that_nobody_counted_are_told_without_a_length(findings: Findings) -> None:
    uncounted = with_thoughts(findings, "q8_0", counted=False)
    (row,) = thoughts_table(uncounted, Words("ja")).rows
    assert row[4:6] == (DASH, DASH)
    assert thoughts_chart(uncounted, Words("ja")) is None


def test_thoughts_that_a_server_counts_and_hides_are_shown(findings: Findings) -> None:
    seen = with_thoughts(findings, "q8_0")
    assert seen.answers is not None
    hidden = replace(seen, answers=seen.answers.with_columns(thoughts=pl.lit(None, pl.String)))
    assert thoughts_table(hidden, Words("en")).rows == thoughts_table(seen, Words("en")).rows
    chart = thoughts_chart(hidden, Words("en"))
    assert chart is not None and "q8_0" in shown_by(chart)


def test_an_answer_whose_first_turn_was_cut_while_thinking_counts_as_cut(findings: Findings) -> None:
    seen = with_thoughts(findings, "q8_0")
    assert seen.answers is not None
    cut = seen.answers.with_columns(reason=pl.lit(None, pl.Categorical), earlier_cuts=pl.lit([False, True]))
    (row,) = thoughts_table(replace(seen, answers=cut), Words("en")).rows
    assert row[-1] == "100.0%"
    older = replace(seen, answers=seen.answers.drop("earlier_cuts"))
    assert thoughts_table(older, Words("en")).rows == thoughts_table(seen, Words("en")).rows


def test_the_chart_has_one_row_per_arm_that_thought(findings: Findings) -> None:
    words = Words("en")
    chart = thoughts_chart(with_thoughts(findings, "f16"), words)
    assert chart is not None
    shown = shown_by(chart)
    assert "f16 (ref.)" in shown and "q8_0" not in shown and "cut 2" in shown
    assert "thought_lengths" in charts_of(with_thoughts(findings, "f16"), words)[0]
    assert "思考の長さ" in shown_by(thoughts_chart(with_thoughts(findings, "f16"), Words("ja")) or chart)


def test_there_is_neither_table_nor_chart_if_no_model_thought(findings: Findings) -> None:
    words = Words("en")
    assert findings.answers is not None
    older = replace(findings, answers=findings.answers.drop("thoughts", "thought_tokens"))
    for one in (findings, older, replace(findings, answers=None)):
        assert thoughts_chart(one, words) is None
        assert thoughts_table(one, words).rows == thinking_table(one, words).rows == ()
        assert "thought_lengths" not in charts_of(one, words)[0]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_settings_of_thinking_are_a_table_of_arms(lang: Any, tmp_path: Path) -> None:
    def change(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        comparison["arms"][0]["thinking"] = None
        comparison["arms"][1]["thinking"] = {"mode": "off", "arguments": {"enable_thinking": False}, "max_tokens": 0}
        comparison["arms"][2]["thinking"] = {"mode": "template", "arguments": {}, "max_tokens": 4096}

    words = Words(lang)
    table = make_view(read_findings(write_results(tmp_path, change)), words, tmp_path).thinking
    (_, off, arguments, none), (_, template, dash, budget) = table.rows
    assert (off, template) == (words.say("オフ", "off"), words.say("テンプレートに従う", "as the template has it"))
    assert (arguments, none, dash, budget) == ('{"enable_thinking": false}', DASH, DASH, "4,096")
