"""Notices how busy the machine is while something is timed: who used its CPUs, and whether memory ran short.

A speed that was measured beside other work is not that of the arm, so the timings say what else went on. The counters
are the kernel's: the CPU time of all processes on the CPUs that this process may use (with the time that other virtual
machines took), the CPU time of this process, and pressure stall information if the kernel has it. Other work on a GPU
is not noticed. `reporting.analysis.machine_load` decides from these numbers whether a speed is published.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

_IDLE = {"idle", "iowait"}
_COUNTED_TWICE = {"guest", "guest_nice"}  # they are part of `user` and `nice`
_MEMORY_PRESSURE = Path("/proc/pressure/memory")


@dataclass(frozen=True)
class MachineLoad:
    """What went on during a timed piece of work. Times are in seconds."""

    machine: str
    """Hash of the machine's name, to tell which pieces of work ran on the same one."""
    observed_from: float
    """When the work began, in seconds since 1970."""
    observed_s: float
    cpus: int
    """Number of CPUs that this process may use."""
    own_cpu_s: float
    """CPU time of this process and its children."""
    all_cpu_s: float
    """CPU time of all processes on these CPUs, this one included."""
    memory_stall_s: float | None
    """Time in which some process waited for memory. None: this kernel does not tell."""


def watch_machine() -> Callable[[], MachineLoad]:
    """Begin to watch. The function that is returned ends it and returns what went on since."""
    began_at, began = time.time(), time.perf_counter()
    cpus = _usable_cpus()
    own, every, stalled = _own_cpu_s(), _all_cpu_s(cpus), _memory_stall_s()

    def load() -> MachineLoad:
        now_stalled = _memory_stall_s()
        return MachineLoad(
            machine=hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8],
            observed_from=began_at,
            observed_s=time.perf_counter() - began,
            cpus=len(cpus),
            own_cpu_s=max(0.0, _own_cpu_s() - own),
            all_cpu_s=max(0.0, _all_cpu_s(cpus) - every),
            memory_stall_s=None if now_stalled is None or stalled is None else now_stalled - stalled,
        )

    return load


def _usable_cpus() -> list[int]:
    process = psutil.Process()
    allowed = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None  # macOS has none
    return list(allowed or range(psutil.cpu_count() or 1))


def _own_cpu_s() -> float:
    """Return the CPU time of this process, of its children that ended, and of those that run."""
    process = psutil.Process()
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            own = child.cpu_times()
        except psutil.Error:
            continue
        total += own.user + own.system + own.children_user + own.children_system
    return float(total)


def _all_cpu_s(cpus: list[int]) -> float:
    every = psutil.cpu_times(percpu=True)
    return float(
        sum(
            value
            for number in cpus
            if number < len(every)
            for name, value in every[number]._asdict().items()
            if name not in _IDLE | _COUNTED_TWICE
        )
    )


def _memory_stall_s() -> float | None:
    try:
        found = re.search(r"^some .*total=(\d+)", _MEMORY_PRESSURE.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) / 1e6 if found else None
