"""What may start next: a state machine over the units of a plan. Pure; it neither waits nor starts anything.

A unit waits until all that it needs is done. A worker is given the blocks of the arm that it has loaded
first; with none left, whole blocks of the arm that has the most work and the fewest workers. Where benchmarks
may end early, what may turn out not to be needed waits for its turn. A unit that fails is tried again, then
recorded, and all that needs it fails with it. Units come behind what they need.
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
"""Of all that is needed for certain, and of an arm's first items where it may end early; its reference's are before."""


class State(Enum):
    """Where a unit stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Unit:
    """One thing that is done whole or not at all."""

    id: str
    role: Role
    phase: Literal["imatrix", "quantize", "evaluate"]
    needs: tuple[str, ...]
    arm: str | None
    benchmark: str | None
    cost: float
    tokens: int = 0
    """About how many tokens are reported while it works; 0 where none are."""
    is_check: bool = False
    """An arm's self-check."""

    @property
    def only_for_others(self) -> bool:
        """Of no use by itself: a part of an imatrix, an arm's self-check."""
        return self.is_check or self.phase == "imatrix"

    shared_pass: str | None = None
    """Units of one name are given to a worker together, where they are ready together."""
    waits_for: tuple[str, ...] = ()
    """Units that must have come to their end before, however it was: what others of its pass need."""
    turn: int = FIRST_TURN
    """A ready unit of a lower turn goes first, whatever a worker has loaded."""


@dataclass(frozen=True)
class Failure:
    """A unit that failed in all its attempts."""

    unit: str
    phase: str
    arm: str | None
    benchmark: str | None
    attempts: int
    error: str
    log_tail: tuple[str, ...]


CHECK_COST = 2000.0
"""Of an arm's self-check, in tokens read, roughly: most are decoded one at a time."""
PERFORMANCE_COST = 2000.0
"""Of measuring an arm's speed, in tokens read, roughly."""
MERGE_COST = 500.0
"""Of adding the groups of a matrix up, in tokens read, roughly."""


