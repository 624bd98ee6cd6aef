r"""Score mathematical answers: compare the final answer, mostly the last `\boxed{}`, by value.

`math_answers` finds it, `math_text` brings both sides into one form, and `math_rules` decides what math-verify reads
wrongly. All others are compared by math-verify, which uses sympy. An answer such as `2^{2^{2^{2^{2^{2}}}}}` can keep
sympy busy for ever or fill the memory. So the comparison runs in a process of its own (`comparing_process`), which is
reused, limits itself, and is killed if that is not enough. An answer that goes over a limit is wrong, with its reason,
because the model wrote it.
"""

from __future__ import annotations

import atexit
import functools
import json
import select
import signal
import subprocess
import sys
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
        try:
            process.stdin.write(json.dumps({"gold": gold, "answer": answer}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            self.close()
            raise ComparisonFailed("the process that compares mathematical answers has ended") from None
        if not select.select([process.stdout], [], [], self._limits.wall_s)[0]:
            self.close()
            return OVER_TIME
        line = process.stdout.readline()
        if line:
            said = json.loads(line)
            if said == OVER_MEMORY:
                self.close()  # its state after a failed allocation is unknown
                return OVER_MEMORY
            return bool(said)
        code = process.wait()
        self.close()
        reasons = {-signal.SIGXCPU: OVER_TIME, -signal.SIGKILL: OVER_MEMORY}  # the kernel kills if memory runs out
        return reasons.get(code, FAILED)

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
            if self._process.stdout.readline() != "ready\n":
                self.close()
                raise ComparisonFailed("math-verify cannot be loaded: `make setup` installs it")
        return self._process


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
