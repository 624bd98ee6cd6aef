"""Results of the sample run and of changed sample runs: field names, meanings, determinism."""

from __future__ import annotations

import json
import math
from typing import Any

import polars as pl
import pytest

from reporting.analysis.cells import FindingsFailed
from reporting.analysis.performance import performance_rows
from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from stats.intervals import wilson
from tests.reporting.sample_run import SampleRun, sample_run


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


@pytest.fixture(scope="module")
def results(sample: SampleRun) -> Results:
    return build_results(*sample)


def _result(results: Results, arm: str, benchmark: str, metric: str | None = None) -> dict[str, Any]:
    row: dict[str, Any]
    (row,) = [
        row
        for row in results.comparison["results"]
        if (row["arm"], row["benchmark"]) == (arm, benchmark)
        and (row["primary"] if metric is None else row["metric"] == metric)
    ]
    return row


def _comparison(results: Results, arm: str, benchmark: str) -> dict[str, Any]:
    row: dict[str, Any]
    (row,) = [r for r in results.analysis["comparisons"] if (r["arm"], r["benchmark"]) == (arm, benchmark)]
    return row


def test_each_arm_and_benchmark_has_exactly_one_primary_row(results: Results) -> None:
    run = results.comparison
    primary = [(row["arm"], row["benchmark"]) for row in run["results"] if row["primary"]]
    assert sorted(primary) == sorted((a["name"], b["name"]) for a in run["arms"] for b in run["benchmarks"])


def test_each_arm_with_a_reference_is_compared_on_each_benchmark(results: Results) -> None:
    pairs = {(row["arm"], row["reference"], row["benchmark"]) for row in results.analysis["comparisons"]}
    benchmarks = [benchmark["name"] for benchmark in results.comparison["benchmarks"]]
    assert pairs == {(arm, "f16", benchmark) for arm in ("q8_0", "q4_k_m") for benchmark in benchmarks}


def test_the_mean_is_over_items_after_averaging_over_seeds(sample: SampleRun, results: Results) -> None:
    scored = sample.records.filter((pl.col("arm") == "q4_k_m") & (pl.col("benchmark") == "gsm8k")).drop_nulls("score")
    means = scored.group_by("item_id").agg(pl.col("score").mean())["score"]
    row = _result(results, "q4_k_m", "gsm8k")
    assert row["mean"] == pytest.approx(float(means.to_numpy().mean()))
    assert row["sigma_items"] == pytest.approx(float(means.to_numpy().std(ddof=1)))
    assert row["ci95"] == pytest.approx([wilson(row["mean"], 39).low, wilson(row["mean"], 39).high])
    assert row["n_items"] == 39


def test_records_are_counted_by_outcome_and_reason(results: Results) -> None:
    row = _result(results, "q4_k_m", "gsm8k")
    assert (row["n_records"], row["n_unscored"]) == (120, 19)
    assert row["unscored_reasons"] == {"block_failed": 16, "context_too_long": 3}
    assert row["n_correct"] + row["n_wrong"] + row["n_unscored"] == row["n_records"]
    assert sum(row["wrong_reasons"].values()) == row["n_wrong"]


def test_a_benchmark_without_sampling_has_the_reason_no_sampling(results: Results) -> None:
    row = _result(results, "f16", "arc_challenge")
    assert (row["deterministic"], row["n_runs"]) == (True, 1)
    for name in ("sigma_runs", "error_bar_runs", "ci95_fixed_benchmark"):
        assert (row[name], row[f"{name}_reason"]) == (None, "no_sampling")


def test_perplexity_is_the_exponential_of_the_mean_loss(results: Results) -> None:
    nll = _result(results, "q4_k_m", "perplexity_ja_wiki")
    perplexity = _result(results, "q4_k_m", "perplexity_ja_wiki", "perplexity")
    assert (nll["metric"], nll["primary"], perplexity["primary"]) == ("nll", True, False)
    assert perplexity["mean"] == pytest.approx(math.exp(nll["mean"]))
    assert perplexity["ci95"] == pytest.approx([math.exp(end) for end in nll["ci95"]])
    difference = _comparison(results, "q4_k_m", "perplexity_ja_wiki")["difference"]
    reference = _result(results, "f16", "perplexity_ja_wiki", "perplexity")
    assert difference == pytest.approx(math.log(perplexity["mean"] / reference["mean"]))


