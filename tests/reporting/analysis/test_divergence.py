"""Divergence in the results: rows per arm and class of tokens, texts that were not compared, the noise floor."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from tests.reporting.divergence_run import TEXTS, divergence_results
from tests.reporting.sample_run import sample_run


def rows_of(results: Results, arm: str, benchmark: str = TEXTS[0]) -> dict[str, dict[str, Any]]:
    rows = results.comparison["results"]
    return {row["metric"]: row for row in rows if (row["arm"], row["benchmark"]) == (arm, benchmark)}


def test_every_arm_with_a_reference_has_rows_of_divergence_and_one_primary() -> None:
    results = divergence_results()
    validate("quantization_comparison", results.comparison)
    validate("statistical_analysis", results.analysis)
    found = rows_of(results, "q8_0")
    assert [metric for metric, row in found.items() if row["primary"]] == ["nll"]
    n = found["kld"]["n_tokens"]
    # By hand: 56 of 256 tokens have three times the divergence.
    assert found["kld"]["mean"] == pytest.approx(0.001 * (1 + 2 * 56 / 256))
    assert found["kld"]["ci95_reason"] == "zero_variance"
    assert found["kld_mathematics"]["mean"] == pytest.approx(0.003)
    assert found["kld_mathematics"]["token_class"] == "mathematics"
    assert found["kld_mathematics"]["n_tokens"] + found["kld_other"]["n_tokens"] == n
    assert found["top_agreement"]["mean"] == pytest.approx(1 - 10 / 256)
    assert found["top_agreement"]["higher_is_better"] and not found["kld"]["higher_is_better"]
    assert found["p_change_rms"]["mean"] == pytest.approx(0.02)
    assert "kld_science" not in found


def test_the_perplexity_ratio_is_the_exponential_of_the_comparisons_difference() -> None:
    results = divergence_results()
    (difference,) = [
        row["difference"]
        for row in results.analysis["comparisons"]
        if (row["arm"], row["benchmark"]) == ("q4_k_m", TEXTS[0])
    ]
    assert rows_of(results, "q4_k_m")["perplexity_ratio"]["mean"] == pytest.approx(math.exp(difference))


def test_the_reference_has_losses_by_class_and_no_divergence() -> None:
    assert set(rows_of(divergence_results(), "f16")) == {"nll", "perplexity", "nll_mathematics", "nll_other"}


def test_an_arm_that_was_not_compared_has_a_reason() -> None:
    found = rows_of(divergence_results(reason="vocabularies_differ"), "q8_0")
    assert (found["kld"]["mean"], found["kld"]["mean_reason"]) == (None, "vocabularies_differ")
    assert "top_agreement" not in found
    run, records, timings = sample_run()
    plain = rows_of(build_results(run, records, timings), "q8_0")
    assert plain["kld"]["mean_reason"] == "not_compared"


def test_the_summary_shows_the_divergence_of_each_arm_within_its_width() -> None:
    results = divergence_results()
    text = summary_table(results.comparison, results.analysis)
    assert "  KLD mathematics" in text and "  same top token" in text
    assert any(line.startswith("q4_k_m") and "0.1500" in line for line in text.splitlines())
    assert max(len(line) for line in text.splitlines()) <= 80


def test_comparisons_have_a_noise_floor_unless_answers_are_sampled() -> None:
    run, records, _ = sample_run()
    second = {**next(arm for arm in run["arms"] if arm["name"] == "f16"), "name": "f16~aa", "reference": "f16"}
    run = {**run, "arms": [*run["arms"], second]}
    again = [
        {**row, "arm": "f16~aa", "nll_sum": None if row["nll_sum"] is None else row["nll_sum"] + 0.256}
        for row in records.iter_rows(named=True)
        if row["arm"] == "f16" and row["benchmark"] != "gsm8k"
    ]
    both = pl.concat([records, pl.DataFrame(again, schema=RECORD_SCHEMA)])
    results = build_results(run, both, pl.DataFrame([], schema=TIMING_SCHEMA))
    validate("statistical_analysis", results.analysis)
    floors = {
        (row["benchmark"], row["arm"]): (row["noise_floor_difference"], row["noise_floor_difference_reason"])
        for row in results.analysis["comparisons"]
    }
    assert floors[TEXTS[0], "q8_0"][0] == pytest.approx(0.001)  # 0.256 nats on 256 tokens
    assert floors["arc_challenge", "q8_0"] == (0.0, None)
    assert floors["gsm8k", "q8_0"] == (None, "see_flips")
    assert ("gsm8k", "f16~aa") not in floors
    assert not any("f16~aa" in notice for notice in results.comparison["notices"])
    assert "noise floor" in summary_table(results.comparison, results.analysis)
