"""A benchmark that no judge has scored gives no verdict, and the verdicts of the others do not wait for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reporting.analysis.results import Results
from reporting.documents.tables.results import differences_table
from reporting.documents.tables.verdicts import undecided_table
from reporting.results_folder import Findings
from reporting.terminal.benchmark_section import _unjudged_line
from reporting.terminal.box import verdict_text
from reporting.terminal.summary import summary_table
from reporting.verdict_box import verdict_boxes
from reporting.wording import Words
from tests.reporting.pooled_run import flipped, pooled_results
from tests.reporting.sample_run import SampleRun, sample_run

NOTHING = np.full(40, np.nan)
SCORES = {"gsm8k": flipped(4000, 10, 10), "elyza": {"f16": NOTHING, "q8_0": NOTHING}}
SIZES = {"f16": 2**30, "q8_0": 2**29}


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


def verdict_of(found: Results) -> dict[str, Any]:
    verdict: dict[str, Any]
    (verdict,) = found.analysis["verdicts"]
    return verdict


def row_of(found: Results) -> dict[str, Any]:
    row: dict[str, Any]
    (row,) = [row for row in found.analysis["comparisons"] if row["benchmark"] == "elyza"]
    return row


@pytest.mark.parametrize("reason", ["no_judge", "judge_failed", "call_limit"])
def test_the_other_benchmarks_keep_their_verdict_and_the_box_says_what_is_not_judged(
    sample: SampleRun, reason: str
) -> None:
    found = pooled_results(sample, SCORES, unjudged={"elyza": reason}, sizes=SIZES)
    assert verdict_of(found)["verdict"] == "no_worse" and verdict_of(found)["n_unscored"] == 0
    assert found.analysis["tiers"]["not_judged"] == found.analysis["tiers"]["inform"] == ["elyza"]
    row = row_of(found)
    assert (row["verdict"], row["verdict_grounds"]) == ("undecided", ["not_judged"])
    assert (row["items_to_decide"], row["items_to_decide_reason"], row["informs_only"]) == (None, "no_judge", True)
    (box,) = verdict_boxes(found.comparison, found.analysis, Words("en"))
    assert box.undecided == ("elyza is not judged, so no verdict depends on it",)
    assert box.headline.startswith("Take q8_0 (0.50 GiB)")
    assert "on each of gsm8k" in box.headline and "elyza" not in box.headline
    (ja,) = verdict_boxes(found.comparison, found.analysis, Words("ja"))
    assert ja.undecided == ("elyza は未採点のため、判定に使わない",)
    assert verdict_text(found.comparison, found.analysis).count("not judged") == 1


def test_the_outputs_have_one_line_about_it_and_no_open_verdict(sample: SampleRun) -> None:
    found = pooled_results(sample, SCORES, unjudged={"elyza": "no_judge"}, sizes=SIZES)
    told = summary_table(found.comparison, found.analysis)
    assert told.count("no_judge") == 1
    assert "not judged: 80 answers of 2 arms are kept and have no scores (no_judge 80)" in told
    findings = Findings(found.comparison, found.analysis)
    assert all(row[0] != "elyza" for row in undecided_table(findings, Words("en")).rows)
    (elyza,) = [one for one in findings.benchmarks if one["name"] == "elyza"]
    table = differences_table(findings, Words("ja"), elyza)
    assert table is not None and [row[7] for row in table.rows] == ["未採点"]


def test_answers_that_were_never_made_are_not_called_kept() -> None:
    row = {"unscored_reasons": {"no_judge": 8, "block_failed": 12}}
    told = " ".join(_unjudged_line([row, row]).split())
    assert told == (
        "not judged: 16 answers of 2 arms are kept and have no scores (no_judge 16); "
        "24 more are unscored (block_failed 24)"
    )


def test_a_benchmark_that_the_configuration_names_keeps_the_verdict_open(sample: SampleRun) -> None:
    tiers = {"each": ["gsm8k", "elyza", "perplexity_wikitext2"]}
    found = pooled_results(sample, SCORES, unjudged={"elyza": "no_judge"}, tiers=tiers, margins={"judged": 0.2})
    assert verdict_of(found)["undecided_on"] == ["elyza"]
    (box,) = verdict_boxes(found.comparison, found.analysis, Words("en"))
    assert "Undecided on elyza: q8_0 (needs a judge)" in box.undecided
    findings = Findings(found.comparison, found.analysis)
    (row,) = [row for row in undecided_table(findings, Words("en")).rows if row[0] == "elyza"]
    assert row == ("elyza", "q8_0", "0 (80 unscored)", "0.20", "not judged", "–", "–", "–")


def test_a_benchmark_whose_blocks_failed_or_that_is_judged_in_part_is_not_called_unjudged(sample: SampleRun) -> None:
    failed = pooled_results(sample, SCORES, unjudged={"elyza": "block_failed"}, margins={"judged": 0.2})
    assert failed.analysis["tiers"]["not_judged"] == [] and verdict_of(failed)["undecided_on"] == ["elyza"]
    half = {"gsm8k": SCORES["gsm8k"], "elyza": {"f16": np.full(40, 3.0), "q8_0": NOTHING}}
    found = pooled_results(sample, half, unjudged={"elyza": "call_limit"}, margins={"judged": 0.2})
    assert found.analysis["tiers"]["not_judged"] == [] and verdict_of(found)["undecided_on"] == ["elyza"]


def test_a_run_of_nothing_but_unjudged_answers_recommends_nothing(sample: SampleRun) -> None:
    scores = {"elyza": SCORES["elyza"]}
    found = pooled_results(sample, scores, unjudged={"elyza": "no_judge"}, text_loss=0.0)
    text = [row for row in found.analysis["comparisons"] if row["benchmark"] != "elyza"]
    assert [row["verdict"] for row in text] == ["no_worse"] and verdict_of(found)["no_worse_on"] == [
        "perplexity_wikitext2"
    ]


def test_judged_scores_have_a_verdict_by_their_own_margin(sample: SampleRun) -> None:
    draw = np.random.default_rng(0)
    reference = draw.integers(1, 6, 400).astype(float)
    arm = np.clip(reference + (draw.random(400) < 0.02) - (draw.random(400) < 0.02), 1, 5)
    scores = {"gsm8k": SCORES["gsm8k"], "elyza": {"f16": reference, "q8_0": arm}}
    without = pooled_results(sample, scores, unjudged={"elyza": "no_judge"})
    assert row_of(without)["verdict_grounds"] == ["no_margin"] and without.analysis["tiers"]["not_judged"] == []
    assert (verdict_of(without)["verdict"], row_of(without)["informs_only"]) == ("no_worse", True)
    (box,) = verdict_boxes(without.comparison, without.analysis, Words("en"))
    assert box.undecided == ("elyza has no margin, so no verdict depends on it",)
    found = pooled_results(sample, scores, unjudged={"elyza": "no_judge"}, margins={"judged": 0.2})
    assert (row_of(found)["verdict"], verdict_of(found)["verdict"]) == ("no_worse", "no_worse")