def units_of(plan: Plan, turns: Mapping[str, int] | None = None, quantize_cost: float = 20_000.0) -> tuple[Unit, ...]:
    """The units of a plan in the order in which they are preferred.

    Args:
        plan: the plan.
        turns: of blocks that have one.
        quantize_cost: in tokens read, roughly.
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
        for block in _item_by_item(plan)
    ]
    # The imatrix is the longest of them, so it comes first; what waits for nothing is made beside it.
    free = [unit for unit in arms if not unit.needs]
    bound = [unit for unit in arms if unit.needs]
    return (*imatrices, *free, *bound, *checks, *performances, *blocks)


def _item_by_item(plan: Plan) -> list[PlannedBlock]:
    """Blocks of the same items side by side, whatever their seed group: an item counts once all of it is done."""
    places = {(block.arm, block.benchmark): place for place, block in enumerate(plan.blocks)}
    return sorted(plan.blocks, key=lambda block: (places[block.arm, block.benchmark], block.first))


def _needs_of(block: PlannedBlock, needs: Mapping[str, tuple[str, ...]], reference: str | None) -> tuple[str, ...]:
    """What its arm needs, and what its reference needs where both are decoded side by side."""
    beside = needs[reference] if block.reference and reference else ()
    return tuple(dict.fromkeys((*needs[block.arm], *beside)))


def _units_of_imatrix(planned: PlannedImatrix) -> Iterator[Unit]:
    """Its groups, which any number of workers may share, and what adds them up."""
    for name, tokens in zip(planned.group_units, planned.order.group_tokens, strict=True):
        yield Unit(name, "quantization", "imatrix", planned.needs, None, None, float(tokens), tokens)
    yield Unit(planned.unit, "quantization", "imatrix", planned.group_units, None, None, MERGE_COST)


class Schedule:
    """The state of every unit of a plan."""

    def __init__(self, units: Iterable[Unit], done: Iterable[str], attempts: int) -> None:
        """`done`: units whose files are there already. `attempts`: how often a unit is tried."""
        self.units: Mapping[str, Unit] = {unit.id: unit for unit in units}
        self.failures: list[Failure] = []
        self.forgotten: set[str] = set()
        """Units that count as done for nobody needs them."""
        self._attempts_allowed = attempts
        self._attempts: Counter[str] = Counter()
        finished = set(done)
        self._state = {name: State.DONE if name in finished else State.WAITING for name in self.units}
        self._forget_unneeded()

    def _forget_unneeded(self) -> None:
        """What nothing unfinished needs is not made: its file is gone, or what it was for is done or has failed."""
        wanted: set[str] = set()
        # From the back: what needs a unit stands behind it.
        for unit in reversed(list(self.units.values())):
            if self._state[unit.id] is not State.WAITING:
                continue
            if unit.only_for_others and unit.id not in wanted:
                self._state[unit.id] = State.DONE
                self.forgotten.add(unit.id)
            else:
                wanted.update(unit.needs)

    def state(self, name: str) -> State:
        return self._state[name]

    def in_state(self, state: State) -> list[Unit]:
        return [unit for name, unit in self.units.items() if self._state[name] is state]

    def is_ready(self, unit: Unit) -> bool:
        return (
            self._state[unit.id] is State.WAITING
            and all(self._state[need] is State.DONE for need in unit.needs)
            and all(self._state[one] in (State.DONE, State.FAILED) for one in unit.waits_for)
        )

    def ready(self, role: Role) -> list[Unit]:
        """Units of a role that could start now, the preferred first."""
        return [unit for unit in self.units.values() if unit.role == role and self.is_ready(unit)]

    def next_unit(self, role: Role, loaded_arm: str | None, busy_arms: Iterable[str | None] = ()) -> Unit | None:
        """The unit for an idle worker, or None. Does not change any state.

        Args:
            role: the worker's role.
            loaded_arm: arm whose GGUF the worker holds.
            busy_arms: arms that the other workers of the role hold.
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
        others = Counter(busy_arms)
        arm = max(work, key=lambda name: (-others[name], work[name]))
        return next(unit for unit in ready if unit.arm == arm)

    def units_of_pass(self, unit: Unit) -> tuple[Unit, ...]:
        """A ready unit and those of its pass that are ready as well; one that has failed is tried by itself."""
        if unit.shared_pass is None or self._attempts[unit.id]:
            return (unit,)
        others = (one for one in self.units.values() if one.shared_pass == unit.shared_pass)
        return tuple(one for one in others if self.is_ready(one) and not self._attempts[one.id])

    def start(self, name: str) -> None:
        self._state[name] = State.RUNNING
        self._attempts[name] += 1

    def put_back(self, name: str) -> None:
        """Undo `start`: the worker never began, so no attempt was made."""
        self._state[name] = State.WAITING
        self._attempts[name] -= 1

    def spare(self, names: Iterable[str]) -> None:
        """Nobody needs these any more: what has not begun counts as done."""
        waiting = {name for name in names if self._state[name] is State.WAITING}
        if waiting:
            self._state |= dict.fromkeys(waiting, State.DONE)
            self.forgotten |= waiting
            self._forget_unneeded()

    def finish(self, name: str) -> None:
        self._state[name] = State.DONE

    def fail(self, name: str, error: str, log_tail: Iterable[str] = ()) -> bool:
        """Record a failed attempt. True where the unit will be tried again."""
        if self._attempts[name] < self._attempts_allowed:
            self._state[name] = State.WAITING
        else:
            self._give_up(name, error, tuple(log_tail))
        self._forget_unneeded()
        return self._state[name] is State.WAITING

    def _give_up(self, name: str, error: str, log_tail: tuple[str, ...]) -> None:
        unit = self.units[name]
        self._state[name] = State.FAILED
        self.failures.append(Failure(name, unit.phase, unit.arm, unit.benchmark, self._attempts[name], error, log_tail))
        for other in self.units.values():
            if name in other.needs and self._state[other.id] is State.WAITING:
                # A matrix fails as its group did; what is made with it only says why it is missing.
                parts = unit.phase == other.phase == "imatrix"
                told = (f"{name} failed: {error}", log_tail) if parts else (f"needs {name}, which failed", ())
                self._give_up(other.id, *told)

    @property
    def finished(self) -> bool:
        return all(state in (State.DONE, State.FAILED) for state in self._state.values())
