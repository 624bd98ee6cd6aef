"""What a plan says about judging before the start: calls, tokens, limit and time."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.orchestrator.judging_cost import VERDICT_S, judging_costs, judging_seconds
from jobs._plan_text import describe_judging
from tests.orchestrator.judged_plan import endpoint_judge, gguf_judge, judged_benchmark, judged_plan


def test_the_plan_shows_calls_tokens_and_the_limit_of_each_judge(tmp_path: Path) -> None:
    judges = [endpoint_judge("hosted", "http://h:1/v1"), gguf_judge("own")]
    plan, config = judged_plan(tmp_path, judges, judging={"max_calls": 1000})
    text = "\n".join(describe_judging(plan, config, frozenset()))
    # 2 arms x 4 items x 2 seeds x 2 repeats
    assert text.count("32 calls") == 2 and "elyza_2023" in text
    assert "asked at http://h:1/v1" in text and "a GGUF, decoded here" in text
    assert "at most 1,000 calls in one run (judging.max_calls)" in text
    assert describe_judging(plan, config, frozenset(one.unit for one in plan.judgings)) == []


def test_two_turns_cost_twice_the_calls_and_more_than_twice_the_tokens(tmp_path: Path) -> None:
    one, _ = judged_plan(tmp_path, [endpoint_judge("a")])
    two, _ = judged_plan(tmp_path, [endpoint_judge("a")], judged_benchmark(then=("続けて。",)))
    (short,), (long,) = judging_costs(one, (), {}), judging_costs(two, (), {})
    assert long.calls == 2 * short.calls and long.read > 2 * short.read


def test_endpoints_answer_side_by_side(tmp_path: Path) -> None:
    plan, _ = judged_plan(tmp_path, [endpoint_judge("a"), endpoint_judge("b"), gguf_judge("own")])
    costs = judging_costs(plan, (), {})
    assert [one.seconds for one in costs] == [32 * VERDICT_S / 2, 32 * VERDICT_S / 2, None]
    assert judging_seconds(costs, 2) == pytest.approx(96.0)
