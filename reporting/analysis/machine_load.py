"""Decides which timed pieces of work (blocks and fixed workloads) had a quiet machine. Only their speed is published.

Each piece comes with the CPU time that it took and the CPU time of all processes on the same CPUs. What is left over
was taken by others, in two parts: other workers of this run, whose pieces overlap in time on the same machine, and
everything else: other programs, other users, Ray itself, and work of this run that is not timed here, such as
quantizing. The machine was busy for a piece if

- everything else took more than `BUSY_SHARE` of the CPU time that there was, or
- some process waited for memory in more than `BUSY_SHARE` of the time, or
- other workers of this run took more than `BUSY_SHARE`, and not the same share beside every arm: the mean shares of two
  arms are more than `BUSY_SHARE` apart. If every arm had the same company, their speeds can be compared.

A share is computed only from what the kernel counts in ticks, so a tick per CPU more or less is no sign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stats.reasons import Reason

BUSY_SHARE = 0.1
"""Above this share a machine counts as busy. A local Ray that waits takes 0.02 of two CPUs (measured over 40 s)."""
_TICK_S = 0.01
_NEEDED = ("machine", "observed_from", "observed_s", "cpus", "own_cpu_s", "all_cpu_s")


@dataclass(frozen=True)
class Piece:
    """One timed piece of work."""

    arm: str
    process: int
    watched: Mapping[str, Any] | None
    """What went on (`actors.machine_load.MachineLoad`). None: nobody watched, as in timings of older versions."""

    @property
    def machine(self) -> Mapping[str, Any] | None:
        """What went on; None if it is not complete, as in a damaged file."""
        found = self.watched
        if not isinstance(found, Mapping) or any(found.get(name) is None for name in _NEEDED):
            return None
        return found


@dataclass(frozen=True)
class Company:
    """What others did during a piece of work, as shares of the CPU time (or of the time) that there was."""

    elsewhere: float
    """CPU time of everything but this run's timed work."""
    side_by_side: float
    """CPU time of other workers of this run."""
    memory_stall: float
    """Time in which some process waited for memory; 0 if the kernel does not tell."""
    cpu_s: float
    """The CPU time that there was."""

    @property
    def is_busy(self) -> bool:
        """True if anything but other workers of this run was in the way."""
        return self.elsewhere > BUSY_SHARE or self.memory_stall > BUSY_SHARE


def company_of(pieces: Sequence[Piece]) -> list[Company | None]:
    """Return what others did during each piece; None if nobody watched. `pieces` are all timed work of the run."""
    by_machine: defaultdict[str, set[tuple[float, float, float, int]]] = defaultdict(set)
    for piece in pieces:
        if piece.machine is not None:
            by_machine[piece.machine["machine"]].add((*_span(piece.machine), piece.machine["own_cpu_s"], piece.process))
    totals = {name: _CpuTime(sorted(spans)) for name, spans in by_machine.items()}
    return [None if piece.machine is None else _company(piece.machine, totals) for piece in pieces]


def withheld(pieces: Sequence[Piece], company: Sequence[Company | None]) -> list[Reason | None]:
    """Return why the speed of each piece must not be published; None if it may. `pieces` are all of one kind."""
    even = _is_even(pieces, company)
    return [
        Reason.MACHINE_NOT_WATCHED
        if found is None
        else Reason.MACHINE_BUSY
        if found.is_busy or (found.side_by_side > BUSY_SHARE and not even)
        else None
        for found in company
    ]


def is_quiet(machine: Mapping[str, Any] | None) -> bool:
    """Return whether a single piece of work had the machine to itself: no other worker of the run counts as its own."""
    found = company_of([Piece("", 0, machine)])[0]
    return found is not None and not found.is_busy


class _CpuTime:
    """The CPU time that this run's pieces took on one machine, as a function of the clock."""

    def __init__(self, spans: Sequence[tuple[float, float, float, int]]) -> None:
        """`spans`: begin, end, CPU time and process of each piece. Blocks of a pass share one, and count once."""
        times = np.array([span[:2] for span in spans])
        rates = np.array([span[2] for span in spans]) / (times[:, 1] - times[:, 0])
        self._clock, places = np.unique(times.T.ravel(), return_inverse=True)
        steps = np.zeros(self._clock.size)
        np.add.at(steps, places.ravel(), np.concatenate([rates, -rates]))
        taken = np.cumsum(steps)[:-1] * np.diff(self._clock)
        self._until = np.concatenate([[0.0], np.cumsum(taken)])

    def between(self, begin: float, end: float) -> float:
        ends = np.interp([begin, end], self._clock, self._until)
        return float(ends[1] - ends[0])


def _span(machine: Mapping[str, Any]) -> tuple[float, float]:
    # A piece that took no time at all still has a rate.
    return machine["observed_from"], machine["observed_from"] + max(machine["observed_s"], 1e-6)


def _company(machine: Mapping[str, Any], totals: Mapping[str, _CpuTime]) -> Company:
    begin, end = _span(machine)
    capacity = max(1, machine["cpus"]) * (end - begin)
    own, every = machine["own_cpu_s"], machine["all_cpu_s"]
    side_by_side = max(0.0, totals[machine["machine"]].between(begin, end) - own)
    elsewhere = max(0.0, every - own - side_by_side - machine["cpus"] * _TICK_S)
    stalled = machine.get("memory_stall_s") or 0.0
    return Company(elsewhere / capacity, side_by_side / capacity, stalled / (end - begin), capacity)


def _is_even(pieces: Sequence[Piece], company: Sequence[Company | None]) -> bool:
    """Return whether other workers of the run took about the same share beside each arm."""
    taken: defaultdict[str, float] = defaultdict(float)
    total: defaultdict[str, float] = defaultdict(float)
    for piece, found in zip(pieces, company, strict=True):
        if found is not None and not found.is_busy:
            taken[piece.arm] += found.side_by_side * found.cpu_s
            total[piece.arm] += found.cpu_s
    shares = [taken[arm] / total[arm] for arm in total]
    return not shares or max(shares) - min(shares) <= BUSY_SHARE
