"""Divergence in the results: rows per arm and class, what cannot be compared, the noise floor."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA, class_column
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from tests.reporting.sample_run import sample_run

KLD_A_TOKEN = {"q8_0": 0.001, "q4_k_m": 0.05}
TEXTS = ("perplexity_wikitext2", "perplexity_ja_wiki")


def compared(arms: dict[str, float] = KLD_A_TOKEN, reason: str | None = None) -> Results:
    """The sample run with sums of divergence: 56 tokens of mathematics a chunk, each three times as far off."""
    run, records, timings = sample_run()
    rows = [_with_sums(row, arms, reason) for row in records.iter_rows(named=True)]
    return build_results(run, pl.DataFrame(rows, schema=RECORD_SCHEMA), timings)


def _with_sums(row: dict[str, Any], arms: dict[str, float], reason: str | None) -> dict[str, Any]:
    if row["benchmark"] not in TEXTS or row["outcome"] != "measured":
        return row
    n_tokens, loss = row["n_tokens"], row["nll_sum"]
    for label, tokens in (("mathematics", 56), ("other", n_tokens - 56)):
        row |= {class_column(label, "n_tokens"): tokens, class_column(label, "nll_sum"): loss * tokens / n_tokens}
    if row["arm"] not in arms:
        return row | {"divergence_reason": "no_reference"}
    if reason:
        return row | {"divergence_reason": reason}
    each = arms[row["arm"]]
    sums = {"mathematics": (56, 3 * each), "other": (n_tokens - 56, each)}
    for label, (tokens, kld) in sums.items():
        row |= {
            class_column(label, "kld_sum"): kld * tokens,
            class_column(label, "top_agree"): tokens - 5,
            class_column(label, "p_change_sum"): -0.01 * tokens,
            class_column(label, "p_change_squares"): 0.0004 * tokens,
        }
    names = ("kld_sum", "top_agree", "p_change_sum", "p_change_squares")
    return row | {name: row[class_column("mathematics", name)] + row[class_column("other", name)] for name in names}


def rows_of(results: Results, arm: str, benchmark: str = TEXTS[0]) -> dict[str, dict[str, Any]]:
    rows = results.comparison["results"]
    return {row["metric"]: row for row in rows if (row["arm"], row["benchmark"]) == (arm, benchmark)}


def test_every_arm_with_a_reference_has_rows_of_divergence_and_one_primary() -> None:
    results = compared()
    validate("quantization_comparison", results.comparison)
    validate("statistical_analysis", results.analysis)
    found = rows_of(results, "q8_0")
    assert [metric for metric, row in found.items() if row["primary"]] == ["nll"]
    n = found["kld"]["n_tokens"]
    # By hand: 56 of 256 tokens are three times as far off.
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
    results = compared()
    (difference,) = [
        row["difference"]
        for row in results.analysis["comparisons"]
        if (row["arm"], row["benchmark"]) == ("q4_k_m", TEXTS[0])
    ]
    assert rows_of(results, "q4_k_m")["perplexity_ratio"]["mean"] == pytest.approx(math.exp(difference))


def test_the_reference_has_losses_by_class_and_no_divergence() -> None:
    assert set(rows_of(compared(), "f16")) == {"nll", "perplexity", "nll_mathematics", "nll_other"}


def test_what_was_not_compared_says_why() -> None:
    found = rows_of(compared(reason="vocabularies_differ"), "q8_0")
    assert (found["kld"]["mean"], found["kld"]["mean_reason"]) == (None, "vocabularies_differ")
    assert "top_agreement" not in found
    run, records, timings = sample_run()
    plain = rows_of(build_results(run, records, timings), "q8_0")
    assert plain["kld"]["mean_reason"] == "not_compared"


def test_the_summary_shows_the_divergence_of_each_arm_within_its_width() -> None:
    results = compared()
    text = summary_table(results.comparison, results.analysis)
    (heading,) = {line for line in text.splitlines() if "KLD mathematics" in line}
    assert "same top token" in heading
    assert any(line.startswith("q4_k_m") and "0.1500" in line for line in text.splitlines())
    assert max(len(line) for line in text.splitlines()) <= 120


def test_the_noise_floor_stands_beside_each_comparison_and_is_left_out_where_answers_are_sampled() -> None:
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
