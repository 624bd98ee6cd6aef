"""Bad input, said in one clear message.

A `Fault` is one thing that is wrong with what the user gave; `BadInput` carries all that were found,
so that nobody mends them one by one. Every job prints it without a traceback and leaves with exit code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

P = ParamSpec("P")


T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """One fault: the key, the value got, what is allowed, and the next step."""

    key: str
    got: object
    allowed: str
    next_step: str = ""

    def __str__(self) -> str:
        text = f"{self.key}: got {self.got!r}; allowed: {self.allowed}."
        return f"{text} {self.next_step}" if self.next_step else text


class BadInput(Exception):
    """What the user gave cannot be used. Raised before anything heavy starts."""

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def near_names(name: str, known: Iterable[str]) -> str:
    """A hint such as `Did you mean 'q4_k_m'?`, or an empty string where no name is near."""
    near = difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.6)
    if not near:
        return ""
    return f"Did you mean {' or '.join(repr(candidate) for candidate in near)}?"


@dataclass
class Faults:
    """Collects what is wrong, so that all of it is told at once."""

    found: list[Fault] = field(default_factory=list)

    def gather(self, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `check` gives back for these arguments; None where it finds fault."""
        try:
            return check(*args, **kwargs)
        except BadInput as error:
            self.found.extend(error.faults)
            return None

    def stop_if_any(self) -> None:
        if self.found:
            raise BadInput(self.found)


def gathered(value: T | None) -> T:
    if value is None:
        raise AssertionError("a fault was found and not raised")
    return value
