r"""Mathematical answers: the content of the last `\boxed{}`, compared by value.

Equal texts (spaces and LaTeX's cosmetics aside) are right at once. Anything else is compared by math-verify, which is
sympy underneath: `2^{2^{2^{2^{2^{2}}}}}` is enough to keep that busy for ever, or to fill the memory. So it runs in
a process of its own (`comparing_process`), which is kept warm, limits itself, and is killed where that is not enough.
An answer that goes over a limit is wrong, with its reason: the model wrote it.
"""

from __future__ import annotations

import atexit
import functools
import json
import re
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from actors.engines import Answer, Choices, Measured
from actors.errors import QuantAssayError
from actors.evaluation.contract import ScoredResult, answer_of, no_answer, right_or_wrong
from actors.orders import Item

OVER_TIME = "comparison_over_time"
OVER_MEMORY = "comparison_over_memory"
FAILED = "comparison_failed"
PROGRAM = Path(__file__).with_name("comparing_process.py")

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*")
_UNIT = re.compile(r"\s*\\(?:text|mbox|textrm|mathrm)\{[^{}]*\}(?:\^\{?\d\}?)?$")
_COSMETIC = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\[,!;:]|\\ |\s+|^\$|\$$|\.$")


@dataclass(frozen=True)
class Limits:
    """What one comparison may take. Processor time decides: the same answer fails on a busy machine and on an idle."""

    cpu_s: int = 5
    memory_bytes: int = 2**30
    """Beyond what the libraries take themselves."""
    wall_s: float = 120.0
    """For a process that hangs without computing."""


LIMITS = Limits()


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{...}` whose braces close, else of `\boxed x`; None without any."""
    for match in reversed(list(_BOXED.finditer(text))):
        rest = text[match.end() :]
        if not rest.startswith("{"):
            word = re.match(r"[^\s$]+", rest)
            if word:
                return word[0]
            continue
        depth = 0
        for index, character in enumerate(rest):
            escaped = index > 0 and rest[index - 1] == "\\"
            depth += 0 if escaped else {"{": 1, "}": -1}.get(character, 0)
            if depth == 0:
                return rest[1:index].strip()
    return None


def plain_answer(answer: str) -> str:
    """One form for answers that look the same."""
    answer = re.sub(r"\\[dt]frac", r"\\frac", without_unit(answer))
    return _COSMETIC.sub("", answer)


def without_unit(answer: str) -> str:
    r"""The answer less a unit at its end (`15\mbox{ cm}^2`), which math-verify cannot always read past."""
    answer = answer.strip()
    return _UNIT.sub("", answer) or answer


class ComparisonFailed(QuantAssayError):
    """The comparing process cannot do its work at all: a fault of ours, not of an answer."""


class Comparer:
    """Owns one comparing process, started when it is first needed and again after it had to be killed."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._process: subprocess.Popen[str] | None = None

    def compare(self, gold: str, answer: str) -> bool | str:
        """Whether two answers are equal; the reason where that took more than the limits allow."""
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
                self.close()  # what a failed allocation left behind is anybody's guess
                return OVER_MEMORY
            return bool(said)
        code = process.wait()
        self.close()
        reasons = {-signal.SIGXCPU: OVER_TIME, -signal.SIGKILL: OVER_MEMORY}  # the kernel kills for want of memory
        return reasons.get(code, FAILED)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            limits = [str(self._limits.cpu_s), str(self._limits.memory_bytes)]
            # -P: the scorers' own folder must not stand before the standard library.
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
    """One a process, warm from its first comparison on."""
    comparer = Comparer()
    atexit.register(comparer.close)
    return comparer


def score_mathematics(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Right where the last boxed answer equals the target. Raises `ComparisonFailed`."""
    answer = answer_of(item, result)
    given = last_boxed(answer.text)
    if not given:
        return no_answer(answer)
    if plain_answer(given) == plain_answer(item.target):
        return right_or_wrong(True, given)
    equal = _comparer().compare(without_unit(item.target), without_unit(given))
    if isinstance(equal, str):
        return ScoredResult("wrong", 0.0, equal, given)
    return right_or_wrong(equal, given)
