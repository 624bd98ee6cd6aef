"""The program in which the speed of a model is measured; `actors.orchestrator.sources.speeds` runs it.

Questions and answers are those of `actors.evaluation.speed.answer_question`. In a process of its own the measurement
frees all of its memory at its end, and a model that is too large ends only this process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


def start() -> Callable[[Mapping[str, Any]], str]:
    """Load llama.cpp and return the function that answers."""
    sys.path.insert(0, str(_ROOT))
    from conf.environment import let_waiting_threads_sleep

    let_waiting_threads_sleep()
    from actors.evaluation.speed import answer_question

    return answer_question
