"""Search for regular expressions of users in a process that has limits and can be killed.

Some expressions, such as `(a+)+$`, take time that grows exponentially with the text, and nothing but a signal to the
main thread can interrupt Python's `re`. So another program (`pattern_process`) searches, whichever thread asks. It is
reused as long as it behaves. `re` itself stays the one that matches, because the meaning of a pattern is part of a
benchmark.
"""

from __future__ import annotations

import atexit
import functools
import json
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.errors import QuantAssayError

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


class PatternsBroken(QuantAssayError):
    """The searching process does not work at all. No pattern is the cause."""


class Searcher:
    """Owner of one searching process. It is started when first needed, and again after it was killed."""

    def __init__(self, limits: PatternLimits = LIMITS) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def find_all(self, pattern: str, text: str) -> list[Match]:
        """Return all matches in a text, from left to right. Raises `PatternOverLimit`."""
        (found,) = self._found([pattern], [text], None)
        return [Match(end, given) for end, given in found[1]] if found else []

    def first_found(self, patterns: Sequence[str], texts: Sequence[str]) -> list[int | None]:
        """Return for each text the number of the first pattern that is found in it. Raises `PatternOverLimit`."""
        return [found[0] if found else None for found in self._found(patterns, texts, 1)]

    def _found(self, patterns: Sequence[str], texts: Sequence[str], most: int | None) -> list[Any]:
        asked = {"patterns": list(patterns), "texts": list(texts), "most": most, "cpu_s": self._limits.cpu_s}
        with self._one_at_a_time:
            said = self._ask(asked)
            if "limit" in said:
                self.close()  # the state of the process is unknown
                raise PatternOverLimit(patterns[said["pattern"]], said["limit"])
        found: list[Any] = said["found"]
        return found

    def _ask(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        process = self._written(json.dumps(asked).encode() + b"\n")
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], self._limits.wall_s)[0]:
            return {"limit": "time", "pattern": 0}
        line = process.stdout.readline()
        if line.endswith(b"\n"):
            said: Mapping[str, Any] = json.loads(line)
            return said
        # The kernel also kills if the machine's memory runs out.
        return {"limit": "time" if process.wait() == -signal.SIGXCPU else "memory", "pattern": 0}

    def _written(self, line: bytes) -> subprocess.Popen[bytes]:
        """Send a line to the process and return it. If somebody has ended it, another one gets the line."""
        for _ in range(2):
            process = self._started()
            assert process.stdin is not None
            try:
                process.stdin.write(line)
                process.stdin.flush()
            except BrokenPipeError:
                self.close()
            else:
                return process
        raise PatternsBroken("the process that searches for patterns has ended")

    def close(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # -P keeps this folder from shadowing the standard library.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM), str(self._limits.memory_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert self._process.stdout is not None
            if self._process.stdout.readline() != b"ready\n":
                self.close()
                raise PatternsBroken("the program that searches for patterns does not start")
        return self._process


@functools.cache
def searcher() -> Searcher:
    """Return this process's only searcher, which is reused."""
    made = Searcher()
    atexit.register(made.close)
    return made
