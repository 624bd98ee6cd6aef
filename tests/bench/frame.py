"""The results of a bench: the numbers of both sides, the target, and whether it is met; as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """The target for our side. Exactly one of the limits is set."""

    least_ratio: float | None = None
    """Least ratio of our speed to theirs: 1.2 is 20% faster."""
    most_extra: float | None = None
    """Most by which ours may exceed theirs, in the measure's unit."""
    most: float | None = None
    """Largest value of ours, in the measure's unit; used if they have nothing to compare with."""

    def describe(self, unit: str) -> str:
        if self.most is not None:
            return f"<= {self.most:,.0f} {unit}"
        if self.least_ratio is not None:
            return f">= {self.least_ratio:.2f}x"
        return f"<= theirs + {self.most_extra:,.0f} {unit}"


@dataclass(frozen=True)
class Measure:
    """One number, measured several times on each side."""

    bench: str
    case: str
    name: str
    unit: str
    higher_is_better: bool
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    """Empty if their program is missing or does no such work."""
    target: Target | None = None

    @property
    def our_median(self) -> float:
        return statistics.median(self.ours)

    @property
    def their_median(self) -> float | None:
        return statistics.median(self.theirs) if self.theirs else None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is; None if there are no numbers of theirs."""
        if self.their_median is None:
            return None
        return self.our_median / self.their_median if self.higher_is_better else self.their_median / self.our_median

    @property
    def passed(self) -> bool | None:
        """True if the target is met; None without a target or without numbers to compare with."""
        if self.target is not None and self.target.most is not None:
            return self.our_median <= self.target.most
        if self.target is None or self.ratio is None or self.their_median is None:
            return None
        if self.target.least_ratio is not None:
            return self.ratio >= self.target.least_ratio
        assert self.target.most_extra is not None
        return self.our_median <= self.their_median + self.target.most_extra


@dataclass(frozen=True)
class Setting:
    """The settings that every bench gets."""

    folder: Path
    """Folder for models and outputs. The caller keeps or deletes it."""
    models: tuple[str, ...]
    threads: int
    repeats: int
    chunks: int
    """Number of chunks of 512 tokens, for benches that decode text."""
    data_dir: Path | None = None
    """Folder of data sets; None: from the hub."""


@dataclass(frozen=True)
class Bench:
    """One bench: its title and its function."""

    about: str
    run: Callable[[Setting], Sequence[Measure]]


def in_turn(repeats: int, ours: Callable[[], T], theirs: Callable[[], T] | None) -> tuple[list[T], list[T]]:
    """Run both sides `repeats` times and return their results. The side that begins changes each time."""
    results: tuple[list[T], list[T]] = ([], [])
    for number in range(repeats):
        sides = [(results[0], ours), *([(results[1], theirs)] if theirs is not None else [])]
        for kept, run in sides if number % 2 == 0 else reversed(sides):
            kept.append(run())
    return results


def table(measures: Sequence[Measure]) -> str:
    """Return the medians of both sides as a plain-text table."""
    rows = [("bench", "case", "measure", "ours", "theirs", "ratio", "target", "")]
    for one in measures:
        verdict = {True: "pass", False: "MISS", None: ""}[one.passed]
        target = "" if one.target is None else one.target.describe(one.unit)
        theirs = "-" if one.their_median is None else _number(one.their_median)
        ratio = "-" if one.ratio is None else f"{one.ratio:.2f}x"
        rows.append(
            (one.bench, one.case, f"{one.name}, {one.unit}", _number(one.our_median), theirs, ratio, target, verdict)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    texts = (0, 1, 2, 6, 7)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def as_json(measure: Measure) -> dict[str, Any]:
    """Return a measure with all of its repeats, for the JSON report."""
    return {
        "bench": measure.bench,
        "case": measure.case,
        "measure": measure.name,
        "unit": measure.unit,
        "higher_is_better": measure.higher_is_better,
        "ours": list(measure.ours),
        "theirs": list(measure.theirs),
        "our_median": measure.our_median,
        "their_median": measure.their_median,
        "ratio": measure.ratio,
        "target": None if measure.target is None else measure.target.describe(measure.unit),
        "passed": measure.passed,
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
