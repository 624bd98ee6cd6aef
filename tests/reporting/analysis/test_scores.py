"""Scores of multiple choice beside accuracy: their rows, margins and verdicts, alone and with early stop."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from actors.items import Choose
from actors.json_lines import write_jsonl
from actors.orchestrator.early_stop import EarlyStop, read_early_stop
from actors.orchestrator.precision import describe_precision, precision_of
from actors.orchestrator.records import read_records
from actors.records import Record
from conf.schema.verdicts import Statistics
from reporting.analysis.early import Stop
from reporting.analysis.results import Results, build_results
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from stats.intervals import t_interval
from stats.verdict import Verdict
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan, modified
from tests.reporting.sample_run import N_ITEMS, SampleRun, sample_run
from tests.reporting.scores_run import scores_run

PROBABILITY = {"arc_challenge": "gold_probability"}


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return scores_run()


def _made(sample: SampleRun, statistics: Statistics, stopped: tuple[Stop, ...] = ()) -> Results:
    made = build_results(*sample, statistics, stopped)
    validate("statistical_analysis", made.analysis)
    validate("quantization_comparison", made.comparison)
    return made


def _values(sample: SampleRun, arm: str, score: str) -> np.ndarray:
    own = sample.records.filter((pl.col("arm") == arm) & (pl.col("benchmark") == "arc_challenge"))
    return own.sort("item_id")[score].to_numpy()


def _row(rows: list[dict[str, Any]], **wanted: str) -> dict[str, Any]:
    (row,) = [one for one in rows if all(one[name] == value for name, value in wanted.items())]
    return row


ARC = {"arm": "q4_k_m", "benchmark": "arc_challenge"}


def test_each_score_has_a_row_beside_accuracy_and_only_accuracy_is_primary(sample: SampleRun) -> None:
    rows = _made(sample, Statistics()).comparison["results"]
    own = [row for row in rows if (row["arm"], row["benchmark"]) == ("q4_k_m", "arc_challenge")]
    assert [(row["metric"], row["primary"]) for row in own] == [
        ("accuracy", True),
        ("gold_probability", False),
        ("gold_loglik", False),
    ]
    assert own[1]["mean"] == pytest.approx(_values(sample, "q4_k_m", "gold_probability").mean())
    assert (own[1]["ci_method"], own[2]["ci_method"]) == ("wilson", "t")
    assert {row["metric"] for row in rows if row["benchmark"] == "gsm8k"} == {"accuracy"}


def test_by_default_the_verdict_goes_by_accuracy_and_the_others_are_reported_without_one(sample: SampleRun) -> None:
    analysis = _made(sample, Statistics()).analysis
    assert _row(analysis["comparisons"], **ARC)["metric"] == "accuracy"
    row = _row(analysis["score_comparisons"], **ARC, metric="gold_probability")
    differences = _values(sample, "q4_k_m", "gold_probability") - _values(sample, "f16", "gold_probability")
    expected = t_interval(differences)
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["ci95"] == pytest.approx([expected.low, expected.high])
    assert "verdict" not in row
    margins = {one["metric"]: one["margin"] for one in analysis["score_comparisons"]}
    assert margins == {"gold_probability": 0.005, "gold_loglik": 0.05}


@pytest.mark.parametrize(("score", "margin"), [("gold_probability", 0.005), ("gold_loglik", 0.05)])
def test_a_verdict_goes_by_the_score_that_the_configuration_names(sample: SampleRun, score: str, margin: float) -> None:
    by_accuracy = _made(sample, Statistics())
    made = _made(sample, Statistics.model_validate({"verdict_score": {"arc_challenge": score}}))
    rows = made.analysis["comparisons"]
    assert len(rows) == len(by_accuracy.analysis["comparisons"])
    row = _row(rows, **ARC)
    assert (row["metric"], row["margin"], row["verdict"]) == (score, margin, "worse")
    assert row["flips"] == _row(by_accuracy.analysis["comparisons"], **ARC)["flips"] is not None
    assert _row(made.analysis["score_comparisons"], **ARC, metric="accuracy")["margin"] == 0.01
    assert "arc_challenge" in _row(made.analysis["verdicts"], arm="q4_k_m")["worse_on"]
    scores = {one["name"]: one["verdict_score"] for one in made.comparison["benchmarks"]}
    assert (scores["arc_challenge"], scores["gsm8k"], scores["perplexity_wikitext2"]) == (score, "accuracy", "nll")
    assert f"diff in {score}" in summary_table(made.comparison, made.analysis)
    # Accuracy is shown in any case.
    assert made.comparison["results"] == by_accuracy.comparison["results"]


def test_a_run_without_likelihoods_has_no_rows_of_these_scores() -> None:
    made = _made(sample_run(), Statistics())
    assert made.analysis["score_comparisons"] == []
    chosen = _made(sample_run(), Statistics.model_validate({"verdict_score": PROBABILITY}))
    row = _row(chosen.analysis["comparisons"], **ARC)
    assert (row["verdict"], row["difference_reason"]) == ("undecided", "no_paired_items")


def test_with_early_stop_a_probability_gets_the_betting_interval_and_a_log_likelihood_none(sample: SampleRun) -> None:
    stops = tuple(
        Stop(
            arm=arm,
            benchmark="arc_challenge",
            verdict=None if arm == "f16" else Verdict.UNDECIDED,
            n_tests=None if arm == "f16" else 4,
            n_items_planned=N_ITEMS,
            n_items_begun=N_ITEMS,
            n_items_looked_at=N_ITEMS,
            n_records_planned=N_ITEMS,
            n_records_saved=0,
        )
        for arm in ("f16", "q8_0", "q4_k_m")
    )
    analysis = _made(sample, Statistics(), stops).analysis
    probability = _row(analysis["score_comparisons"], **ARC, metric="gold_probability")
    loglik = _row(analysis["score_comparisons"], **ARC, metric="gold_loglik")
    assert (probability["ci_method"], probability["test"]) == ("betting", "betting")
    assert (loglik["ci95_reason"], loglik["p_value_reason"]) == ("early_stop", "early_stop")


def test_old_records_give_the_scores_from_their_log_likelihoods(tmp_path: Path) -> None:
    benchmark = deterministic(2)
    task = benchmark.items[0].task
    assert isinstance(task, Choose)
    long = dataclasses.replace(task, choices=(" aa", " bbbb"))
    items = (dataclasses.replace(benchmark.items[0], task=long, target=1), benchmark.items[1])
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (modified(benchmark, items=items),)}))
    for block in plan.blocks:
        path = Path(block.records_path)
        path.parent.mkdir(parents=True)
        made = [
            Record(item.item_id, 0, item.prompt_hash, None, "correct", score=1.0, choice_logliks=(-6.0, -4.0))
            for item in items
        ]
        write_jsonl(path, [made[0], dataclasses.replace(made[1], outcome="unscored", choice_logliks=None)])
    records = read_records(plan, make_config(), read_early_stop(plan, make_config(), ())).records
    own = records.filter(pl.col("arm") == "q8_0").sort("item_id")
    assert own["gold_probability"].to_list() == [pytest.approx(0.997527, abs=1e-6), None]
    assert own["gold_loglik"].to_list() == [-4.0, None]


def test_the_plan_names_the_score_and_a_benchmark_with_another_score_runs_to_its_end(tmp_path: Path) -> None:
    plain = make_config(statistics={"early_stop": True})
    config = make_config(statistics={"early_stop": True, "verdict_score": {"chosen": "gold_probability"}})
    plan = make_small_plan(tmp_path)
    assert {one.benchmark for one in EarlyStop(plan, plain).comparisons} == {"asked", "chosen"}
    assert {one.benchmark for one in EarlyStop(plan, config).comparisons} == {"asked"}
    lines = describe_precision(precision_of(plan, config), config.statistics)
    assert "verdicts go by gold_probability on chosen" in lines[-1]
    # With t(2011 df) = 1.961144: n >= (1.961144 + 0.841621)^2 * 0.08^2 / 0.005^2 = 2011.01.
    assert next(one for one in precision_of(plan, config) if one.benchmark == "chosen").items_for_margin == (2012, 2012)
    other = make_small_plan(tmp_path, statistics={"verdict_score": {"chosen": "gold_probability"}})
    assert other.plan_hash != plan.plan_hash
