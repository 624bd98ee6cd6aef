"""The schedule: a state machine over the units of a plan that says what may start next. Pure; it starts nothing itself.

A unit waits until everything it needs is done. A worker first gets blocks of the arm that it has loaded. If there are
none left, it gets blocks of another arm: one that few workers hold and that has much work left. If benchmarks may end
early, blocks that may turn out to be unnecessary wait for their turn. A unit that fails is tried again. After its last
attempt it is recorded as failed, and every unit that needs it fails with it. Units are listed after the units that they
need.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from actors.orchestrator.plan import Plan, PlannedBlock, PlannedImatrix

Role = Literal["quantization", "evaluation"]

FIRST_TURN = 1
"""Turn of everything certainly needed. If a benchmark may end early, also the turn of an arm's first items; the first
items of its reference have a lower turn."""


class State(Enum):
    """What has happened to a unit so far."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Unit:
    """One piece of work that is done completely or not at all."""

    id: str
    role: Role
    phase: Literal["imatrix", "quantize", "evaluate"]
    needs: tuple[str, ...]
    """Units that must be done before."""
    arm: str | None
    benchmark: str | None
    cost: float
    """Estimated amount of work. One unit is the work of reading one prompt token."""
    tokens: int = 0
    """About how many tokens are reported while it runs; 0 if it reports none."""
    is_check: bool = False
    """True for an arm's self-check."""

    @property
    def only_for_others(self) -> bool:
        """True if the unit is useless by itself: a part of an imatrix, or an arm's self-check."""
        return self.is_check or self.phase == "imatrix"

    shared_pass: str | None = None
    """Name of the pass that it belongs to. Units of a pass go to one worker together if they are ready at the same
    time."""
    waits_for: tuple[str, ...] = ()
    """Units that must be done or have failed before: what the other units of its pass need."""
    turn: int = FIRST_TURN
    """Of the ready units, those with the lowest turn go first, whatever a worker has loaded."""


@dataclass(frozen=True)
class Failure:
    """A unit that failed in every attempt."""

    unit: str
    phase: str
    arm: str | None
    benchmark: str | None
    attempts: int
    error: str
    log_tail: tuple[str, ...]


CHECK_COST = 2000.0
"""Rough cost of an arm's self-check, in tokens read. Most of its tokens are decoded one at a time."""
PERFORMANCE_COST = 2000.0
"""Rough cost of measuring an arm's speed, in tokens read."""
MERGE_COST = 500.0
"""Rough cost of adding up the groups of a matrix, in tokens read."""


def units_of(plan: Plan, turns: Mapping[str, int] | None = None, quantize_cost: float = 20_000.0) -> tuple[Unit, ...]:
    """Return the units of a plan, the preferred ones first.

    Args:
        plan: the plan.
        turns: the turns of blocks, by unit; a block without one gets `FIRST_TURN`.
        quantize_cost: rough cost of making an arm, in tokens read.
    """
    imatrices = [unit for one in plan.imatrices for unit in _units_of_imatrix(one)]
    arms = [
        Unit(arm.unit, "quantization", "quantize", arm.needs, arm.name, None, quantize_cost)
        for arm in plan.arms
        if arm.unit
    ]
    needs = {arm.name: arm.made_by for arm in plan.arms}
    needs |= {check.order.arm: (check.unit,) for check in plan.checks}
    references = {arm.name: arm.reference for arm in plan.arms}
    waits: defaultdict[str | None, set[str]] = defaultdict(set)
    for block in plan.blocks:
        waits[block.shared_pass].update(needs[block.arm])
    checks = [
        Unit(check.unit, "evaluation", "evaluate", check.needs, check.order.arm, None, CHECK_COST, is_check=True)
        for check in plan.checks
    ]
    performances = [
        Unit(one.unit, "evaluation", "evaluate", needs[one.order.arm], one.order.arm, None, PERFORMANCE_COST)
        for one in plan.performances
    ]
    blocks = [
        Unit(
            block.unit,
            "evaluation",
            "evaluate",
            _needs_of(block, needs, references[block.arm]),
            block.arm,
            block.benchmark,
            block.cost,
            block.tokens,
            shared_pass=block.shared_pass,
            waits_for=tuple(sorted(waits[block.shared_pass])) if block.shared_pass else (),
            turn=(turns or {}).get(block.unit, FIRST_TURN),
        )
        for block in _sorted_by_items(plan)
    ]
    # The imatrix takes longest, so it comes first. Arms that wait for nothing are made beside it.
    without_needs = [unit for unit in arms if not unit.needs]
    with_needs = [unit for unit in arms if unit.needs]
    return (*imatrices, *without_needs, *with_needs, *checks, *performances, *blocks)


def _sorted_by_items(plan: Plan) -> list[PlannedBlock]:
    """Return the blocks so that all seed groups of the same items follow each other.

    For the early stop an item counts only when all of its seeds are done.
    """
    last = {(block.arm, block.benchmark): number for number, block in enumerate(plan.blocks)}
    return sorted(plan.blocks, key=lambda block: (last[block.arm, block.benchmark], block.first))


def _needs_of(block: PlannedBlock, needs: Mapping[str, tuple[str, ...]], reference: str | None) -> tuple[str, ...]:
    """Return what a block's arm needs, and what its reference needs if both are decoded side by side."""
    beside = needs[reference] if block.reference and reference else ()
    return tuple(dict.fromkeys((*needs[block.arm], *beside)))


def _units_of_imatrix(planned: PlannedImatrix) -> Iterator[Unit]:
    """Yield the groups of a matrix, which any number of workers can share, and the unit that adds them up."""
    for name, tokens in zip(planned.group_units, planned.order.group_tokens, strict=True):
        yield Unit(name, "quantization", "imatrix", planned.needs, None, None, float(tokens), tokens)
    yield Unit(planned.unit, "quantization", "imatrix", planned.group_units, None, None, MERGE_COST)


