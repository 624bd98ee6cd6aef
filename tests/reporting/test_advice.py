"""Advice on measurably worse arms, and no advice on other arms."""

from __future__ import annotations

from typing import Any

import pytest

from reporting.advice import Worse, advice, worse_arms
from reporting.wording import Words

COMPARISON = {
    "arms": [{"name": "f16", "method": "f16"}, {"name": "q4", "method": "q4_k_m"}, {"name": "theirs", "method": None}],
    "benchmarks": [{"name": "asked", "higher_is_better": True}, {"name": "ppl", "higher_is_better": False}],
}


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
def test_an_arm_is_worse_if_its_whole_interval_is_on_the_worse_side(
    benchmark: str, interval: list[float] | None, worse: bool
) -> None:
    expected = [Worse("q4", "f16", (benchmark,), made_here=True)] if worse else []
    assert worse_arms(COMPARISON, [against("q4", benchmark, interval)]) == expected


def test_one_sentence_per_arm_names_all_its_benchmarks_and_the_flag() -> None:
    rows = [against("q4", "ppl", [0.1, 0.2]), against("q4", "asked", [-0.2, -0.1])]
    (worse,) = worse_arms(COMPARISON, rows)
    text = advice(Words("en"), worse)
    assert text.startswith("q4 loses against f16 on ppl, asked, and whether it loses more than the margin is open:")
    assert "--protection-level" in text
    assert "--protection-level" in advice(Words("ja"), worse)


def test_advice_follows_the_verdict() -> None:
    """A loss within the margin needs no advice, and only a loss beyond it is called one."""
    inside = against("q4", "ppl", [0.001, 0.002]) | {"verdict": "no_worse"}
    open_loss = against("q4", "ppl", [0.001, 0.2]) | {"verdict": "undecided"}
    beyond = against("q4", "asked", [-0.2, -0.1]) | {"verdict": "worse"}
    assert worse_arms(COMPARISON, [inside]) == []
    assert worse_arms(COMPARISON, [open_loss]) == [Worse("q4", "f16", ("ppl",), made_here=True)]
    (found,) = worse_arms(COMPARISON, [open_loss, beyond])
    assert found == Worse("q4", "f16", ("asked",), made_here=True, beyond=True)
    assert advice(Words("en"), found).startswith("q4 loses more than the margin against f16 on asked:")
    assert "許容幅を超えて低下した" in advice(Words("ja"), found)


def test_for_a_given_file_the_advice_is_to_take_another_file() -> None:
    (worse,) = worse_arms(COMPARISON, [against("theirs", "ppl", [0.1, 0.2])])
    assert not worse.made_here
    assert "--protection-level" not in advice(Words("both"), worse)
