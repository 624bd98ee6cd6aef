"""What ends the judging early: the limit of calls, and judges that are away. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from actors.orchestrator.call_budget import CallBudget
from actors.orchestrator.plan import Plan
from actors.orchestrator.units import Unit, units_of
from reporting.notices import Notice

LOST_AFTER = 3
"""A judge that fails for good at this many units in a row is not asked again: it is away, and attempts take long."""
LIMIT_NOTICE = Notice("call_limit")


@dataclass(frozen=True)
class Judged:
    """How judging a unit ended."""

    n_asked: int
    """Number of calls."""
    complete: bool
    """False: the limit of calls was reached before the unit was done."""


class JudgingLimits:
    """How many calls are left, and which judges have failed how often."""

    def __init__(self, max_calls: int | None) -> None:
        """`max_calls`: the number of calls of the whole run; None: no limit."""
        self.budget = CallBudget(max_calls)
        self.over_limit: set[str] = set()
        """Units that could not be judged completely, because the limit of calls was reached."""
        self._lost: Counter[str] = Counter()
        """By judge, at how many units in a row it has failed for good."""

    def finish(self, unit: Unit, judged: Judged) -> bool:
        """Count a unit that did not fail. Return whether it is done; if not, the limit was reached."""
        self.budget.settle(unit.id, judged.n_asked)
        self._lost.pop(str(unit.judge), None)
        if not judged.complete:
            self.over_limit.add(unit.id)
        return judged.complete

    def lose(self, unit: Unit, waiting: Iterable[Unit]) -> tuple[str, ...]:
        """Count a unit at which its judge has failed for good. Return the units of the judge to give up with it."""
        self._lost[str(unit.judge)] += 1
        if self._lost[str(unit.judge)] < LOST_AFTER:
            return ()
        return tuple(one.id for one in waiting if one.judge == unit.judge)


def not_for_judging(plan: Plan, done: frozenset[str]) -> frozenset[str]:
    """Return the units of a plan that stay as they are if only answers that exist are judged."""
    judgings = {one.unit: one.block for one in plan.judgings}
    without_answers = {unit for unit, block in judgings.items() if block not in done}
    return frozenset(unit.id for unit in units_of(plan) if unit.id not in {*done, *judgings}) | without_answers
