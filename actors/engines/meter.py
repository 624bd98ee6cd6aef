"""Counting what an engine decodes, and how long it takes; tells whoever wants to know how far it is.

The clock is read here and nowhere else in the engines: no result depends on it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from actors.engines import Usage
from actors.orders import ReportTokens


class Meter:
    """Tokens and seconds since the last `take`."""

    def __init__(self) -> None:
        self.report: ReportTokens = _say_nothing
        self._usage = Usage()

    def loaded(self, seconds: float) -> None:
        self._usage = _sum(self._usage, Usage(load_s=seconds))

    @contextlib.contextmanager
    def prompt(self) -> Iterator[Callable[[int], None]]:
        """Time of the block is counted to prompts; the function given counts their tokens."""
        started = time.perf_counter()
        yield lambda tokens: self._add(Usage(prompt_tokens=tokens), tokens)
        self._usage = _sum(self._usage, Usage(prompt_s=time.perf_counter() - started))

    @contextlib.contextmanager
    def completion(self) -> Iterator[Callable[[int], None]]:
        """Time of the block is counted to answers; the function given counts their tokens."""
        started = time.perf_counter()
        yield lambda tokens: self._add(Usage(completion_tokens=tokens), tokens)
        self._usage = _sum(self._usage, Usage(decode_s=time.perf_counter() - started))

    def take(self) -> Usage:
        """What was counted since the last call."""
        usage, self._usage = self._usage, Usage()
        return usage

    def _add(self, usage: Usage, tokens: int) -> None:
        self._usage = _sum(self._usage, usage)
        self.report(tokens)


def _say_nothing(tokens: int) -> None:
    """Until an engine is given somebody to report to."""


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.load_s + other.load_s,
        one.prompt_tokens + other.prompt_tokens,
        one.prompt_s + other.prompt_s,
        one.completion_tokens + other.completion_tokens,
        one.decode_s + other.decode_s,
    )
