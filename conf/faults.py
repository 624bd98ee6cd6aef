"""Bad input: what is wrong with what the user gave, all of it in one message.

    faults = Faults()
    recipes = faults.gather(resolve_recipes, config)
    chats = faults.gather(chat_settings, config)
    faults.stop_if_any()
    return Inputs(checked(recipes), checked(chats))

A check raises `BadInput` with one or more `Fault`s. `Faults` runs several checks, keeps the faults of all of them and
raises them together, so that the user can fix everything at once. Every job prints `BadInput` without a traceback and
exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

MOST_SHOWN = 1000
"""Most characters of each part of a message: values and names come from files, which hold any text."""
NOT_UTF8 = "text in UTF-8 (some bytes are not)"
RENAME = "Give the file or folder a name in UTF-8."
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the input.

    The key is spelled as the user writes it:

    - the flag of the main job if there is one (`--benchmarks`), even if the value came from a configuration file
      (`conf.flags` lists the flags; a job whose flags have other names renames them before it prints);
    - else the configuration key, with dots: `statistics.margins.accuracy`;
    - the name of an environment variable: `RAY_ADDRESS`;
    - for the content of a file: `FILE: key`, or `FILE:LINE`.

    A job's own flags (`--output`) are spelled as flags, too. `tests/conf/test_fault_keys.py` checks every key.
    """

    key: str
    got: object
    """The value that was given; None if it is missing."""
    allowed: str
    """What is allowed instead, without a full stop."""
    next_step: str = ""
    """What the user can do, as one or more sentences."""

    def __str__(self) -> str:
        key, got, allowed, step = map(_shortened, (self.key, repr(self.got), self.allowed, self.next_step))
        text = f"{key}: got {got}; allowed: {allowed}."
        return _printable(f"{text} {step}" if step else text)


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}... ({len(text):,} characters)"


def _printable(text: str) -> str:
    """Return a text with control characters spelled out: keys and messages of others may hold some."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


class BadInput(Exception):
    """The input cannot be used. Raised before any heavy work starts."""

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def is_utf8(text: str) -> bool:
    """Return whether a text can be written as UTF-8: it has no lone surrogate, as bytes of a wrong encoding become."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def near_names(name: str, known: Iterable[str]) -> str:
    """Return a hint such as `Did you mean 'q4_k_m'?`, or an empty string if no known name is similar."""
    near = difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.6)
    if not near:
        return ""
    return f"Did you mean {' or '.join(repr(candidate) for candidate in near)}?"


@dataclass
class Faults:
    """Collects the faults of several checks, so that the user sees all of them at once."""

    found: list[Fault] = field(default_factory=list)

    def gather(self, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Run `check` and return its value; if it raises `BadInput`, keep the faults and return None."""
        try:
            return check(*args, **kwargs)
        except BadInput as error:
            self.found.extend(error.faults)
            return None

    def add(self, *faults: Fault) -> None:
        """Keep faults that were found without a check function."""
        self.found.extend(faults)

    def stop_if_any(self) -> None:
        """Raise `BadInput` with the faults found so far, if any."""
        if self.found:
            raise BadInput(self.found)


def checked(value: T | None) -> T:
    """Return a value of `Faults.gather` after `stop_if_any`: no check failed, so it is not None."""
    if value is None:
        raise AssertionError("a check failed, but its faults were not raised")
    return value