def test_equal_answers_have_an_interval_but_no_effect_size(results: Results) -> None:
    row = _comparison(results, "q8_0", "arc_challenge")
    assert (row["difference"], row["p_value"], row["cohens_d"]) == (0.0, 1.0, None)
    assert row["cohens_d_reason"] == "zero_variance"
    assert row["ci95"][0] < -0.05 < 0.05 < row["ci95"][1]


def test_items_that_do_not_pair_are_counted(results: Results) -> None:
    row = _comparison(results, "q4_k_m", "gsm8k")
    assert (row["n_items"], row["n_unpaired"], row["n_unpaired_unscored"], row["n_unpaired_prompt"]) == (39, 1, 1, 0)


def test_speed_is_tokens_over_seconds(sample: SampleRun, results: Results) -> None:
    own = sample.timings.filter(pl.col("arm") == "q8_0")
    (row,) = [row for row in results.comparison["performance"] if row["arm"] == "q8_0"]
    assert row["decode_tokens_per_second"] == pytest.approx(sum(own["completion_tokens"]) / sum(own["decode_s"]))
    assert row["time_per_token_ms"] == pytest.approx(1000 / row["decode_tokens_per_second"])
    low, high = row["decode_tokens_per_second_ci95"]
    assert low < row["decode_tokens_per_second"] < high
    assert row["decode_tokens_per_second_n"] == own.filter(pl.col("completion_tokens") > 0).height > 2
    assert (row["load_s"], row["load_s_n"]) == (own["load_s"].max(), 1)  # The arm was loaded once.
    assert (row["load_s_ci95"], row["load_s_ci95_reason"]) == (None, "one_block")
    assert row["n_blocks"] == row["n_blocks_quiet"] == own.height
    by_name = {part["benchmark"]: part for part in row["benchmarks"]}
    assert by_name["arc_challenge"]["decode_tokens_per_second"] is None
    assert by_name["arc_challenge"]["decode_tokens_per_second_reason"] == "not_measured"


def test_tables_contain_every_planned_item_and_answer(results: Results) -> None:
    items, answers = results.tables["items"], results.tables["answers"]
    assert items.columns == ["arm", "benchmark", "item_id", "mean", "n_runs"]
    assert items.height == 3 * (40 + 40 + 24 + 24)
    assert items["mean"].null_count() == 3
    assert answers.height == 3 * (120 + 40 + 24 + 24)
    assert {"text", "answer", "finish_reason", "completion_tokens"} <= set(answers.columns)


def test_the_run_is_copied_into_the_results_with_the_score_of_each_verdict(sample: SampleRun, results: Results) -> None:
    before = sample_run().run
    assert sample.run == before
    before["benchmarks"] = [one | {"verdict_score": one["metric"]} for one in before["benchmarks"]]
    assert {key: results.comparison[key] for key in before} == before


def test_the_same_input_in_any_order_gives_the_same_output(sample: SampleRun, results: Results) -> None:
    shuffled = sample.records.sample(fraction=1.0, shuffle=True, seed=1)
    again = build_results(sample.run, shuffled, sample.timings)
    assert json.dumps(again.comparison) == json.dumps(results.comparison)
    assert json.dumps(again.analysis) == json.dumps(results.analysis)
    assert all(again.tables[name].equals(table) for name, table in results.tables.items())


def test_a_prompt_that_differs_is_not_compared(sample: SampleRun) -> None:
    other = pl.when((pl.col("arm") == "q8_0") & (pl.col("item_id") == "arc-0001")).then(pl.lit("other"))
    records = sample.records.with_columns(other.otherwise(pl.col("prompt_hash")).alias("prompt_hash"))
    row = _comparison(build_results(sample.run, records, sample.timings), "q8_0", "arc_challenge")
    assert (row["n_items"], row["n_unpaired"], row["n_unpaired_prompt"]) == (39, 1, 1)


def test_arms_with_different_planned_items_are_not_compared_but_noticed(sample: SampleRun) -> None:
    records = sample.records.filter(~((pl.col("arm") == "q8_0") & (pl.col("item_id") == "arc-0001")))
    results = build_results(sample.run, records, sample.timings)
    row = _comparison(results, "q8_0", "arc_challenge")
    assert (row["difference"], row["ci95"], row["p_value"], row["cohens_d"]) == (None, None, None, None)
    assert row["difference_reason"] == "planned_sets_differ"
    assert "q8_0 is not compared with f16 on arc_challenge" in results.comparison["notices"][-1]


