"""The claim on average in the result files: what it says, what it needs, and what leaves it undecided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from conf.schema import Statistics
from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from tests.reporting.sample_run import SampleRun, sample_run

Scores = Mapping[str, Mapping[str, np.ndarray]]
"""Benchmark -> arm -> right (1) or wrong (0) for each item; NaN is unscored. The first arm is the reference."""


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


def _flipped(n: int, lost: int, gained: int) -> dict[str, np.ndarray]:
    """Return a reference that is right on 70% of its items, and an arm that differs on some of them."""
    reference = (np.arange(n) < 0.7 * n).astype(float)
    arm = reference.copy()
    arm[:lost] = 0.0
    arm[n - gained :] = 1.0
    return {"f16": reference, "q8_0": arm}


def _made(
    sample: SampleRun,
    scores: Scores,
    *,
    sizes: Mapping[str, int] | None = None,
    sources: Mapping[str, str] | None = None,
    text_loss: float = 0.0,
    kinds: Mapping[str, str] | None = None,
    **settings: Any,
) -> Results:
    """Return checked results of made-up scores, and of a text on which each arm loses `text_loss` nats per token."""
    arms = list(next(iter(scores.values())))
    described = [
        sample.run["arms"][1]
        | {"name": arm, "recipe": arm, "size_bytes": (sizes or {}).get(arm, 100 - place), "failed": None}
        | {"reference": None if place == 0 else arms[0]}
        for place, arm in enumerate(arms)
    ]
    benchmarks = [
        sample.run["benchmarks"][1]
        | {"name": name, "kind": (kinds or {}).get(name, "choose")}
        | ({"sources": sources[name]} if sources else {})
        for name in scores
    ]
    rows = [
        _row(arm, name, item, values)
        for name, of in scores.items()
        for arm, values in of.items()
        for item in range(values.size)
    ]
    text = sample.run["benchmarks"][2]
    for place, arm in enumerate(arms):
        for chunk in range(60):
            noise = 0.001 * ((chunk * 7 + place) % 5 - 2) + text_loss * (place > 0)
            fields = {"outcome": "measured", "nll_sum": (3.0 + noise) * 256, "n_tokens": 256, "prompt_hash": str(chunk)}
            rows.append(
                dict.fromkeys(RECORD_SCHEMA)
                | {"arm": arm, "benchmark": text["name"], "seed": 0}
                | fields
                | {"item_id": f"{chunk:06d}"}
            )
    run = sample.run | {"arms": described, "benchmarks": [*benchmarks, text], "failures": [], "notices": []}
    made = build_results(
        run,
        pl.DataFrame(rows, schema=RECORD_SCHEMA),
        pl.DataFrame(schema=TIMING_SCHEMA),
        Statistics.model_validate(settings),
    )
    validate("statistical_analysis", made.analysis)
    validate("quantization_comparison", made.comparison)
    summary_table(made.comparison, made.analysis)
    return made


def _row(arm: str, benchmark: str, item: int, values: np.ndarray) -> dict[str, Any]:
    value = float(values[item])
    row = dict.fromkeys(RECORD_SCHEMA) | {"arm": arm, "benchmark": benchmark, "seed": 0, "item_id": f"{item:05d}"}
    row |= {"prompt_hash": f"{benchmark} {item}"}
    if np.isnan(value):
        return row | {"outcome": "unscored", "reason": "block_failed"}
    return row | {"outcome": "correct" if value else "wrong", "score": value}


def _claim(found: Results, arm: str = "q8_0") -> dict[str, Any]:
    claim: dict[str, Any]
    (claim,) = [row for row in found.analysis["pooled"] if row["arm"] == arm]
    return claim


def _verdict(found: Results, arm: str = "q8_0") -> dict[str, Any]:
    verdict: dict[str, Any]
    (verdict,) = [row for row in found.analysis["verdicts"] if row["arm"] == arm]
    return verdict


NOTHING_LOST: Scores = {
    "gsm8k": _flipped(1319, 13, 13),
    "math": _flipped(500, 5, 5),
    "arc_challenge": _flipped(1172, 12, 12),
}


def test_no_worse_on_average_can_be_shown_where_single_benchmarks_stay_open(sample: SampleRun) -> None:
    found = _made(sample, NOTHING_LOST)
    claim = _claim(found)
    assert (claim["verdict"], claim["verdict_grounds"], claim["decides"]) == ("no_worse", ["above_margin"], False)
    assert [(row["benchmark"], row["n_items"]) for row in claim["benchmarks"]] == [
        ("gsm8k", 1319),
        ("math", 500),
        ("arc_challenge", 1172),
    ]
    assert [row["weight"] for row in claim["benchmarks"]] == pytest.approx([1 / 3] * 3)
    # 26, 10 and 24 flips: SE² = (26/1319² + 10/500² + 24/1172²)/9 = .0028366², half-width 1.963·SE = .00557.
    assert claim["difference"] == pytest.approx(0.0, abs=1e-12)
    assert claim["ci95"] == pytest.approx([-0.00557, 0.00557], abs=1e-5)
    assert (claim["n_items"], claim["n_sources"]) == (2991, 2991)
    verdict = _verdict(found)
    assert (verdict["verdict"], verdict["on_average"]) == ("undecided", "no_worse")
    assert "math" in verdict["undecided_on"]


def test_the_detectable_loss_is_that_of_the_plan(sample: SampleRun) -> None:
    # The plan with the observed discordance of 2%: 2.8016·√(.02/9·(1/1319 + 1/500 + 1/1172)) = .00794.
    assert _claim(_made(sample, NOTHING_LOST))["detectable_drop"] == pytest.approx(0.00794, rel=0.02)


def test_a_gain_on_one_benchmark_makes_up_for_a_loss_on_another_and_the_loss_is_still_named(sample: SampleRun) -> None:
    scores = {**NOTHING_LOST, "gsm8k": _flipped(1319, 60, 13), "math": _flipped(500, 0, 20)}
    found = _made(sample, scores)
    assert _claim(found)["verdict"] == "no_worse"
    verdict = _verdict(found)
    assert (verdict["verdict"], verdict["worse_on"], verdict["on_average"]) == ("worse", ["gsm8k"], "no_worse")


def test_a_mean_loss_beyond_the_margin_is_worse(sample: SampleRun) -> None:
    scores = {name: _flipped(values["f16"].size, values["f16"].size // 20, 2) for name, values in NOTHING_LOST.items()}
    claim = _claim(_made(sample, scores))
    assert claim["verdict"] == "worse"
    assert claim["p_beyond_margin"] < 0.025
    assert claim["p_value"] < 1e-6


def test_the_margin_of_the_mean_is_one_of_its_own(sample: SampleRun) -> None:
    found = _made(sample, NOTHING_LOST, margins={"pooled": 0.005, "accuracy": 0.05})
    assert (_claim(found)["verdict"], _claim(found)["margin"]) == ("undecided", 0.005)
    assert _verdict(found)["verdict"] == "no_worse"
    assert found.analysis["margins"]["pooled"] == 0.005


def test_unscored_records_count_against_the_claim(sample: SampleRun) -> None:
    scores = {name: dict(values) for name, values in NOTHING_LOST.items()}
    scores["gsm8k"]["q8_0"] = scores["gsm8k"]["q8_0"].copy()
    scores["gsm8k"]["q8_0"][100:260] = np.nan
    claim = _claim(_made(sample, scores))
    # 160 of 1319 lost in the worst case: .12/3 = 4 points of the mean.
    assert (claim["verdict"], claim["verdict_grounds"]) == ("undecided", ["unscored"])
    assert claim["ci95_worst_case"][0] < -0.035
    assert claim["n_unscored"] == 160
    scores["gsm8k"]["q8_0"][100:260] = NOTHING_LOST["gsm8k"]["q8_0"][100:260]
    scores["gsm8k"]["q8_0"][100:103] = np.nan
    assert _claim(_made(sample, scores))["verdict"] == "no_worse"


def test_a_benchmark_without_a_result_leaves_no_mean_over_the_others(sample: SampleRun) -> None:
    scores = {name: dict(values) for name, values in NOTHING_LOST.items()}
    scores["math"]["q8_0"] = np.full(500, np.nan)
    claim = _claim(_made(sample, scores))
    assert (claim["difference"], claim["difference_reason"]) == (None, "benchmark_missing")
    assert (claim["verdict"], claim["verdict_grounds"]) == ("undecided", ["no_interval"])


@pytest.mark.parametrize(("level", "ground"), [(0.0, "floor"), (1.0, "ceiling")])
def test_a_benchmark_that_measures_nothing_does_not_dilute_a_loss(sample: SampleRun, level: float, ground: str) -> None:
    dull = {arm: np.full(3000, level) for arm in ("f16", "q8_0")}
    found = _made(sample, {"gsm8k": _flipped(3000, 20, 20), "math": dull})
    assert (_claim(found)["verdict"], _claim(found)["verdict_grounds"]) == ("undecided", [ground])


def test_more_than_the_share_of_a_weak_reference_may_not_be_lost_on_average(sample: SampleRun) -> None:
    # The reference gets 6% right, the arm 5.4%: within a point, but a tenth of what is right.
    reference = (np.arange(4000) < 240).astype(float)
    arm = (np.arange(4000) < 216).astype(float)
    weak = {"f16": reference, "q8_0": arm}
    claim = _claim(_made(sample, {"gsm8k": weak, "math": weak}))
    assert claim["ci95"][0] > -0.01
    assert claim["verdict"] != "no_worse"
    assert claim["kept"]["beyond"] == pytest.approx(-0.006 + 0.05 * 0.06)


def test_scores_on_a_scale_of_their_own_are_not_pooled(sample: SampleRun) -> None:
    scaled = {arm: 3.0 * values for arm, values in NOTHING_LOST["math"].items()}
    claim = _claim(_made(sample, {**NOTHING_LOST, "math": scaled}))
    assert claim["difference_reason"] == "scales_differ"


def test_benchmarks_that_ask_about_the_same_sources_share_them(sample: SampleRun) -> None:
    scores = {name: _flipped(1000, 20, 20) for name in ("arc_challenge", "arc_challenge_letter")}
    apart = _claim(_made(sample, scores, sources={name: name for name in scores}))
    together = _claim(_made(sample, scores, sources=dict.fromkeys(scores, "arc_challenge")))
    assert (apart["n_sources"], together["n_sources"]) == (2000, 1000)
    # The same items flip: the interval of the mean is that of one of them.
    assert together["ci95"][1] == pytest.approx(2**0.5 * apart["ci95"][1])


# --- tiers ----------------------------------------------------------------------------------------


def test_the_verdict_needs_the_mean_of_benchmarks_that_need_not_hold_by_themselves(sample: SampleRun) -> None:
    tiers = {"each": ["perplexity_wikitext2"]}
    found = _made(sample, NOTHING_LOST, tiers=tiers)
    assert (_verdict(found)["verdict"], _claim(found)["decides"]) == ("no_worse", True)
    assert _verdict(found)["undecided_on"] == []
    assert found.analysis["selections"][0]["smallest_no_worse"] == "q8_0"
    lost = {name: _flipped(values["f16"].size, values["f16"].size // 10, 0) for name, values in NOTHING_LOST.items()}
    found = _made(sample, lost, tiers=tiers)
    assert (_verdict(found)["verdict"], _verdict(found)["worse_on"]) == ("worse", [])
    assert _verdict(_made(sample, NOTHING_LOST, tiers=tiers, text_loss=0.1))["verdict"] == "worse"


def test_no_verdict_depends_on_what_only_informs(sample: SampleRun) -> None:
    scores = {**NOTHING_LOST, "math": _flipped(500, 100, 0)}
    found = _made(sample, scores, tiers={"inform": ["math"]}, margins={"accuracy": 0.02})
    assert _verdict(found)["verdict"] == "no_worse"
    assert [row["benchmark"] for row in _claim(found)["benchmarks"]] == ["gsm8k", "arc_challenge"]
    assert found.analysis["tiers"]["inform"] == ["math"]
    assert _verdict(_made(sample, scores, margins={"accuracy": 0.02}))["verdict"] == "worse"


def test_both_claims_choose_their_own_smallest_arm(sample: SampleRun) -> None:
    scores = {
        name: {**values, "q4_k_m": _flipped(values["f16"].size, values["f16"].size // 8, 0)["q8_0"]}
        for name, values in NOTHING_LOST.items()
    }
    (choice,) = _made(sample, scores).analysis["selections"]
    assert (choice["smallest_no_worse"], choice["stopped_at"]) == (None, "q8_0")
    average = choice["on_average"]
    assert (average["smallest_no_worse"], average["stopped_at"]) == ("q8_0", "q4_k_m")


def test_without_two_benchmarks_of_one_kind_there_is_no_claim(sample: SampleRun) -> None:
    found = _made(sample, {"gsm8k": NOTHING_LOST["gsm8k"]})
    assert found.analysis["pooled"] == []
    assert (_verdict(found)["on_average"], found.analysis["selections"][0]["on_average"]) == (None, None)
