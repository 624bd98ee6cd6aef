"""Advice on arms that lose, and no advice on other arms."""

from __future__ import annotations

from typing import Any

import pytest

from reporting.advice import Worse, advice, worse_arms
from reporting.wording import Words

COMPARISON = {
    "arms": [{"name": "f16", "method": "f16"}, {"name": "q4", "method": "q4_k_m"}, {"name": "theirs", "method": None}],
    "benchmarks": [{"name": "asked", "higher_is_better": True}, {"name": "ppl", "higher_is_better": False}],
}


def judged(verdict: str, **names: Any) -> dict[str, Any]:
    """Return an analysis with the verdict of the arm q4."""
    row = {"arm": "q4", "reference": "f16", "verdict": verdict, "worse_on": [], "undecided_on": [], "loss_shown_on": []}
    return {"comparisons": [], "verdicts": [row | names], "tiers": {"pooled": {"asked": 1, "chosen": 1}}}


def against(arm: str, benchmark: str, interval: list[float] | None) -> dict[str, Any]:
    return {"arm": arm, "reference": "f16", "benchmark": benchmark, "ci95": interval}


@pytest.mark.parametrize(
    ("benchmark", "interval", "worse"),
    [
        ("asked", [-0.2, -0.1], True),
        ("asked", [0.1, 0.2], False),
        ("asked", [-0.2, 0.0], False),
        ("ppl", [0.01, 0.02], True),
        ("ppl", [-0.02, -0.01], False),
        ("ppl", None, False),
    ],
)
def test_without_verdicts_an_arm_loses_if_its_whole_interval_is_on_the_worse_side(
    benchmark: str, interval: list[float] | None, worse: bool
) -> None:
    expected = [Worse(("q4",), "f16", (benchmark,), made_here=True)] if worse else []
    assert worse_arms(COMPARISON, {"comparisons": [against("q4", benchmark, interval)]}) == expected


def test_one_sentence_per_arm_names_all_its_benchmarks_and_the_flag() -> None:
    rows = [against("q4", "ppl", [0.1, 0.2]), against("q4", "asked", [-0.2, -0.1])]
    (worse,) = worse_arms(COMPARISON, {"comparisons": rows})
    text = advice(Words("en"), worse)
    assert text.startswith("q4 loses against f16 on ppl, asked, and whether the loss exceeds the margin is open:")
    assert "--protection-level" in text
    assert "--protection-level" in advice(Words("ja"), worse)


def test_an_arm_that_is_worse_gets_advice_about_what_its_verdict_comes_from() -> None:
    (found,) = worse_arms(COMPARISON, judged("worse", worse_on=["asked"], undecided_on=["ppl"], loss_shown_on=["ppl"]))
    assert found == Worse(("q4",), "f16", ("asked",), made_here=True, beyond=True)
    assert advice(Words("en"), found) == (
        "q4 loses more than the margin against f16 on asked: try a larger type, or a higher --protection-level."
    )
    assert advice(Words("ja"), found).startswith("q4 は asked で f16 から許容幅を超えて低下した。")


def test_arms_that_lose_on_the_same_benchmarks_share_one_sentence() -> None:
    analysis = judged("worse", worse_on=["asked"])
    analysis["verdicts"].append(analysis["verdicts"][0] | {"arm": "q5"})
    comparison = COMPARISON | {"arms": [*COMPARISON["arms"], {"name": "q5", "method": "q5_k_m"}]}
    (found,) = worse_arms(comparison, analysis)
    assert advice(Words("en"), found).startswith("q4, q5 lose more than the margin against f16 on asked:")
    assert advice(Words("ja"), found).startswith("q4、q5 は asked で f16 から")


def test_a_loss_on_average_is_named_as_one() -> None:
    (found,) = worse_arms(COMPARISON, judged("worse", undecided_on=["asked"]))
    assert advice(Words("en"), found).startswith(
        "q4 loses more than the margin against f16 on average over asked, chosen:"
    )
    assert advice(Words("ja"), found).startswith("q4 は asked、chosen の平均で f16 から許容幅を超えて低下した。")


def test_a_loss_that_may_lie_within_the_margin_is_open() -> None:
    (found,) = worse_arms(COMPARISON, judged("undecided", undecided_on=["asked", "ppl"], loss_shown_on=["ppl"]))
    assert found == Worse(("q4",), "f16", ("ppl",), made_here=True)
    (unconfirmed,) = worse_arms(COMPARISON, judged("undecided", worse_on=["asked"]))
    assert unconfirmed == Worse(("q4",), "f16", ("asked",), made_here=True)


def test_a_loss_where_there_is_no_margin_gets_no_advice_that_could_not_help() -> None:
    analysis = judged("undecided", undecided_on=["asked"], loss_shown_on=["asked"])
    analysis["comparisons"] = [{"arm": "q4", "benchmark": "asked", "verdict": "undecided", "margin": None}]
    (found,) = worse_arms(COMPARISON, analysis)
    assert found == Worse(("q4",), "f16", ("asked",), made_here=True, has_margin=False)
    assert advice(Words("en"), found) == (
        "q4 loses against f16 on asked. There is no margin, so nothing says whether that is small."
    )


@pytest.mark.parametrize("verdict", ["no_worse", "undecided"])
def test_without_a_shown_loss_there_is_no_advice(verdict: str) -> None:
    """Also if a comparison that only informs shows a loss: no verdict depends on it."""
    analysis = judged(verdict) | {"comparisons": [against("q4", "ppl", [0.1, 0.2]) | {"verdict": "worse"}]}
    assert worse_arms(COMPARISON, analysis) == []


def test_for_a_given_file_the_advice_is_to_take_another_file() -> None:
    (worse,) = worse_arms(COMPARISON, {"comparisons": [against("theirs", "ppl", [0.1, 0.2])]})
    assert not worse.made_here
    assert "--protection-level" not in advice(Words("ja"), worse)
