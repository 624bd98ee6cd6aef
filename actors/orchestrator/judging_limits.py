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
"""A judge that fails for good at this many units in a row is not asked again: it is away, and attempts take long. So is
one of which no verdict can be read at so many units in a row."""
LIMIT_NOTICE = Notice("call_limit")


@dataclass(frozen=True)
class Judged:
    """How judging a unit ended."""

    n_asked: int
    """Number of calls."""
    n_verdicts: int
    """Number of judgements that come from a verdict."""
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
        self._unreadable: Counter[str] = Counter()
        """By judge, at how many units in a row it was asked and gave no verdict that can be read."""

    def finish(self, unit: Unit, judged: Judged) -> bool:
        """Count a unit that did not fail. Return whether it is done; if not, the limit was reached."""
        self.budget.settle(unit.id, judged.n_asked)
        self._lost.pop(str(unit.judge), None)
        if judged.n_verdicts:
            self._unreadable.pop(str(unit.judge), None)
        elif judged.n_asked:
            self._unreadable[str(unit.judge)] += 1
        if not judged.complete:
            self.over_limit.add(unit.id)
        return judged.complete

    def lose(self, unit: Unit, waiting: Iterable[Unit], *, is_final: bool) -> tuple[tuple[str, ...], str]:
        """Count a unit at which its judge has failed for good. Return the units to give up with it, and why.

        `is_final`: the judge has refused in a way that comes again. It is then lost at once.
        """
        self._lost[str(unit.judge)] += 1
        if is_final:
            reason = f"not asked: judge {unit.judge} has refused {unit.id}"
        elif self._lost[str(unit.judge)] >= LOST_AFTER:
            reason = f"not asked: judge {unit.judge} failed at {LOST_AFTER} blocks of answers in a row"
        else:
            return (), ""
        return _units_of(unit.judge, waiting), reason

    def unread(self, unit: Unit, waiting: Iterable[Unit]) -> tuple[tuple[str, ...], str]:
        """Return the units to give up after a unit whose judge gives nothing that can be read, and why."""
        if self._unreadable[str(unit.judge)] < LOST_AFTER:
            return (), ""
        reason = f"not asked: no verdict of judge {unit.judge} could be read at {LOST_AFTER} blocks of answers in a row"
        return _units_of(unit.judge, waiting), reason


def _units_of(judge: str | None, units: Iterable[Unit]) -> tuple[str, ...]:
    return tuple(one.id for one in units if one.judge == judge)


def not_for_judging(plan: Plan, done: frozenset[str]) -> frozenset[str]:
    """Return the units of a plan that stay as they are if only answers that exist are judged."""
    judgings = {one.unit: one.block for one in plan.judgings}
    without_answers = {unit for unit, block in judgings.items() if block not in done}
    return frozenset(unit.id for unit in units_of(plan) if unit.id not in {*done, *judgings}) | without_answers
