"""Groups of chunks: the unit in which an importance matrix is collected, saved and added up.

A group is a fixed run of chunks. Its chunks are added in float64, in order, and it is saved as a whole; the matrix is
the sum of its groups, also in order. So the result is bit-identical, whatever was interrupted and however many
processes did the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from actors.llama.activation_sums import TensorActivations
from actors.llama.activations import Sums
from actors.quantization_orders import GROUP_CHUNKS
from actors.stored_files import ImatrixFiles
from conf.files import atomic_path, exists, remove

T = TypeVar("T")

_IDENTITY, _COST, _PROCESSES, _SUMS, _COUNTS = "identity", "cost", "processes", "sums/", "counts/"


@dataclass(frozen=True)
class Group:
    """One decoded group."""

    entries: Sums
    seconds: float
    """Time of the decoding alone."""
    peak_rss_bytes: int
    """Peak memory of the process that decoded it."""
    processes: frozenset[str]
    """Processes that decoded it, as `host:pid`."""


def cut_into_groups(chunks: Sequence[T]) -> list[Sequence[T]]:
    """Cut a sequence with one element per chunk into groups. The last group may be shorter."""
    return [chunks[start : start + GROUP_CHUNKS] for start in range(0, len(chunks), GROUP_CHUNKS)]


class PartsFolder:
    """The folder `<output>.parts`: the finished groups of an incomplete matrix."""

    def __init__(self, output_path: str | Path, identity: str) -> None:
        """`identity` distinguishes these groups from leftovers of different work with the same output path."""
        self._files = ImatrixFiles(output_path)
        self._identity = identity

    def has(self, number: int) -> bool:
        """Return True if the group is saved and belongs to this work."""
        if not exists(self._files.group(number)):
            return False
        with np.load(self._files.group(number), allow_pickle=False) as stored:
            return bool(str(stored[_IDENTITY]) == self._identity)

    def save(self, number: int, group: Group) -> None:
        """Write one group atomically."""
        arrays = {_IDENTITY: np.array(self._identity), _COST: np.array([group.seconds, group.peak_rss_bytes])}
        arrays[_PROCESSES] = np.array(sorted(group.processes))
        for name, entry in group.entries.items():
            arrays[_SUMS + name], arrays[_COUNTS + name] = entry.sum_squares, entry.counts
        with atomic_path(self._files.group(number)) as temporary, temporary.open("wb") as file:
            # Passed as a mapping because tensor names are not Python identifiers. mypy takes them for savez's options.
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def load(self, number: int) -> Group:
        """Read one saved group."""
        with np.load(self._files.group(number), allow_pickle=False) as stored:
            names = [name.removeprefix(_SUMS) for name in stored.files if name.startswith(_SUMS)]
            entries = {name: TensorActivations(stored[_SUMS + name], stored[_COUNTS + name]) for name in names}
            seconds, peak_rss_bytes = stored[_COST]
            processes = frozenset(map(str, stored[_PROCESSES]))
        return Group(entries, float(seconds), int(peak_rss_bytes), processes)

    def remove(self) -> None:
        """Delete the folder, once the matrix is complete."""
        remove(self._files.parts)


def added(left: Sums, right: Sums) -> Sums:
    """Return the sum of both, tensor by tensor. A tensor may be missing from either side."""
    total = dict(left)
    for name, entry in right.items():
        total[name] = total[name] + entry if name in total else entry
    return dict(sorted(total.items()))


def add_up(groups: Iterable[Group]) -> Group:
    """Return the sum of the groups, added in the given order."""
    entries: Sums = {}
    seconds, peak, processes = 0.0, 0, frozenset[str]()
    for group in groups:
        entries = added(entries, group.entries)
        seconds, peak = seconds + group.seconds, max(peak, group.peak_rss_bytes)
        processes |= group.processes
    return Group(entries, seconds, peak, processes)
