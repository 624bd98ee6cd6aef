"""The program in which the speed of a model is measured; `actors.orchestrator.sources.speeds` runs it.

A question holds `path`, `layout` and `kinds`. The answer is the speed and how busy other programs kept the machine, or
an error. In a process of its own the measurement frees all of its memory at its end, and a model that is too large ends
only this process.
"""

from __future__ import annotations

import json
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
    from dataclasses import asdict

    from actors.errors import QuantAssayError
    from actors.evaluation.speed import measure_speed, small_layout
    from actors.llama.layout import EngineLayout
    from actors.machine_load import watch_machine

    def answer(question: Mapping[str, Any]) -> str:
        layout = small_layout(EngineLayout.of(question["layout"]))
        watched = watch_machine()
        try:
            speed = measure_speed(question["path"], layout, question["kinds"])
        except (QuantAssayError, MemoryError, ValueError, OSError) as error:
            return json.dumps({"error": f"{type(error).__name__}: {error}"})
        load = watched()
        busy = max(0.0, load.all_cpu_s - load.own_cpu_s) / (load.cpus * load.observed_s)
        return json.dumps({"error": None, "busy": busy, "speed": asdict(speed)})

    return answer
