"""The program in which files of others are tried. `isolated_trial` starts it in a process of its own.

It reads one JSON object per line (`path`, `n_tensors`) and writes one per line: what llama.cpp said
(`error`, `log`), or nulls if the file works. llama.cpp may end the process at any time.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys

from conf.environment import keep_to_processor

MEMORY_BYTES = 2**30
"""What a file may take in addition to its own mapped bytes, which do not count."""
STACK_BYTES = 2**23
"""llama.cpp validates each tensor in a thread of its own. The stack of a thread counts in full, but is hardly used."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def serve() -> None:
    """Answer until the input ends."""
    # Have the kernel kill this process when the one that started it dies.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Send what llama.cpp prints to standard error, so that it does not mix with the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    keep_to_processor()
    from actors.errors import LlamaError
    from actors.llama.trial import check_file

    print("ready", file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        _limit_memory(asked["n_tensors"])
        said: dict[str, object] = {"error": None, "log": []}
        try:
            check_file(asked["path"])
        except LlamaError as error:
            said = {"error": error.message, "log": error.log_tail}
        except (MemoryError, ValueError, UnicodeError, OverflowError, OSError) as error:
            said = {"error": f"{type(error).__name__}: {error}", "log": []}
        print(json.dumps(said), file=out, flush=True)


def _limit_memory(n_tensors: int) -> None:
    """Limit the data that this process may write to. Allocations fail beyond it, and llama.cpp then gives up."""
    with open("/proc/self/statm", encoding="ascii") as file:
        data_bytes = int(file.read().split()[5]) * resource.getpagesize()
    wanted, (_, hard) = data_bytes + MEMORY_BYTES + n_tensors * STACK_BYTES, resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    serve()
