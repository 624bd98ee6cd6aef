"""The process that compares mathematical answers; `mathematics` starts it as a program of its own.

Reads one JSON object a line (`gold`, `answer`) and writes one value a line: true, false, or the reason why it could not
tell. It limits its own memory and, anew for each comparison, its own processor time: over that the kernel ends it, so
it never outlives its limits, even where nobody is left to kill it.
"""

import json
import os
import resource
import sys
from collections.abc import Callable

OVER_MEMORY = "comparison_over_memory"
BAD_ANSWERS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the libraries raise for text that is no mathematics. Anything else ends the process: the answer is wrong then,
too, with a reason of its own."""


def serve(cpu_s: int, memory_bytes: int) -> None:
    """Answer until the input ends. `memory_bytes`: beyond what the libraries take."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # What the libraries print must not mix with the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    equal = make_comparison()
    equal("\\frac{1}{2}", "0.5")  # loads the grammar, which takes longer than a comparison
    with open("/proc/self/statm", encoding="ascii") as file:
        memory_bytes += int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        # Whole seconds, counted from the start of the process: one more makes up for rounding down.
        resource.setrlimit(resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime) + cpu_s + 1, hard))
        try:
            said: bool | str = equal(asked["gold"], asked["answer"])
        except MemoryError:
            said = OVER_MEMORY
        except BAD_ANSWERS:
            said = False
        print(json.dumps(said), file=out, flush=True)


def make_comparison() -> Callable[[str, str], bool]:
    """math-verify with its own time-outs off: they use SIGALRM, and the limits here are the kernel's."""
    from math_verify import parse, verify

    def equal(gold: str, answer: str) -> bool:
        # Errors must come out: swallowed by the library, a lack of memory would look like another answer.
        expected, given = (parse(f"${text}$", parsing_timeout=None, raise_on_error=True) for text in (gold, answer))
        return bool(verify(expected, given, timeout_seconds=None, raise_on_error=True))

    return equal


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
