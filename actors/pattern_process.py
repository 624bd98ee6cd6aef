"""The program that searches for patterns of users. `patterns` starts it in a process of its own.

It reads one JSON object per line (`patterns`, `texts`, `most`, `cpu_s`) and writes one JSON object per line:

- `found`: for each text null, or the number of the first pattern that is found in it and its matches, at most `most`. A
  match is the place where it ends, and its first group, or all of it if the pattern has no group.
- or `limit` (`time` or `memory`) and `pattern`, the number of the pattern that passed it

Python looks for signals while it matches a pattern, so a timer can stop it. The kernel ends the process if that is not
enough, so it stops even if the process that started it is gone.
"""

import itertools
import json
import os
import re
import resource
import signal
import sys
from typing import Any, NoReturn


class OverTime(Exception):
    """Raised if a search takes too much processor time."""


def serve(memory_bytes: int) -> None:
    """Answer until the input ends. `memory_bytes` is the limit on top of what the program takes itself."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _over_time)
    with open("/proc/self/statm", encoding="ascii") as file:
        memory_bytes += int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        print(_answer(json.loads(line)), file=out, flush=True)


def _over_time(signum: int, frame: object) -> NoReturn:
    raise OverTime


def _allow(cpu_s: float) -> None:
    """Give what follows this much processor time: then `OverTime` is raised, and a little later the kernel kills."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    # The kernel's limit is in whole seconds from the start of the process. Add two: int() rounds down.
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime + cpu_s) + 2, hard))
    signal.setitimer(signal.ITIMER_PROF, cpu_s)


def _answer(asked: dict[str, Any]) -> str:
    found: list[list[Any] | None] = [None] * len(asked["texts"])
    number = 0
    try:
        _allow(asked["cpu_s"])
        for number, pattern in enumerate(asked["patterns"]):
            expression = re.compile(pattern)
            for place, text in enumerate(asked["texts"]):
                if found[place] is None:
                    matches = _matches(expression, text, asked["most"])
                    found[place] = [number, matches] if matches else None
        said = json.dumps({"found": found})
        signal.setitimer(signal.ITIMER_PROF, 0)
    except OverTime:
        return json.dumps({"limit": "time", "pattern": number})
    except MemoryError:
        signal.setitimer(signal.ITIMER_PROF, 0)
        found.clear()
        return json.dumps({"limit": "memory", "pattern": number})
    return said


def _matches(expression: re.Pattern[str], text: str, most: int | None) -> list[tuple[int, str]]:
    group = 1 if expression.groups else 0
    return [(match.end(), match[group] or "") for match in itertools.islice(expression.finditer(text), most)]


if __name__ == "__main__":
    serve(int(sys.argv[1]))
