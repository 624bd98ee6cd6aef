"""Comparisons on benchmarks that can end early: which items count, what is reported, what summary and documents say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from reporting.analysis.early import Stop
from reporting.analysis.results import Results, build_results
from reporting.documents.markdown_files import methodology_markdown, report_markdown
from reporting.documents.pdf.scorecard import scorecard_html
from reporting.documents.view import make_view
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from reporting.results_folder import Findings
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from reporting.wording import Words
from stats.sequential import confidence_sequence, sequence_p_value
from stats.verdict import Verdict
from tests.reporting.sample_run import sample_run

N = 400
CUT = 120
SIZES = {"f16": 9, "f16~aa": 9, "q8_0": 5, "q4_k_m": 3}


@pytest.fixture(scope="module")
def scores() -> dict[str, np.ndarray]:
    """Return the scores of one run in the fixed order. q8_0 is the larger arm, loses much, and ends after CUT items."""
    rng = np.random.default_rng(1)
    reference = (rng.random(N) < 0.7).astype(float)
    lost = np.where(rng.random(N) < 0.4, 0.0, reference)[:CUT]
    moved = np.where(np.arange(N) % 50 == 0, 1 - reference, reference)
    return {"f16": reference, "f16~aa": moved, "q8_0": lost, "q4_k_m": reference}


@pytest.fixture(scope="module")
def found(scores: dict[str, np.ndarray]) -> Results:
    sample = sample_run()
    arms = [
        sample.run["arms"][1] | {"name": name, "size_bytes": size, "reference": None if name == "f16" else "f16"}
        for name, size in SIZES.items()
    ]
    benchmark = sample.run["benchmarks"][0] | {"deterministic": True, "seeds": [0], "n_items": N}
    rows = [
        dict.fromkeys(RECORD_SCHEMA)
        | {"arm": arm, "benchmark": "gsm8k", "item_id": f"{item:05d}", "seed": 0, "prompt_hash": str(item)}
        | {"outcome": "correct" if value else "wrong", "score": value}
        for arm, values in scores.items()
        for item, value in enumerate(values)
    ]
    run = sample.run | {"arms": arms, "benchmarks": [benchmark], "failures": [], "notices": []}
    stops = [
        Stop(
            arm=arm,
            benchmark="gsm8k",
            verdict=None if arm == "f16" else Verdict.WORSE if arm == "q8_0" else Verdict.UNDECIDED,
            n_tests=None if arm == "f16" else 1,
            n_items_planned=N,
            n_items_begun=CUT + 8 if arm == "q8_0" else N,
            n_items_looked_at=CUT if arm == "q8_0" else N,
            n_records_planned=N,
            n_records_saved=N - CUT - 8 if arm == "q8_0" else 0,
        )
        for arm in SIZES
    ]
    frames = pl.DataFrame(rows, schema=RECORD_SCHEMA), pl.DataFrame(schema=TIMING_SCHEMA)
    made = build_results(run, *frames, stopped=stops)
    validate("statistical_analysis", made.analysis)
    validate("quantization_comparison", made.comparison)
    return made


def row_of(found: Results, arm: str) -> dict[str, Any]:
    (row,) = [one for one in found.analysis["comparisons"] if one["arm"] == arm]
    return dict(row)


def test_an_arm_that_ended_early_is_compared_only_on_its_own_items(
    found: Results, scores: dict[str, np.ndarray]
) -> None:
    row, differences = row_of(found, "q8_0"), scores["q8_0"] - scores["f16"][:CUT]
    interval = confidence_sequence(differences)
    assert (row["n_items"], row["n_unpaired"], row["difference_reason"]) == (CUT, 0, None)
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["ci95"] == pytest.approx([interval.low, interval.high])
    assert row["p_value"] == pytest.approx(sequence_p_value(differences))
    assert row["early_stop"]["n_items_after"] == 8
    assert row["early_stop"]["n_items_saved"] == N - CUT - 8


def test_the_noise_floor_is_measured_on_the_same_items(found: Results) -> None:
    row = row_of(found, "q8_0")
    assert row["noise_floor_difference"] == pytest.approx(3 / CUT)  # Items 0, 50 and 100.
    assert row["flips"]["noise_floor"] == pytest.approx(3 / CUT)
    assert row_of(found, "q4_k_m")["noise_floor_difference"] == pytest.approx(8 / N)


def test_arms_that_ended_at_different_items_are_ordered_on_their_common_items(
    found: Results, scores: dict[str, np.ndarray]
) -> None:
    (flag,) = found.analysis["out_of_order"]
    differences = scores["q8_0"] - scores["q4_k_m"][:CUT]
    assert (flag["larger"], flag["smaller"]) == ("q8_0", "q4_k_m")
    assert flag["difference"] == pytest.approx(differences.mean())
    assert flag["p_value"] == pytest.approx(sequence_p_value(differences))


def test_summary_and_documents_say_what_ended_and_which_interval_is_shown(found: Results, tmp_path: Path) -> None:
    summary = summary_table(found.comparison, found.analysis)
    assert f"ended early: q8_0 worse after {CUT} of {N} items (272 records skipped)" in summary
    assert "early stop: 272 of 1,600 records skipped (17%) on gsm8k" in summary
    findings = Findings(found.comparison, found.analysis)
    view = make_view(findings, Words("en"), tmp_path)
    report, methodology, card = report_markdown(view), methodology_markdown(view), scorecard_html(view, None)
    ended = (
        "gsm8k ended early for q8_0: worse after 120 of 400 items; 8 items that were already running are not counted."
    )
    for text in (report, methodology):
        assert ended in text
    japanese = report_markdown(make_view(findings, Words("ja"), tmp_path))
    assert "gsm8k の q8_0 は、400 問中 120 問で評価を終えた(判定: 劣化あり)。実行中だった 8 問は数えない。" in japanese
    assert "holds at every number of items at once" in methodology
    assert ended in card
    assert "Ian Waudby-Smith" in card


def test_without_early_stop_the_results_do_not_mention_it() -> None:
    made = build_results(*sample_run())
    assert made.analysis["early_stop"] is None
    assert {row["early_stop"] for row in made.analysis["comparisons"]} == {None}
    assert "early" not in summary_table(made.comparison, made.analysis)


def test_a_notice_says_that_means_cover_different_items(found: Results) -> None:
    (notice,) = [one for one in found.comparison["notices"] if "cover different items" in one]
    assert notice.startswith("gsm8k: ")
    assert f"q8_0 {CUT}, q4_k_m {N} items" in notice
