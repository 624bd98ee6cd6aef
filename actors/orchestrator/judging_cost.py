"""Estimates before a run what judging costs: calls, tokens and time of each judge. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from actors.judging.orders import JudgeModel
from actors.orchestrator.plan import Plan, PlannedJudging
from actors.orchestrator.sources.speeds import Timed

VERDICT_S = 6.0
"""Seconds that a server takes for one verdict, as a rule. Nobody knows before the first one."""


@dataclass(frozen=True)
class JudgingCost:
    """What is left for one judge."""

    judge: JudgeModel
    rubrics: tuple[str, ...]
    calls: int
    """If every verdict can be read at once and none is known. One that cannot is asked for once more."""
    read: int
    """Tokens that it reads."""
    written: int
    """Tokens that it writes."""
    seconds: float | None
    """None: unknown, because its GGUF could not be measured."""


def judging_costs(plan: Plan, done: Collection[str], timed: Mapping[str, Timed]) -> tuple[JudgingCost, ...]:
    """Return what is left of the judging, by judge.

    Args:
        plan: the plan.
        done: units that are done.
        timed: the measured speed of GGUFs, by path.
    """
    left = [one for one in plan.judgings if one.unit not in done]
    return tuple(
        _cost(judge, own, timed)
        for judge in plan.judges
        if (own := [one for one in left if one.judge.name == judge.name])
    )


def _cost(judge: JudgeModel, own: Sequence[PlannedJudging], timed: Mapping[str, Timed]) -> JudgingCost:
    calls, written = sum(one.n_calls for one in own), sum(one.generated for one in own)
    read = sum(one.tokens for one in own) - written
    seconds: float | None = None
    if judge.endpoint is not None:
        seconds = calls * VERDICT_S / judge.endpoint.concurrency
    elif (known := timed.get(str(judge.gguf_path))) is not None:
        seconds = read / known.speed.prompt + written / known.speed.answer
    return JudgingCost(judge, tuple(dict.fromkeys(one.rules.rubric for one in own)), calls, read, written, seconds)


def judging_seconds(costs: Sequence[JudgingCost], workers: int) -> float:
    """Return the time of all judges, as far as it is known: endpoints answer side by side, GGUFs share the workers."""
    asked = [one.seconds or 0.0 for one in costs if one.judge.endpoint is not None]
    decoded = [one.seconds or 0.0 for one in costs if one.judge.endpoint is None]
    return max(asked, default=0.0) + sum(decoded) / workers
