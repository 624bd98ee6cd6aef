"""The program that compares mathematical answers. `mathematics` starts it in a process of its own.

A question holds `gold` and `answer`; the answer is true or false.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

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
"""What the libraries raise for text that is not mathematics. Any other error ends the process. The answer then also
counts as wrong, with another reason."""

TINY = 1e-4
TOLERANCE = 1e-9
POINTS = (
    ((7, 3), (5, 2), (11, 7)),
    ((13, 5), (1, 3), (2, 9)),
    ((1, 7), (19, 4), (3, 2)),
    ((-7, 5), (3, 4), (9, 8)),
    ((5, 4), (-11, 3), (-2, 7)),
    ((-5, 3), (-8, 7), (17, 6)),
    ((23, 9), (14, 3), (-13, 4)),
)
"""Where formulas are compared: one fraction for each of up to three variables."""


def start() -> Callable[[Mapping[str, str]], str]:
    """Return the function that answers."""
    equal = make_comparison()
    equal("\\frac{1}{2}", "0.5")  # loads the grammar, which takes longer than a comparison

    def answer(question: Mapping[str, str]) -> str:
        try:
            return json.dumps(equal(question["gold"], question["answer"]))
        except BAD_ANSWERS:
            return json.dumps(False)

    return answer


def make_comparison() -> Callable[[str, str], bool]:
    """Return math-verify's comparison without its own time-outs. They use SIGALRM; here the kernel sets the limits."""
    from math_verify import parse, verify

    def equal(gold: str, answer: str) -> bool:
        # Let errors out: if the library swallowed them, a lack of memory would look like a different answer.
        expected, given = (parse(f"${text}$", parsing_timeout=None, raise_on_error=True) for text in (gold, answer))
        if verify(expected, given, timeout_seconds=None, raise_on_error=True):
            percent = "%" in gold or "%" in answer
            return not (expected and given and differ_exactly(expected[0], given[0], percent))
        return bool(expected and given and equal_where_real(expected[0], given[0]))

    return equal


def differ_exactly(gold: Any, answer: Any, percent: bool) -> bool:
    """Return whether two values differ although math-verify, which rounds to six decimals, calls them equal."""
    if not all(getattr(value, "is_number", False) for value in (gold, answer)):
        return False
    if all(value.is_Rational for value in (gold, answer)):
        return gold != answer and not (percent and (gold == 100 * answer or 100 * gold == answer))
    sizes = [abs(value.evalf(30)) for value in (gold, answer)]
    if not all(size.is_Float and size < TINY for size in sizes):
        return False
    return bool(abs((gold - answer).evalf(30)) > TOLERANCE * max(sizes))


def equal_where_real(gold: Any, answer: Any) -> bool:
    r"""Return whether two formulas agree wherever both are real: `\sqrt{1/n}` and `1/\sqrt{n}`.

    sympy takes variables as complex numbers, for which such formulas differ.
    """
    import sympy

    if not all(isinstance(value, sympy.Expr) for value in (gold, answer)):
        return False
    symbols = sorted(gold.free_symbols, key=str)
    if not symbols or len(symbols) > 3 or gold.free_symbols != answer.free_symbols:
        return False
    compared = 0
    for point in POINTS:
        places = {symbol: sympy.Rational(*pair) for symbol, pair in zip(symbols, point, strict=False)}
        sides = [sympy.N(value.subs(places), 30) for value in (gold, answer)]
        if not all(side.is_Float and side.is_finite for side in sides):
            continue
        if abs(sides[0] - sides[1]) > TOLERANCE * max(1, *map(abs, sides)):
            return False
        compared += 1
    return compared >= 3
