r"""Score mathematical answers: compare the final answer, mostly the last `\boxed{}`, by value.

`math_answers` finds it, `math_text` brings both sides into one form, and `math_rules` decides what math-verify reads
wrongly. All others are compared by math-verify, which uses sympy. An answer such as `2^{2^{2^{2^{2^{2}}}}}` can keep
sympy busy for ever or fill the memory. So the comparison runs in a process of its own (`comparing_process`), which is
reused, limits itself, and is killed if that is not enough. An answer that goes over a limit is wrong, with its reason,
because the model wrote it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from actors.engines import Answer, Choices, Measured
from actors.errors import QuantAssayError
from actors.evaluation.contract import ScoredResult, right_or_wrong
from actors.evaluation.scorers.math_answers import final_answer
from actors.evaluation.scorers.math_rules import decided, prepared
from actors.evaluation.scorers.math_text import split
from actors.evaluation.scorers.spoken import spoken_of
from actors.orders import Item

OVER_TIME = "comparison_over_time"
OVER_MEMORY = "comparison_over_memory"
FAILED = "comparison_failed"
PROGRAM = Path(__file__).with_name("comparing_process.py")


@dataclass(frozen=True)
class Limits:
    """What one comparison may use. The main limit is processor time, so that a busy machine changes nothing."""

    cpu_s: int = 5
    memory_bytes: int = 2**30
    """Memory on top of what the libraries take themselves."""
    wall_s: float = 120.0
    """Wall time, for a process that hangs without computing."""
    start_s: float = 120.0
    """Wall time to start the process, which loads the libraries."""


LIMITS = Limits()


class ComparisonFailed(QuantAssayError):
    """The comparing process does not work at all. The answer is not the cause."""


class Comparer:
    """Owner of one comparing process. It is started when first needed, and again after it was killed."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._process: subprocess.Popen[str] | None = None

    def compare(self, gold: str, answer: str) -> bool | str:
        """Return whether two answers are equal, or a reason if the comparison went over a limit or failed."""
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        with _time_limit(process, self._limits.wall_s) as over_time:
            try:
                process.stdin.write(json.dumps({"gold": gold, "answer": answer}) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
                if not over_time.is_set():
                    self.close()
                    raise ComparisonFailed("the process that compares mathematical answers has ended") from None
        if line.endswith("\n"):
            said = json.loads(line)
            if said == OVER_MEMORY or over_time.is_set():
                self.close()  # after a failed allocation its state is unknown; over time it is being killed
            return said if said == OVER_MEMORY else bool(said)
        code = process.wait()
        self.close()
        reasons = {-signal.SIGXCPU: OVER_TIME, -signal.SIGKILL: OVER_MEMORY}  # the kernel kills if memory runs out
        return OVER_TIME if over_time.is_set() else reasons.get(code, FAILED)

    def close(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            limits = [str(self._limits.cpu_s), str(self._limits.memory_bytes)]
            # -P keeps the scorers' folder from shadowing the standard library.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM), *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert self._process.stdout is not None
            with _time_limit(self._process, self._limits.start_s):
                is_ready = self._process.stdout.readline() == "ready\n"
            if not is_ready:
                self.close()
                raise ComparisonFailed("math-verify cannot be loaded: `make setup` installs it")
        return self._process


@contextlib.contextmanager
def _time_limit(process: subprocess.Popen[str], seconds: float) -> Iterator[threading.Event]:
    """Kill the process if the block takes longer, and set the event.

    Death ends every wait for the process: for its input to be read, and for a line, begun or not.
    """
    over_time = threading.Event()

    def end() -> None:
        over_time.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield over_time
    finally:
        timer.cancel()


@functools.cache
def _comparer() -> Comparer:
    """Return this process's only comparer, which is reused."""
    comparer = Comparer()
    atexit.register(comparer.close)
    return comparer


def score_mathematics(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the final answer equals the target. Raise `ComparisonFailed` if no comparison is possible."""
    said = spoken_of(item, result)
    given = final_answer(said.ends, cut=said.cut)
    if not given:
        return said.without_answer()
    expected, answered = split(item.target), split(given)
    equal: bool | str | None = decided(expected, answered)
    if equal is None:
        equal = _comparer().compare(*prepared(expected, answered))
    if isinstance(equal, str):
        return ScoredResult("wrong", 0.0, reason=equal, answer=given)
    return right_or_wrong(equal, given)
