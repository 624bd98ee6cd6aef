"""The program in which files of others are tried. `isolated_trial` runs it in an `OwnProcess`.

A question holds `path` and `n_tensors`; the answer is what llama.cpp said (`error`, `log`; null if the file works).
llama.cpp may end the process at any time.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
MEMORY_BYTES = 2**30
"""What a file may take in addition to its own mapped bytes, which do not count."""
STACK_BYTES = 2**23
"""llama.cpp validates each tensor in a thread of its own. The stack of a thread counts in full, but is hardly used."""


def start() -> Callable[[Mapping[str, Any]], str]:
    """Load llama.cpp and return the function that answers."""
    sys.path.insert(0, str(_ROOT))
    from conf.environment import keep_to_processor

    keep_to_processor()
    from actors.errors import LlamaError
    from actors.llama.trial import check_file

    def answer(question: Mapping[str, Any]) -> str:
        _limit_memory(question["n_tensors"])
        said: dict[str, object] = {"error": None, "log": []}
        try:
            check_file(question["path"])
        except LlamaError as error:
            said = {"error": error.message, "log": error.log_tail}
        except (MemoryError, ValueError, UnicodeError, OverflowError, OSError) as error:
            said = {"error": f"{type(error).__name__}: {error}", "log": []}
        return json.dumps(said)

    return answer


def _limit_memory(n_tensors: int) -> None:
    """Limit the data that this process may write to. Allocations fail beyond it, and llama.cpp then gives up."""
    with open("/proc/self/statm", encoding="ascii") as file:
        data_bytes = int(file.read().split()[5]) * resource.getpagesize()
    wanted, (_, hard) = data_bytes + MEMORY_BYTES + n_tensors * STACK_BYTES, resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
