"""The program in which llama.cpp is asked for its devices; `actors.nodes_reading` runs it.

Asking a CUDA device for its memory takes some of it, and a library for another processor or driver kills its process.
Both end with this process. A question may be anything; the answer is that of
`actors.nodes_reading.machine_facts`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def start() -> Callable[[object], str]:
    """Return the function that answers."""
    sys.path.insert(0, str(_ROOT))
    from conf.environment import abort_without_debugger

    abort_without_debugger()
    from actors.nodes_reading import machine_facts

    return lambda _question: json.dumps(machine_facts())
