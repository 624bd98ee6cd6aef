"""The claim on average in the result files: what it says, what it needs, and what leaves it undecided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reporting.analysis.looks import History, Look
from reporting.analysis.results import Results
from tests.reporting.pooled_run import NOTHING_LOST, flipped, pooled_results
from tests.reporting.sample_run import SampleRun, sample_run


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


def _claim(found: Results, arm: str = "q8_0") -> dict[str, Any]:
    claim: dict[str, Any]
    (claim,) = [row for row in found.analysis["pooled"] if row["arm"] == arm]
    return claim


def _verdict(found: Results, arm: str = "q8_0") -> dict[str, Any]:
    verdict: dict[str, Any]
    (verdict,) = [row for row in found.analysis["verdicts"] if row["arm"] == arm]
    return verdict


def test_no_worse_on_average_can_be_shown_where_single_benchmarks_stay_open(sample: SampleRun) -> None:
    found = pooled_results(sample, NOTHING_LOST)
    claim = _claim(found)
    assert (claim["verdict"], claim["verdict_grounds"], claim["decides"]) == ("no_worse", ["above_margin"], False)
    assert [(row["benchmark"], row["n_items"]) for row in claim["benchmarks"]] == [
        ("gsm8k", 1319),
        ("math", 500),
        ("arc_challenge", 1172),
    ]
    assert [row["weight"] for row in claim["benchmarks"]] == pytest.approx([1 / 3] * 3)
    # 26, 10 and 24 flips: SE² = (26/1319² + 10/500² + 24/1172²)/9 = .0028366², 1.96·SE = .00556, and Wilson's
    # intervals of the mean's gains and losses add 6% where so few flip.
    assert claim["difference"] == pytest.approx(0.0, abs=1e-12)
    assert claim["ci95"] == pytest.approx([-0.00588, 0.00588], abs=1e-5)
    assert (claim["n_items"], claim["n_sources"]) == (2991, 2991)
    verdict = _verdict(found)
    assert (verdict["verdict"], verdict["on_average"]) == ("undecided", "no_worse")
    assert "math" in verdict["undecided_on"]


def _looked(n: int, *before: int, planned: int) -> History:
    """Return a look at n items after looks at fewer."""
    now = Look(n, f"first {n}", (0,), planned, {"accuracy": 0.01}, False, f"2026-01-01T00:{n:04}", "p", finished=False)
    earlier = (replace(now, n_items=m, items_hash=f"first {m}", finished=True, verdict="undecided") for m in before)
    return History(now, tuple(earlier))


def test_the_claim_on_average_allows_for_the_looks_at_its_benchmarks(sample: SampleRun) -> None:
    def judged(gsm8k: History, margin: float) -> tuple[str, list[str]]:
        single = {"math": _looked(500, planned=500), "arc_challenge": _looked(1172, planned=1172)}
        histories = {("q8_0", name): history for name, history in {**single, "gsm8k": gsm8k}.items()}
        claim = _claim(pooled_results(sample, NOTHING_LOST, margins={"pooled": margin}, histories=histories))
        return claim["verdict"], claim["verdict_grounds"]

    # The usual half-width is .00588 (1.96 standard errors). A second look, at all items after a third of them, needs
    # 2.138 standard errors (.00642), and a first look at half of the plan 2.157.
    once, twice = _looked(1319, planned=1319), _looked(1319, 440, planned=1319)
    assert judged(once, 0.006) == ("no_worse", ["above_margin"])
    assert judged(twice, 0.006)[0] == "undecided"
    assert judged(twice, 0.0065) == ("no_worse", ["above_margin"])
    assert judged(_looked(1319, planned=2638), 0.006) == ("undecided", ["kept_for_later_looks"])
    # A look beyond the plan has nothing left to spend.
    assert judged(_looked(1319, 700, planned=700), 0.01) == ("undecided", ["looks_spent"])


def test_a_look_that_is_not_paid_for_shows_no_new_loss_on_average_either(sample: SampleRun) -> None:
    scores = {name: flipped(size, size // 50, 0) for name, size in (("gsm8k", 1319), ("math", 500))}

    def grounds(*before: int, planned: int) -> list[str]:
        histories = {
            ("q8_0", "math"): _looked(500, planned=500),
            ("q8_0", "gsm8k"): _looked(1319, *before, planned=planned),
        }
        found = pooled_results(sample, scores, margins={"pooled": 0.02}, histories=histories)
        return list(_claim(found)["verdict_grounds"])

    # 2% are lost, and the margin is 2%: a loss is shown, and it is open whether it exceeds the margin.
    assert grounds(planned=1319) == ["loss_shown", "spans_margin"]
    assert grounds(700, planned=700) == ["spans_margin"]


def test_the_detectable_loss_is_that_of_the_plan(sample: SampleRun) -> None:
    # The plan with the observed discordance of 2%: 2.8016·√(.02/9·(1/1319 + 1/500 + 1/1172)) = .00794. The lower half
    # of Wilson's interval is 6% wider.
    assert _claim(pooled_results(sample, NOTHING_LOST))["detectable_drop"] == pytest.approx(0.00841, rel=0.02)


def test_a_gain_on_one_benchmark_makes_up_for_a_loss_on_another_and_the_loss_is_still_named(sample: SampleRun) -> None:
    scores = {**NOTHING_LOST, "gsm8k": flipped(1319, 60, 13), "math": flipped(500, 0, 20)}
    found = pooled_results(sample, scores)
    assert _claim(found)["verdict"] == "no_worse"
    verdict = _verdict(found)
    assert (verdict["verdict"], verdict["worse_on"], verdict["on_average"]) == ("worse", ["gsm8k"], "no_worse")


def test_a_mean_loss_beyond_the_margin_is_worse(sample: SampleRun) -> None:
    scores = {name: flipped(values["f16"].size, values["f16"].size // 20, 2) for name, values in NOTHING_LOST.items()}
    claim = _claim(pooled_results(sample, scores))
    assert claim["verdict"] == "worse"
    assert claim["p_beyond_margin"] < 0.025
    assert claim["p_value"] < 1e-6


def test_the_margin_of_the_mean_is_one_of_its_own(sample: SampleRun) -> None:
    found = pooled_results(sample, NOTHING_LOST, margins={"pooled": 0.005, "accuracy": 0.05})
    assert (_claim(found)["verdict"], _claim(found)["margin"]) == ("undecided", 0.005)
    assert _verdict(found)["verdict"] == "no_worse"
    assert found.analysis["margins"]["pooled"] == 0.005


def test_unscored_records_count_against_the_claim(sample: SampleRun) -> None:
    scores = {name: dict(values) for name, values in NOTHING_LOST.items()}
    scores["gsm8k"]["q8_0"] = scores["gsm8k"]["q8_0"].copy()
    scores["gsm8k"]["q8_0"][100:260] = np.nan
    claim = _claim(pooled_results(sample, scores))
    # 160 of 1319 lost in the worst case: .12/3 = 4 points of the mean.
    assert (claim["verdict"], claim["verdict_grounds"]) == ("undecided", ["unscored"])
    assert claim["ci95_worst_case"][0] < -0.035
    assert claim["n_unscored"] == 160
    scores["gsm8k"]["q8_0"][100:260] = NOTHING_LOST["gsm8k"]["q8_0"][100:260]
    scores["gsm8k"]["q8_0"][100:103] = np.nan
    assert _claim(pooled_results(sample, scores))["verdict"] == "no_worse"


def test_a_benchmark_without_a_result_leaves_no_mean_over_the_others(sample: SampleRun) -> None:
    scores = {name: dict(values) for name, values in NOTHING_LOST.items()}
    scores["math"]["q8_0"] = np.full(500, np.nan)
    claim = _claim(pooled_results(sample, scores))
    assert (claim["difference"], claim["difference_reason"]) == (None, "benchmark_missing")
    assert (claim["verdict"], claim["verdict_grounds"]) == ("undecided", ["no_interval"])


@pytest.mark.parametrize(("level", "ground"), [(0.0, "floor"), (1.0, "ceiling")])
def test_a_benchmark_that_measures_nothing_does_not_dilute_a_loss(sample: SampleRun, level: float, ground: str) -> None:
    dull = {arm: np.full(3000, level) for arm in ("f16", "q8_0")}
    found = pooled_results(sample, {"gsm8k": flipped(3000, 20, 20), "math": dull})
    assert (_claim(found)["verdict"], _claim(found)["verdict_grounds"]) == ("undecided", [ground])


def test_more_than_the_share_of_a_weak_reference_may_not_be_lost_on_average(sample: SampleRun) -> None:
    # The reference gets 6% right, the arm 5.4%: within a point, but a tenth of what is right.
    reference = (np.arange(4000) < 240).astype(float)
    arm = (np.arange(4000) < 216).astype(float)
    weak = {"f16": reference, "q8_0": arm}
    claim = _claim(pooled_results(sample, {"gsm8k": weak, "math": weak}))
    assert claim["ci95"][0] > -0.01
    assert claim["verdict"] != "no_worse"
    assert claim["kept"]["beyond"] == pytest.approx(-0.006 + 0.05 * 0.06)


def test_scores_on_a_scale_of_their_own_are_not_pooled(sample: SampleRun) -> None:
    scaled = {arm: 3.0 * values for arm, values in NOTHING_LOST["math"].items()}
    claim = _claim(pooled_results(sample, {**NOTHING_LOST, "math": scaled}, scales={"math": [0.0, 3.0]}))
    assert claim["difference_reason"] == "scales_differ"


def test_benchmarks_that_ask_about_the_same_sources_share_them(sample: SampleRun) -> None:
    scores = {name: flipped(1000, 20, 20) for name in ("arc_challenge", "arc_challenge_letter")}
    apart = _claim(pooled_results(sample, scores, questions={name: name for name in scores}))
    together = _claim(pooled_results(sample, scores, questions=dict.fromkeys(scores, "arc_challenge")))
    assert (apart["n_sources"], together["n_sources"]) == (2000, 1000)
    # The same items flip: the interval of the mean is that of one of them.
    assert together["ci95"][1] == pytest.approx(2**0.5 * apart["ci95"][1], rel=0.02)


# --- tiers ----------------------------------------------------------------------------------------


def test_the_verdict_needs_the_mean_of_benchmarks_that_need_not_hold_by_themselves(sample: SampleRun) -> None:
    tiers = {"each": ["perplexity_wikitext2"]}
    found = pooled_results(sample, NOTHING_LOST, tiers=tiers)
    assert (_verdict(found)["verdict"], _claim(found)["decides"]) == ("no_worse", True)
    assert _verdict(found)["undecided_on"] == []
    assert found.analysis["selections"][0]["smallest_no_worse"] == "q8_0"
    lost = {name: flipped(values["f16"].size, values["f16"].size // 10, 0) for name, values in NOTHING_LOST.items()}
    found = pooled_results(sample, lost, tiers=tiers)
    assert (_verdict(found)["verdict"], _verdict(found)["worse_on"]) == ("worse", [])
    assert _verdict(pooled_results(sample, NOTHING_LOST, tiers=tiers, text_loss=0.1))["verdict"] == "worse"


def test_no_verdict_depends_on_what_only_informs(sample: SampleRun) -> None:
    scores = {**NOTHING_LOST, "math": flipped(500, 100, 0)}
    found = pooled_results(sample, scores, tiers={"inform": ["math"]}, margins={"accuracy": 0.02})
    assert _verdict(found)["verdict"] == "no_worse"
    assert [row["benchmark"] for row in _claim(found)["benchmarks"]] == ["gsm8k", "arc_challenge"]
    assert found.analysis["tiers"]["inform"] == ["math"]
    assert _verdict(pooled_results(sample, scores, margins={"accuracy": 0.02}))["verdict"] == "worse"


def test_both_claims_choose_their_own_smallest_arm(sample: SampleRun) -> None:
    scores = {
        name: {**values, "q4_k_m": flipped(values["f16"].size, values["f16"].size // 8, 0)["q8_0"]}
        for name, values in NOTHING_LOST.items()
    }
    (choice,) = pooled_results(sample, scores).analysis["selections"]
    assert (choice["smallest_no_worse"], choice["stopped_at"]) == (None, "q8_0")
    average = choice["on_average"]
    assert (average["smallest_no_worse"], average["stopped_at"]) == ("q8_0", "q4_k_m")


def test_without_two_benchmarks_of_one_kind_there_is_no_claim(sample: SampleRun) -> None:
    found = pooled_results(sample, {"gsm8k": NOTHING_LOST["gsm8k"]})
    assert found.analysis["pooled"] == []
    assert (_verdict(found)["on_average"], found.analysis["selections"][0]["on_average"]) == (None, None)


def test_a_function_with_one_number_informs_unless_it_is_named(sample: SampleRun) -> None:
    scores = {**NOTHING_LOST, "mine": {"f16": np.array([0.9]), "q8_0": np.array([0.8])}}
    options: dict[str, Any] = {"kinds": {"mine": "function"}, "margins": {"accuracy": 0.02}}
    found = pooled_results(sample, scores, **options)
    assert (_verdict(found)["verdict"], found.analysis["tiers"]["inform"]) == ("no_worse", ["mine"])
    assert "mine" not in found.analysis["tiers"]["pooled"]
    named = {"each": [*NOTHING_LOST, "perplexity_wikitext2", "mine"]}
    assert _verdict(pooled_results(sample, scores, **options, tiers=named))["undecided_on"] == ["mine"]
