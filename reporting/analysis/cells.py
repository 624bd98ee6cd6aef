"""Which arm and benchmark an error in the findings belongs to, so that one bad value never loses the other findings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import polars as pl

FAULTS = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError)
"""What code over numbers and tables raises if a value does not fit. Other errors, a full disk say, end the work."""


class FindingsFailed(Exception):
    """The findings of one arm on one benchmark cannot be computed or written."""

    def __init__(self, arm: str, benchmark: str, why: str) -> None:
        super().__init__(f"the findings of {arm} on {benchmark} cannot be computed: {why[:500]}")
        self.arm, self.benchmark, self.why = arm, benchmark, why

    def __reduce__(self) -> tuple[type[FindingsFailed], tuple[str, str, str]]:
        return (FindingsFailed, (self.arm, self.benchmark, self.why))


@contextlib.contextmanager
def findings_of(arm: str, benchmark: str) -> Iterator[None]:
    """Raise `FindingsFailed` in place of an error of the block that a value of this arm and benchmark causes."""
    try:
        yield
    except FAULTS as error:
        raise FindingsFailed(arm, benchmark, f"{type(error).__name__}: {error}") from error
