"""Count the tokens that an engine decodes, measure the time, and report progress.

Engines read the clock only to time their work. No answer depends on it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from actors.engines import Usage
from actors.llama.buffers import MemoryUse
from actors.orders import ReportTokens


class Meter:
    """Counts tokens and seconds since the last `take`."""

    def __init__(self) -> None:
        self.report: ReportTokens = _ignore
        self._usage = Usage()

    def model_loaded(self, seconds: float, memory: MemoryUse | None) -> None:
        """Add the seconds that loading the model took, and note what it takes in memory."""
        self._usage = _add_usage(self._usage, Usage(load_s=seconds, memory=memory))

    @contextlib.contextmanager
    def prompt(self) -> Iterator[Callable[[int], None]]:
        """Count the time of the `with` block as prompt time. Yield a function that counts prompt tokens."""
        started = time.perf_counter()
        yield lambda tokens: self._add(Usage(prompt_tokens=tokens), tokens)
        self._usage = _add_usage(self._usage, Usage(prompt_s=time.perf_counter() - started))

    @contextlib.contextmanager
    def completion(self) -> Iterator[Callable[[int], None]]:
        """Count the time of the `with` block as decoding time. Yield a function that counts answer tokens."""
        started = time.perf_counter()
        yield lambda tokens: self._add(Usage(completion_tokens=tokens), tokens)
        self._usage = _add_usage(self._usage, Usage(decode_s=time.perf_counter() - started))

    def take(self) -> Usage:
        """Return the counts since the last call, and reset them. The memory stays as it is."""
        usage, self._usage = self._usage, Usage(memory=self._usage.memory)
        return usage

    def _add(self, usage: Usage, tokens: int) -> None:
        self._usage = _add_usage(self._usage, usage)
        self.report(tokens)


def _ignore(tokens: int) -> None:
    """Ignore the number of tokens, until a report function is set."""


def _add_usage(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.load_s + other.load_s,
        one.prompt_tokens + other.prompt_tokens,
        one.prompt_s + other.prompt_s,
        one.completion_tokens + other.completion_tokens,
        one.decode_s + other.decode_s,
        other.memory or one.memory,
    )
