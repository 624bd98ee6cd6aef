"""Search for regular expressions of users in a process that has limits and can be killed.

Some expressions, such as `(a+)+$`, take time that grows exponentially with the text, and nothing but a signal to the
main thread can interrupt Python's `re`. So another program (`pattern_process`) searches, whichever thread asks. It is
reused as long as it behaves. `re` itself stays the one that matches, because the meaning of a pattern is part of a
benchmark.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.errors import QuantAssayError
from actors.own_process import OwnProcess, ProcessEnded

PROGRAM = Path(__file__).with_name("pattern_process.py")


@dataclass(frozen=True)
class PatternLimits:
    """What one request may use."""

    cpu_s: float = 1.0
    """Processor time, so that a busy machine changes nothing."""
    memory_bytes: int = 2**29
    """Memory on top of what the program takes itself."""
    wall_s: float = 60.0
    """Wall time, for a process that hangs without computing."""


LIMITS = PatternLimits()


@dataclass(frozen=True)
class Match:
    """One match of a pattern in a text."""

    end: int
    """Where the match ends in the text."""
    given: str
    """The first group; the whole match if the pattern has no group."""


class PatternOverLimit(QuantAssayError):
    """A pattern takes too much time or memory."""

    def __init__(self, pattern: str, limit: str) -> None:
        super().__init__(f"it takes too much {limit}")
        self.pattern = pattern
        self.limit = limit
        """`time` or `memory`."""


class Searcher:
    """Owner of one searching process. It is started when first needed, and again after it ended."""

    def __init__(self, limits: PatternLimits = LIMITS) -> None:
        self._limits = limits
        broken = "the program that searches for patterns does not start"
        self._process = OwnProcess(PROGRAM, broken, memory_bytes=limits.memory_bytes)
        self.close = self._process.close

    def find_all(self, pattern: str, text: str) -> list[Match]:
        """Return all matches in a text, from left to right. Raises `PatternOverLimit`."""
        (found,) = self._found([pattern], [text], None)
        return [Match(end, given) for end, given in found[1]] if found else []

    def first_found(self, patterns: Sequence[str], texts: Sequence[str]) -> list[int | None]:
        """Return for each text the number of the first pattern that is found in it. Raises `PatternOverLimit`."""
        return [found[0] if found else None for found in self._found(patterns, texts, 1)]

    def _found(self, patterns: Sequence[str], texts: Sequence[str], most: int | None) -> list[Any]:
        limits = self._limits
        question = {"patterns": list(patterns), "texts": list(texts), "most": most, "cpu_s": limits.cpu_s}
        try:
            # The program ends a little earlier than the kernel would end it, so that it can tell the pattern.
            said = json.loads(self._process.ask(question, wall_s=limits.wall_s, cpu_s=limits.cpu_s + 1))
        except ProcessEnded as error:
            said = {"limit": "memory" if error.over_memory else "time", "pattern": 0}
        if "limit" in said:
            self.close()  # the state of the process is unknown
            raise PatternOverLimit(patterns[said["pattern"]], said["limit"])
        found: list[Any] = said["found"]
        return found


@functools.cache
def searcher() -> Searcher:
    """Return this process's only searcher, which is reused."""
    return Searcher()