class Schedule:
    """The state of every unit of a plan."""

    def __init__(self, units: Iterable[Unit], done: Iterable[str], attempts: int) -> None:
        """Begin with every unit waiting or done.

        Args:
            units: all units, each after the units that it needs.
            done: the units whose files exist.
            attempts: how often a unit is tried.
        """
        self.units: Mapping[str, Unit] = {unit.id: unit for unit in units}
        self.failures: list[Failure] = []
        self.skipped: set[str] = set()
        """Units that count as done because nobody needs them."""
        self._attempts_allowed = attempts
        self._attempts: Counter[str] = Counter()
        finished = set(done)
        self._state = {name: State.DONE if name in finished else State.WAITING for name in self.units}
        self._skip_unneeded()

    def _skip_unneeded(self) -> None:
        """Skip each unit that is useless by itself and that no unfinished unit needs.

        Its file may be missing, but everything that it was for is done or has failed.
        """
        wanted: set[str] = set()
        # Backwards, because a unit is listed before the units that need it.
        for unit in reversed(list(self.units.values())):
            if self._state[unit.id] is not State.WAITING:
                continue
            if unit.only_for_others and unit.id not in wanted:
                self._state[unit.id] = State.DONE
                self.skipped.add(unit.id)
            else:
                wanted.update(unit.needs)

    def state(self, name: str) -> State:
        """Return the state of a unit."""
        return self._state[name]

    def in_state(self, state: State) -> list[Unit]:
        """Return all units that are in a state."""
        return [unit for name, unit in self.units.items() if self._state[name] is state]

    def is_ready(self, unit: Unit) -> bool:
        """Return whether a unit could start now."""
        return (
            self._state[unit.id] is State.WAITING
            and all(self._state[need] is State.DONE for need in unit.needs)
            and all(self._state[other] in (State.DONE, State.FAILED) for other in unit.waits_for)
        )

    def ready(self, role: Role) -> list[Unit]:
        """Return the units of a role that could start now, the preferred ones first."""
        return [unit for unit in self.units.values() if unit.role == role and self.is_ready(unit)]

    def next_unit(self, role: Role, loaded_arm: str | None, busy_arms: Iterable[str | None] = ()) -> Unit | None:
        """Return the next unit for an idle worker, or None if none is ready. Change no state.

        Args:
            role: the worker's role.
            loaded_arm: the arm whose GGUF the worker holds.
            busy_arms: the arms that the other workers of the role hold.
        """
        ready = self.ready(role)
        if not ready or role == "quantization":
            return ready[0] if ready else None
        turn = min(unit.turn for unit in ready)
        ready = [unit for unit in ready if unit.turn == turn]
        own = [unit for unit in ready if unit.arm == loaded_arm]
        if own:
            return own[0]
        work: defaultdict[str | None, float] = defaultdict(float)
        for unit in ready:
            work[unit.arm] += unit.cost
        holders = Counter(busy_arms)
        arm = max(work, key=lambda name: (-holders[name], work[name]))
        return next(unit for unit in ready if unit.arm == arm)

    def units_of_pass(self, unit: Unit) -> tuple[Unit, ...]:
        """Return the units to send to a worker with a ready unit: all ready units of its pass, itself included.

        A unit that has failed before is tried alone, and so is a unit that belongs to no pass.
        """
        if unit.shared_pass is None or self._attempts[unit.id]:
            return (unit,)
        in_pass = (one for one in self.units.values() if one.shared_pass == unit.shared_pass)
        return tuple(one for one in in_pass if self.is_ready(one) and not self._attempts[one.id])

    def start(self, name: str) -> None:
        """Mark a unit as running and count one attempt."""
        self._state[name] = State.RUNNING
        self._attempts[name] += 1

    def put_back(self, name: str) -> None:
        """Undo `start` because the worker never began. No attempt is counted."""
        self._state[name] = State.WAITING
        self._attempts[name] -= 1

    def spare(self, names: Iterable[str]) -> None:
        """Skip those of these units that have not begun, because nobody needs them any more."""
        waiting = {name for name in names if self._state[name] is State.WAITING}
        if waiting:
            self._state |= dict.fromkeys(waiting, State.DONE)
            self.skipped |= waiting
            self._skip_unneeded()

    def finish(self, name: str) -> None:
        """Mark a unit as done."""
        self._state[name] = State.DONE

    def fail(self, name: str, error: str, log_tail: Iterable[str] = ()) -> bool:
        """Record a failed attempt. Return True if the unit will be tried again."""
        if self._attempts[name] < self._attempts_allowed:
            self._state[name] = State.WAITING
        else:
            self._give_up(name, error, tuple(log_tail))
        self._skip_unneeded()
        return self._state[name] is State.WAITING

    def _give_up(self, name: str, error: str, log_tail: tuple[str, ...]) -> None:
        """Record a unit as failed, with all units that need it."""
        unit = self.units[name]
        self._state[name] = State.FAILED
        self.failures.append(Failure(name, unit.phase, unit.arm, unit.benchmark, self._attempts[name], error, log_tail))
        for other in self.units.values():
            if name in other.needs and self._state[other.id] is State.WAITING:
                # A matrix repeats the error and the log of its group. An arm only says which matrix is missing.
                both_imatrix = unit.phase == other.phase == "imatrix"
                reason = (f"{name} failed: {error}", log_tail) if both_imatrix else (f"needs {name}, which failed", ())
                self._give_up(other.id, *reason)

    @property
    def finished(self) -> bool:
        """True if every unit is done or has failed."""
        return all(state in (State.DONE, State.FAILED) for state in self._state.values())
