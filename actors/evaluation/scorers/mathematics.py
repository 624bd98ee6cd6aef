r"""Score mathematical answers: compare the final answer, mostly the last `\boxed{}`, by value.

`math_answers` finds it, `math_text` brings both sides into one form, and `math_rules` decides what math-verify reads
wrongly. All others are compared by math-verify, which uses sympy. An answer such as `2^{2^{2^{2^{2^{2}}}}}` can keep
sympy busy for ever or fill the memory. So the comparison runs in a process of its own (`comparing_process`), which is
reused, limits itself, and is killed if that is not enough. An answer that goes over a limit is wrong, with its reason,
because the model wrote it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, right_or_wrong
from actors.evaluation.scorers.math_answers import final_answer
from actors.evaluation.scorers.math_rules import decided, prepared
from actors.evaluation.scorers.math_text import split
from actors.evaluation.scorers.spoken import spoken_of
from actors.items import Item
from actors.own_process import OwnProcess, ProcessEnded

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


class Comparer:
    """Owner of one comparing process. It is started when first needed, and again after it ended."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        broken = "math-verify cannot be loaded: `make setup` installs it"
        self._process = OwnProcess(PROGRAM, broken, memory_bytes=limits.memory_bytes, start_s=limits.start_s)
        self.close = self._process.close

    def compare(self, gold: str, answer: str) -> bool | str:
        """Return whether two answers are equal, or a reason if the comparison went over a limit or failed."""
        question = {"gold": gold, "answer": answer}
        try:
            return bool(json.loads(self._process.ask(question, wall_s=self._limits.wall_s, cpu_s=self._limits.cpu_s)))
        except ProcessEnded as error:
            return OVER_TIME if error.over_time else OVER_MEMORY if error.over_memory else FAILED


@functools.cache
def _comparer() -> Comparer:
    """Return this process's only comparer, which is reused."""
    return Comparer()


def score_mathematics(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the final answer equals the target. Raise `ProcessNotStarted` if nothing can be compared."""
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
