"""Results of unusual records: always valid by the schema, without false certainty, without a crash or a warning."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA
from reporting.terminal.layout import display_width
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from tests.reporting.sample_run import SampleRun, sample_run

OUTCOMES = ("correct", "wrong", "measured", "unscored")
SAMPLE = sample_run()


def _checked(sample: SampleRun) -> Results:
    results = build_results(*sample)
    validate("quantization_comparison", results.comparison)
    validate("statistical_analysis", results.analysis)
    summary_table(results.comparison, results.analysis)
    return results


def _with_outcome(outcome: str, **values: Any) -> SampleRun:
    scored = pl.col("outcome").is_in(["correct", "wrong"])
    columns = [pl.when(scored).then(pl.lit(outcome)).otherwise(pl.col("outcome")).alias("outcome")]
    columns += [
        pl.when(scored).then(pl.lit(value, dtype=RECORD_SCHEMA[name])).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    ]
    return SAMPLE._replace(records=SAMPLE.records.with_columns(columns))


@pytest.mark.parametrize(("outcome", "score"), [("correct", 1.0), ("wrong", 0.0)])
def test_all_right_or_all_wrong_still_has_an_interval(outcome: str, score: float) -> None:
    results = _checked(_with_outcome(outcome, score=score))
    for row in results.comparison["results"]:
        if row["metric"] == "accuracy":
            assert row["mean"] == score
            assert row["ci95"][1] - row["ci95"][0] > 0.05
    for row in results.analysis["comparisons"]:
        if row["metric"] == "accuracy":
            assert (row["p_value"], row["cohens_d"], row["cohens_d_reason"]) == (1.0, None, "zero_variance")
            assert row["ci95"][0] < 0 < row["ci95"][1]


def test_all_unscored_has_no_mean_and_no_difference() -> None:
    results = _checked(_with_outcome("unscored", score=None, reason="no_judge"))
    rows = [row for row in results.comparison["results"] if row["metric"] == "accuracy"]
    assert all(row["mean"] is None and row["ci95"] == [0.0, 1.0] for row in rows)
    compared = [row for row in results.analysis["comparisons"] if row["metric"] == "accuracy"]
    assert {row["difference_reason"] for row in compared} == {"no_paired_items"}


@pytest.mark.parametrize("n_items", [1, 2])
def test_one_or_two_items_in_one_run(n_items: int) -> None:
    kept = SAMPLE.records.filter((pl.col("item_id").str.slice(-4).cast(pl.Int64) < n_items) & (pl.col("seed") == 0))
    results = _checked(SAMPLE._replace(records=kept))
    gsm8k = next(row for row in results.comparison["results"] if row["benchmark"] == "gsm8k")
    assert (gsm8k["n_runs"], gsm8k["sigma_runs"], gsm8k["sigma_runs_reason"]) == (1, None, "one_run")
    effects = {row["cohens_d_reason"] for row in results.analysis["comparisons"]}
    assert effects == {"too_few_items"}


def test_an_arm_that_failed_completely_is_shown_without_numbers() -> None:
    arms = [dict(arm) for arm in SAMPLE.run["arms"]]
    unknown = dict.fromkeys(("size_bytes", "bits_per_weight", "sha256", "file", "fallbacks", "quantize_seconds"))
    arms[2] |= unknown | {"failed": "LlamaError: out of memory \x1b[31m"}
    lost = pl.col("arm") == "q4_k_m"
    columns = [pl.when(lost).then(pl.lit("unscored")).otherwise(pl.col("outcome")).alias("outcome")]
    columns += [pl.when(lost).then(None).otherwise(pl.col(name)).alias(name) for name in ("score", "nll_sum")]
    run = SAMPLE.run | {"arms": arms}
    records = SAMPLE.records.with_columns(columns)
    results = _checked(SampleRun(run, records, SAMPLE.timings.filter(pl.col("arm") != "q4_k_m")))
    text = summary_table(results.comparison, results.analysis)
    assert "failed: q4_k_m: LlamaError: out of memory ?[31m" in text
    assert "\x1b" not in text


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(1, 12), st.sampled_from([0.0, 0.3, 0.9]))
def test_any_mixture_of_outcomes_gives_valid_results(seed: int, n_items: int, unscored: float) -> None:
    draw = random.Random(seed)
    small = SAMPLE.records.filter(pl.col("item_id").str.slice(-4).cast(pl.Int64) < n_items)
    rows = []
    for row in small.to_dicts():
        outcome = "unscored" if draw.random() < unscored else draw.choice(OUTCOMES)
        score = {"correct": 1.0, "wrong": 0.0}.get(outcome)
        nll_sum = draw.choice([0.0, 700.0, draw.uniform(0, 3000)]) if outcome == "measured" else None
        rows.append(row | {"outcome": outcome, "score": score, "nll_sum": nll_sum, "n_tokens": 256})
    results = _checked(SAMPLE._replace(records=pl.DataFrame(rows, schema=RECORD_SCHEMA)))
    for result in results.comparison["results"]:
        assert result["ci95"] is None or result["ci95"][0] < result["ci95"][1]
        assert (result["ci95"] is None) == (result["ci95_reason"] is not None)


def test_the_summary_fits_its_columns_even_with_long_names() -> None:
    long = {
        "f16": "elyza-japanese-llama-2-7b-instruct~f16",
        "q8_0": "量子化八ビット" * 5,
        "q4_k_m": "m~q4_k_m+en-ja4+phigh",
    }
    results = build_results(*SAMPLE)
    for row in [*results.comparison["results"], *results.comparison["performance"]]:
        row["arm"] = long[row["arm"]]
    for arm in results.comparison["arms"]:
        arm["name"] = long[arm["name"]]
    for row in [*results.analysis["comparisons"], *results.analysis["verdicts"]]:
        row["arm"] = long[row["arm"]]
    text = summary_table(results.comparison, results.analysis)
    assert max(map(display_width, text.splitlines())) <= 80


def test_one_number_is_shown_without_an_interval() -> None:
    facts, records, timings = sample_run()
    benchmarks = [
        one | {"kind": "function", "scale": None} if one["name"] == "gsm8k" else one for one in facts["benchmarks"]
    ]
    of_gsm8k = pl.col("benchmark") == "gsm8k"
    first = records.filter(of_gsm8k).unique(["arm", "seed"], keep="first", maintain_order=True)
    whole = first.with_columns(
        pl.lit("whole").alias("item_id"),
        pl.lit("h").alias("prompt_hash"),
        pl.lit("wrong", RECORD_SCHEMA["outcome"]).alias("outcome"),
        pl.lit(0.83).alias("score"),
    )
    numbers = pl.concat([records.filter(~of_gsm8k), whole])
    results = _checked(SampleRun(facts | {"benchmarks": benchmarks}, numbers, timings))
    rows = [row for row in results.comparison["results"] if row["benchmark"] == "gsm8k"]
    assert {(row["mean"], row["ci95"], row["ci95_reason"]) for row in rows} == {(0.83, None, "one_item")}
    compared = [row for row in results.analysis["comparisons"] if row["benchmark"] == "gsm8k"]
    assert {(row["difference"], row["ci95"], row["ci95_reason"]) for row in compared} == {(0.0, None, "one_item")}
    # It informs only: it has no p value, and no arm's verdict waits for it. A notice says so.
    assert {(row["p_value"], row["p_value_reason"], row["informs_only"]) for row in compared} == {
        (None, "one_item", True)
    }
    without = [one for one in benchmarks if one["name"] != "gsm8k"]
    others = _checked(SampleRun(facts | {"benchmarks": without}, records.filter(~of_gsm8k), timings))
    assert results.analysis["verdicts"] == others.analysis["verdicts"]
    adjusted = [row["p_adjusted"] for row in results.analysis["comparisons"] if row["benchmark"] != "gsm8k"]
    assert adjusted == [row["p_adjusted"] for row in others.analysis["comparisons"]]
    assert sum("gsm8k: its function returns one number" in one for one in results.comparison["notices"]) == 1


def test_a_declared_scale_decides_how_scores_are_read() -> None:
    """The same answers on scales from 1 to 5 and from 2 to 10: bounds twice as far apart, and never a share."""
    facts, records, timings = sample_run()
    of_gsm8k = pl.col("benchmark") == "gsm8k"

    def on_scale(low: float, high: float) -> Results:
        score = low + (high - low) * pl.col("score")
        scored = records.with_columns(pl.when(of_gsm8k).then(score).otherwise("score").alias("score"))
        benchmarks = [one | {"scale": [low, high]} if one["name"] == "gsm8k" else one for one in facts["benchmarks"]]
        return _checked(SampleRun(facts | {"benchmarks": benchmarks}, scored, timings))

    judged, doubled = on_scale(1.0, 5.0), on_scale(2.0, 10.0)
    for name in ("results", "comparisons"):
        ours, theirs = (
            [
                row
                for row in (one.comparison["results"] if name == "results" else one.analysis["comparisons"])
                if row["benchmark"] == "gsm8k"
            ]
            for one in (judged, doubled)
        )
        for row, double in zip(ours, theirs, strict=True):
            assert double["ci95"] == pytest.approx([2 * end for end in row["ci95"]])
            assert row["ci_method"] == double["ci_method"]
    margins = {row["margin"] for row in judged.analysis["comparisons"] if row["benchmark"] == "gsm8k"}
    assert margins == {judged.analysis["margins"]["judged"]}


def test_a_record_outside_the_declared_scale_is_unscored() -> None:
    facts, records, timings = sample_run()
    one = (pl.col("benchmark") == "gsm8k") & (pl.col("arm") == "f16") & (pl.col("outcome") == "correct")
    place = records.with_row_index().filter(one)["index"][0]
    damaged = records.with_columns(pl.when(pl.int_range(pl.len()) == place).then(1.5).otherwise("score").alias("score"))
    rows = {
        which: next(row for row in _checked(SampleRun(facts, found, timings)).comparison["results"])
        for which, found in (("before", records), ("after", damaged))
    }
    assert rows["after"]["n_unscored"] == rows["before"]["n_unscored"] + 1
    assert rows["after"]["n_correct"] == rows["before"]["n_correct"] - 1
    assert rows["after"]["unscored_reasons"]["score_outside_scale"] == 1
