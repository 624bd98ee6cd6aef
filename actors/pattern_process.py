"""The program that searches for patterns of users. `patterns` starts it in a process of its own.

A question has `patterns`, `texts`, `most` and `cpu_s`. The answer is one of these:

- `found`: for each text null, or the number of the first pattern that is found in it and its matches, at most `most`. A
  match is the place where it ends, and its first group, or all of it if the pattern has no group.
- `limit` (`time` or `memory`) and `pattern`, the number of the pattern that passed it.

Python looks for signals while it matches a pattern, so a timer can stop it.
"""

import itertools
import json
import re
import signal
from collections.abc import Callable
from typing import Any, NoReturn


class OverTime(Exception):
    """Raised if a search takes too much processor time."""


def start() -> Callable[[Any], str]:
    """Return the function that answers."""
    signal.signal(signal.SIGPROF, _over_time)
    return answer


def answer(asked: Any) -> str:
    """Search all texts for the patterns, within the limits."""
    found: list[list[Any] | None] = [None] * len(asked["texts"])
    number = 0
    try:
        signal.setitimer(signal.ITIMER_PROF, asked["cpu_s"])
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


def _over_time(signum: int, frame: object) -> NoReturn:
    raise OverTime


def _matches(expression: re.Pattern[str], text: str, most: int | None) -> list[tuple[int, str]]:
    group = 1 if expression.groups else 0
    return [(match.end(), match[group] or "") for match in itertools.islice(expression.finditer(text), most)]
