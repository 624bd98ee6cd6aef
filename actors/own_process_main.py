"""The program in every `OwnProcess`. It loads another program, and lets it answer until there are no more questions.

That program is a Python file with a function `start`, which loads what is needed and returns the function that gives
the answer to a question, as JSON. This file limits memory and processor time. It imports nothing else of the project,
so that a process starts quickly.
"""

import json
import math
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO


def main(program: Path, memory_bytes: int) -> None:
    """Answer until the input ends. `memory_bytes` is the limit on top of what the program takes to start; 0: none."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8")
    threading.Thread(target=_end_with_owner, args=(questions.fileno(),), daemon=True).start()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # What the program prints goes to standard error, so that it does not mix with the answers. It has nothing to read.
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answer = _start(program)
    if memory_bytes:
        with open("/proc/self/statm", encoding="ascii") as file:
            memory_bytes += int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        _serve(answer, questions, answers)
    except MemoryError:
        if not memory_bytes:
            raise
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does if the machine's memory runs out


def _end_with_owner(questions: int) -> None:
    """Wait until nobody can ask any more, and kill this process with all that it has started, whatever it is doing.

    The kernel could do that, too (PR_SET_PDEATHSIG), but it does so when the thread ends that started this process.
    """
    poll = select.poll()
    poll.register(questions, 0)  # only the other end's death counts, not a question
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def _start(program: Path) -> Callable[[Any], str]:
    names: dict[str, Any] = {"__name__": program.stem, "__file__": str(program)}
    exec(compile(program.read_bytes(), program, "exec"), names)
    start: Callable[[], Callable[[Any], str]] = names["start"]
    return start()


def _serve(answer: Callable[[Any], str], questions: TextIO, answers: TextIO) -> None:
    print("ready", file=answers, flush=True)
    for line in questions:
        asked = json.loads(line)
        if asked["cpu_s"] is not None:
            spent = resource.getrusage(resource.RUSAGE_SELF)
            _, hard = resource.getrlimit(resource.RLIMIT_CPU)
            # The kernel's limit is in whole seconds from the start of the process.
            until_s = math.ceil(spent.ru_utime + spent.ru_stime + asked["cpu_s"])
            resource.setrlimit(resource.RLIMIT_CPU, (until_s, hard))
        print(answer(asked["question"]), file=answers, flush=True)
    os.killpg(0, signal.SIGKILL)  # the owner is gone: end what the program has started, too


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
