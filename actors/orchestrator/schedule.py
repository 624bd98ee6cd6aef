"""The schedule: a state machine over the units of a plan that says what may start next. Pure; it starts nothing itself.

A unit waits until everything it needs is done. A worker first gets blocks of the arm that it has loaded. If there are
none left, it gets blocks of another arm: one that few workers hold and that has much work left. If benchmarks may end
early, blocks that may turn out to be unnecessary wait for their turn. A unit that fails is tried again. After its last
attempt it is recorded as failed, and every unit that needs it fails with it. Units are listed after the units that they
need.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from actors.orchestrator.units import Role, Unit


class State(Enum):
    """What has happened to a unit so far."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


_ENDED = (State.DONE, State.FAILED)


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
        self.left: set[str] = set()
        """Units that count as done because this run cannot finish them."""
        self._set_aside: set[str] = set()
        self._alone: set[str] = set()
        """Units that are tried without the others of their pass."""
        self.order: Mapping[str, int] = {name: number for number, name in enumerate(self.units)}
        """The position of each unit."""
        self._attempts_allowed = attempts
        self._attempts: Counter[str] = Counter()
        finished = set(done)
        self._state = {name: State.DONE if name in finished else State.WAITING for name in self.units}
        self._n_ended = sum(state in _ENDED for state in self._state.values())
        self._roles_after: defaultdict[str, set[Role]] = defaultdict(set)
        """By unit, the roles of the units that it keeps waiting."""
        for unit in self.units.values():
            for other in (*unit.needs, *unit.waits_for):
                self._roles_after[other].add(unit.role)
        self._ready: dict[Role, dict[str, Unit]] = {}
        """The ready units of a role, as long as nothing has happened that may make others ready."""
        self._skip_unneeded()

    def _set(self, name: str, state: State) -> None:
        """Change the state of a unit. Of the ready units, forget only what may have changed: there are thousands."""
        self._n_ended += (state in _ENDED) - (self._state[name] in _ENDED)
        self._state[name] = state
        role = self.units[name].role
        changed = self._roles_after.get(name, set()) if state in _ENDED else set()
        for other in changed | ({role} if state is State.WAITING else set()):
            self._ready.pop(other, None)
        if role in self._ready:
            self._ready[role].pop(name, None)

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
                self._set(unit.id, State.DONE)
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
            and unit.id not in self._set_aside
            and all(self._state[need] is State.DONE for need in unit.needs)
            and all(self._state[other] in (State.DONE, State.FAILED) for other in unit.waits_for)
        )

    def ready(self, role: Role) -> list[Unit]:
        """Return the units of a role that could start now, the preferred ones first."""
        if role not in self._ready:
            found = (unit for unit in self.units.values() if unit.role == role and self.is_ready(unit))
            self._ready[role] = {unit.id: unit for unit in found}
        return list(self._ready[role].values())

    def units_of_pass(self, unit: Unit) -> tuple[Unit, ...]:
        """Return the units to send to a worker with a ready unit: all ready units of its pass, itself included.

        A unit that has failed before is tried alone, and so is a unit that belongs to no pass.
        """
        if unit.shared_pass is None or self._is_alone(unit):
            return (unit,)
        in_pass = (one for one in self.units.values() if one.shared_pass == unit.shared_pass)
        return tuple(one for one in in_pass if self.is_ready(one) and not self._is_alone(one))

    def _is_alone(self, unit: Unit) -> bool:
        return unit.id in self._alone or bool(self._attempts[unit.id])

    def separate(self, names: Iterable[str]) -> None:
        """Have units of a pass tried one by one."""
        self._alone.update(names)

    def set_aside(self, names: Iterable[str]) -> None:
        """Have only these units wait until a smaller plan is made, because there was no memory for what they load."""
        self._set_aside = set(names)
        self._ready.clear()

    def take_over(self, before: Schedule) -> None:
        """Go on from the schedule of an earlier plan: what runs, has failed or is left there does so here.

        What it has skipped is not taken over: who needs it may be another one now.
        """
        known = self.units.keys()
        self._attempts = Counter({name: n for name, n in before._attempts.items() if name in known})
        self._alone = before._alone & known
        self.left = before.left & known
        done = {unit.id for unit in before.in_state(State.DONE)} - before.skipped
        running = {unit.id for unit in before.in_state(State.RUNNING)}
        for name in done & known:
            self._set(name, State.DONE)
        for name in running & known:
            self._set(name, State.RUNNING)
        self.skipped -= done | running
        self.failures = [one for one in before.failures if one.unit in known]
        for failed in self.failures:
            self._set(failed.unit, State.FAILED)
        for failed in list(self.failures):
            self._give_up_needing(self.units[failed.unit], failed.error, failed.log_tail)
        self._skip_unneeded()

    def start(self, name: str) -> None:
        """Mark a unit as running and count one attempt."""
        self._set(name, State.RUNNING)
        self._attempts[name] += 1

    def put_back(self, name: str) -> None:
        """Undo `start` because the worker never began. No attempt is counted."""
        self._set(name, State.WAITING)
        self._attempts[name] -= 1

    def spare(self, names: Iterable[str]) -> None:
        """Skip those of these units that have not begun, because nobody needs them any more."""
        waiting = {name for name in names if self._state[name] is State.WAITING}
        if waiting:
            for name in waiting:
                self._set(name, State.DONE)
            self.skipped |= waiting
            self._skip_unneeded()

    def finish(self, name: str) -> None:
        """Mark a unit as done."""
        self._set(name, State.DONE)

    def leave(self, name: str) -> None:
        """Mark a running unit as one that this run does not finish; it has not failed, and the next run tries it."""
        self._set(name, State.DONE)
        self.left.add(name)

    def abandon(self, names: Iterable[str], error: str) -> None:
        """Record those of these units that have not begun as failed."""
        for name in names:
            if self._state[name] is State.WAITING:
                self._give_up(name, error, ())

    def fail(self, name: str, error: str, log_tail: Iterable[str] = (), *, is_final: bool = False) -> bool:
        """Record a failed attempt. Return True if the unit will be tried again; after a final failure it is not."""
        if self._attempts[name] < self._attempts_allowed and not is_final:
            self._set(name, State.WAITING)
        else:
            self._give_up(name, error, tuple(log_tail))
        self._skip_unneeded()
        return self._state[name] is State.WAITING

    def _give_up(self, name: str, error: str, log_tail: tuple[str, ...]) -> None:
        """Record a unit as failed, with all units that need it."""
        unit = self.units[name]
        self._set(name, State.FAILED)
        self.failures.append(Failure(name, unit.phase, unit.arm, unit.benchmark, self._attempts[name], error, log_tail))
        self._give_up_needing(unit, error, log_tail)

    def _give_up_needing(self, unit: Unit, error: str, log_tail: tuple[str, ...]) -> None:
        for other in self.units.values():
            if unit.id in other.needs and self._state[other.id] is State.WAITING:
                # A matrix repeats the error and the log of its group. An arm only says which matrix is missing.
                both_imatrix = unit.phase == other.phase == "imatrix"
                reason = (f"{unit.id} failed: {error}", log_tail)
                self._give_up(other.id, *(reason if both_imatrix else (f"needs {unit.id}, which failed", ())))

    @property
    def finished(self) -> bool:
        """True if every unit is done or has failed."""
        return self._n_ended == len(self.units)


def preferred_unit(
    ready: Sequence[Unit],
    loaded_arm: str | None,
    busy_arms: Iterable[str | None] = (),
    work_of: Callable[[Unit], float] = lambda unit: unit.cost,
) -> Unit | None:
    """Return the next unit for a worker, or None if none is ready.

    Args:
        ready: the units of the worker's role that it could start now, the preferred ones first.
        loaded_arm: the arm whose GGUF the worker holds, or the judge.
        busy_arms: the arms or judges that the other workers of the role hold.
        work_of: returns the work that a unit stands for, which is more than its own if it stands for others like it.
    """
    if not ready or ready[0].role == "quantization":
        return ready[0] if ready else None
    turn = min(unit.turn for unit in ready)
    ready = [unit for unit in ready if unit.turn == turn]
    own = [unit for unit in ready if unit.loads == loaded_arm]
    if own:
        return own[0]
    work: defaultdict[str | None, float] = defaultdict(float)
    for unit in ready:
        work[unit.loads] += work_of(unit)
    holders = Counter(busy_arms)
    arm = max(work, key=lambda name: (-holders[name], work[name]))
    return next(unit for unit in ready if unit.loads == arm)
