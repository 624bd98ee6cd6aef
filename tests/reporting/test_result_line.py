"""The RESULT line carries what a watcher shows, matches its schema, and stays below its limit."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from reporting.analysis.results import Results, build_results
from reporting.result_line import MAX_BYTES, result_line, result_of
from reporting.validate import validate
from tests.reporting.sample_run import sample_run

FILES = {"report": "/runs/demo/reports/report.html"}


@pytest.fixture(scope="module")
def sample() -> Results:
    return build_results(*sample_run())


def _value(results: Results, failures: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return result_of(results.comparison, results.analysis, failures=failures or [], files=FILES)


def test_it_matches_its_schema_and_reads_back(sample: Results) -> None:
    line = result_line(_value(sample))
    assert "\n" not in line
    assert line.startswith("RESULT {")
    read = json.loads(line.removeprefix("RESULT "))
    validate("result", read)
    assert read == _value(sample)


def test_numbers_are_those_of_the_results(sample: Results) -> None:
    value = _value(sample)
    row = next(one for one in value["results"] if (one["arm"], one["benchmark"]) == ("q4_k_m", "perplexity_wikitext2"))
    against = next(
        one
        for one in sample.analysis["comparisons"]
        if (one["arm"], one["benchmark"]) == ("q4_k_m", "perplexity_wikitext2")
    )
    assert row["metric"] == "perplexity"
    assert row["difference_metric"] == "nll"
    assert row["difference"] == pytest.approx(against["difference"], rel=1e-5)
    assert row["difference_ci95"] == pytest.approx(against["ci95"], rel=1e-5)
    assert (row["verdict"], row["n_paired"]) == ("worse", against["n_items"])
    arm = next(one for one in value["arms"] if one["name"] == "q8_0")
    assert (arm["verdict"], arm["size_bytes"]) == ("undecided", 144_811_552)
    assert value["headlines"]["en"] == [
        "Keep f16 (the Q4_1 source, dequantized): no other file is shown to be no worse (1 of 2 is undecided)."
    ]


def test_failures_are_named_and_cut(sample: Results) -> None:
    failures = [{"unit": f"block {n}", "phase": "evaluate", "error": "x" * 5000} for n in range(60)]
    value = _value(sample, failures)
    validate("result", value)
    assert value["state"] == "failed"
    assert len(value["failures"]) == 50
    assert value["left_out"]["failures"] == 10
    assert len(value["failures"][0]["error"]) == 200


def test_a_large_run_is_cut_to_the_limit_and_says_what_is_left_out(sample: Results) -> None:
    comparison = copy.deepcopy(sample.comparison)
    rows = [row for row in comparison["results"] if row["primary"]]
    comparison["results"] = [
        {**row, "arm": f"量子化-{number}", "benchmark": f"benchmark_{number}"} for number in range(300) for row in rows
    ]
    value = result_of(comparison, sample.analysis, failures=[], files=FILES)
    validate("result", value)
    assert len(result_line(value).encode()) <= MAX_BYTES
    assert value["left_out"]["results"] > 0
    assert len(value["results"]) + value["left_out"]["results"] == 300 * len(rows)
    assert len(value["arms"]) == 3


def test_a_rest_of_rounding_is_zero(sample: Results) -> None:
    analysis = copy.deepcopy(sample.analysis)
    analysis["comparisons"][0]["difference"] = -8.67e-19
    value = result_of(sample.comparison, analysis, failures=[], files=FILES)
    row = analysis["comparisons"][0]
    shown = next(one for one in value["results"] if (one["arm"], one["benchmark"]) == (row["arm"], row["benchmark"]))
    assert repr(shown["difference"]) == "0.0"