def test_a_record_that_appears_twice_is_refused(sample: SampleRun) -> None:
    twice = pl.concat([sample.records, sample.records.head(1)])
    with pytest.raises(FindingsFailed, match="two records of item gsm8k-0000 under seed 0"):
        build_results(sample.run, twice, sample.timings)


def test_a_record_of_an_unknown_arm_is_refused(sample: SampleRun) -> None:
    strange = sample.records.with_columns(arm=pl.lit("q2_k"))
    with pytest.raises(ValueError, match="arm q2_k"):
        build_results(sample.run, strange, sample.timings)


def test_an_arm_without_a_reference_is_shown_and_not_compared(sample: SampleRun) -> None:
    run = sample.run | {"arms": [arm | {"reference": None} for arm in sample.run["arms"]]}
    results = build_results(run, sample.records, sample.timings)
    assert results.analysis["comparisons"] == []
    assert len(results.comparison["results"]) == 3 * 6


def test_a_run_that_evaluated_nothing_has_reasons_instead_of_numbers(sample: SampleRun) -> None:
    results = build_results(sample.run, pl.DataFrame(schema=RECORD_SCHEMA), pl.DataFrame(schema=TIMING_SCHEMA))
    accuracy, nll = _result(results, "f16", "gsm8k"), _result(results, "f16", "perplexity_ja_wiki")
    assert (accuracy["mean"], accuracy["mean_reason"]) == (None, "no_scored_items")
    assert (accuracy["ci95"], accuracy["ci_method"]) == ([0.0, 1.0], "score_range")
    assert (nll["ci95"], nll["ci95_reason"]) == (None, "no_scored_items")
    assert results.comparison["performance"][0]["memory_reason"] == "not_measured"


def test_speed_is_taken_from_the_blocks_that_had_a_quiet_machine(sample: SampleRun) -> None:
    busy = pl.col("arm") == "q8_0", pl.col("block").str.starts_with("000000")
    taken = pl.col("machine").struct.with_fields(all_cpu_s=pl.field("all_cpu_s") * 2)
    some = sample.timings.with_columns(machine=pl.when(*busy).then(taken).otherwise(pl.col("machine")))
    row = _performance(sample, some, "q8_0")
    quiet = sample.timings.filter((pl.col("arm") == "q8_0") & ~busy[1])
    assert row["prompt_tokens_per_second"] == pytest.approx(sum(quiet["prompt_tokens"]) / sum(quiet["prompt_s"]))
    assert (row["n_blocks_quiet"], row["prompt_tokens_per_second_n"]) == (quiet.height, quiet.height)
    assert quiet.height < row["n_blocks"]
    assert row["cpu_share_elsewhere"] > 0.1 > row["cpu_share_side_by_side"]
    every = sample.timings.with_columns(machine=taken)
    assert _performance(sample, every, "q8_0")["decode_tokens_per_second_reason"] == "machine_busy"


def test_timings_of_older_versions_give_no_speed_and_no_memory(sample: SampleRun) -> None:
    older = sample.timings.with_columns(
        machine=pl.lit(None, TIMING_SCHEMA["machine"]), memory=pl.lit(None, TIMING_SCHEMA["memory"])
    )
    row = _performance(sample, older, "q8_0")
    assert (row["decode_tokens_per_second"], row["memory"], row["n_blocks_quiet"]) == (None, None, 0)
    assert row["decode_tokens_per_second_reason"] == row["load_s_ci95_reason"] == "machine_not_watched"
    assert row["wall_s"] > 0


def test_the_memory_of_an_arm_is_that_of_the_block_that_takes_most(sample: SampleRun) -> None:
    row = _performance(sample, sample.timings, "q8_0")
    totals = [sum(one.values()) for one in sample.timings.filter(pl.col("arm") == "q8_0")["memory"]]
    assert sum(row["memory"].values()) == max(totals)
    assert len(set(totals)) > 1


def _performance(sample: SampleRun, timings: pl.DataFrame, arm: str) -> dict[str, Any]:
    rows, _ = performance_rows(sample.run["arms"], timings)
    return next(row for row in rows if row["arm"] == arm)
