"""Progress as data: turns the state of the schedule into the values of a snapshot. Pure; times are arguments."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from actors.orchestrator.plan import Cell
from actors.orchestrator.schedule import Schedule, State
from actors.orchestrator.units import Unit
from actors.orders import Phase

PROGRESS_SCHEMA_VERSION = 1
RATE_WINDOW_S = 15.0
"""Time over which tokens per second are averaged."""
MAX_SHARE_OF_RUNNING_UNIT = 0.95
"""A running unit counts as at most this share of its cost, even if it has reported more tokens than expected."""

WORK_PHASES: tuple[Phase, ...] = ("imatrix", "quantize", "evaluate", "judge")
"""The phases that have units, in their order."""

RunState = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Snapshot:
    """The state of a pipeline at one moment. `reporting/schemas/progress.schema.json` documents each field."""

    schema_version: int
    pipeline_id: str
    state: RunState
    phase: Phase
    done: int
    total: int
    cells_done: int
    cells_total: int
    percent: float
    tokens_per_second: float | None
    elapsed_s: float
    seconds_left: float | None
    cpu_percent: float
    memory_bytes: int
    process_id: int
    workers: int
    failures: tuple[Mapping[str, str], ...]
    notices: tuple[str, ...]
    updated_at: str
    working_on: tuple[str, ...] = ()
    """What each busy worker is doing, in words."""
    phases: tuple[Mapping[str, str], ...] = ()
    """All phases of this pipeline in their order: `name` and `state` (passed, now, to_come)."""
    arms: tuple[Mapping[str, Any], ...] = ()
    """By arm: `name`, `cells_done`, `cells_total`."""
    benchmarks: tuple[Mapping[str, Any], ...] = ()
    """By benchmark: `name`, `cells_done`, `cells_total`."""

    def as_json(self) -> dict[str, Any]:
        """Return the snapshot as a JSON object."""
        value = dataclasses.asdict(self)
        value["failures"] = [dict(failure) for failure in self.failures]
        value["notices"] = list(self.notices)
        value["working_on"] = list(self.working_on)
        for name in ("phases", "arms", "benchmarks"):
            value[name] = [dict(one) for one in value[name]]
        return value


class TokenRate:
    """Tokens per second over the last seconds, computed from reports that arrive irregularly."""

    def __init__(self, window_s: float = RATE_WINDOW_S) -> None:
        self._window_s = window_s
        self._reports: deque[tuple[float, int]] = deque()
        self.total = 0

    def add(self, now_s: float, tokens: int) -> None:
        """Add a report of tokens that were processed since the report before."""
        self._reports.append((now_s, tokens))
        self.total += tokens

    def per_second(self, now_s: float) -> float | None:
        """Return tokens per second, or None if nothing was reported within the window."""
        while self._reports and self._reports[0][0] < now_s - self._window_s:
            self._reports.popleft()
        if not self._reports:
            return None
        span = max(now_s - self._reports[0][0], 1.0)
        return sum(tokens for _, tokens in self._reports) / span


def current_phase(schedule: Schedule) -> Phase:
    """Return the earliest phase that has unfinished units; `statistics` if there is none."""
    open_phases = {unit.phase for state in (State.WAITING, State.RUNNING) for unit in schedule.in_state(state)}
    return next((phase for phase in WORK_PHASES if phase in open_phases), "statistics")


def describe_work(units: Sequence[Unit]) -> str:
    """Return what a worker is doing with one unit, or with the units of one pass: the arms and the benchmark."""
    first = units[0]
    arms = ", ".join(dict.fromkeys(unit.arm for unit in units if unit.arm))
    if first.phase == "imatrix":
        return "collecting the importance matrix"
    if first.phase == "quantize":
        return f"quantizing {arms}"
    if first.judge is not None:
        return f"{first.judge} judges {arms} on {first.benchmark}"
    if first.is_check:
        return f"self-check of {arms}"
    return f"{arms} on {first.benchmark}" if first.benchmark else f"speed of {arms}"


def cells_done(cells: Iterable[Cell], schedule: Schedule) -> int:
    """Return the number of cells whose blocks are all done, and judged if they have judges."""
    return sum(
        all(schedule.state(unit) is State.DONE for unit in (*cell.blocks, *cell.judgings))
        and schedule.left.isdisjoint(cell.judgings)
        for cell in cells
    )


def cells_by(
    cells: Iterable[Cell], schedule: Schedule, name_of: Callable[[Cell], str]
) -> tuple[Mapping[str, Any], ...]:
    """Return the cells done of all cells, by arm or by benchmark, in the order of the cells."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(name_of(cell), []).append(cell)
    return tuple(
        {"name": name, "cells_done": cells_done(group, schedule), "cells_total": len(group)}
        for name, group in groups.items()
    )


def phases_of(schedule: Schedule, now: Phase, makes_documents: bool) -> tuple[Mapping[str, str], ...]:
    """Return the phases of a pipeline, and whether each one has passed, is now, or is to come."""
    made = {unit.phase for unit in schedule.units.values()}
    names: list[Phase] = [name for name in WORK_PHASES if name in made]
    names += ["statistics", "charts", "documents"] if makes_documents else ["statistics"]
    if now not in names:
        return ()
    place = names.index(now)
    states = ["passed"] * place + ["now"] + ["to_come"] * (len(names) - place - 1)
    return tuple({"name": name, "state": state} for name, state in zip(names, states, strict=True))


def cost_shares(
    schedule: Schedule, done_before: frozenset[str], reported_tokens: Mapping[str, int]
) -> tuple[float, float]:
    """Return the cost of what this session has done, and the cost of what is left.

    What was done before, or was skipped, counts in neither.

    Args:
        schedule: the state of each unit.
        done_before: units that were done at the start.
        reported_tokens: by running unit, the tokens that it has reported so far.
    """
    not_ours = done_before | schedule.skipped | schedule.left
    done = sum(unit.cost for unit in schedule.in_state(State.DONE) if unit.id not in not_ours)
    left = sum(unit.cost for unit in schedule.in_state(State.WAITING))
    for unit in schedule.in_state(State.RUNNING):
        share = min(reported_tokens.get(unit.id, 0) / unit.tokens, MAX_SHARE_OF_RUNNING_UNIT) if unit.tokens else 0.0
        done += unit.cost * share
        left += unit.cost * (1 - share)
    return done, left


def seconds_left(elapsed_s: float, done_cost: float, left_cost: float) -> float | None:
    """Return the seconds left at the pace so far, or None while nothing is done, because there is no pace yet."""
    if left_cost <= 0:
        return 0.0
    if done_cost <= 0:
        return None
    return elapsed_s * left_cost / done_cost
