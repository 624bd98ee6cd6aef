"""Read the expected answers of custom benchmarks, strictly: what could never match, or always would, is refused.

`conf.scorers` says what each scorer's target must be. Each function raises `BadLine` for anything else.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from typing import Any

from actors.evaluation.benchmarks.reading import BadLine, Row, field
from actors.evaluation.scorers.boxes import last_boxed
from actors.evaluation.scorers.numbers_in_text import final_number
from actors.evaluation.scorers.numerals import written
from actors.evaluation.scorers.short_answer import normalized
from actors.evaluation.scorers.texts import folded
from conf.scorers import Target

LETTERS = "ABCDEFGHIJ"
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d+)"
_NUMBER = rf"{_DIGITS}(?:\.\d+)?(?:[eE][-+]?\d{{1,2}})?"
_ALONE = re.compile(rf"([-+]?)\s?[$€£¥₹]?\s?([-+]?)({_NUMBER})(?:/({_NUMBER}))?\s?%?")
_RUN = re.compile(r"\d[\d.,/]*(?:[十百千万億兆]+[\d.,]*)*(?:[eE][-+]?\d+)?")
_WITH_UNITS = re.compile(rf"{_NUMBER}(?:/{_NUMBER})?|(?:{_NUMBER}[十百千万億兆]+)+(?:{_NUMBER})?")


def read_target(kind: Target, name: str, row: Row, choices: tuple[str, ...]) -> Any:
    """Return the field `name` of a row as the scorer needs it."""
    target = field(row, name, (str, int, float, list))
    if kind == "index":
        return _index(target, name, choices)
    if kind == "letter":
        return _letter(target, name)
    if kind == "number":
        return _accepted(target, name) if isinstance(target, list) else number_of(target, name)
    if not isinstance(target, list):
        return [_text(target, name, kind)] if kind == "texts" else _text(target, name, kind)
    if kind in ("text", "formula") or not target:
        raise BadLine(f"'{name}' with one answer")
    return [_text(one, name, kind) for one in target]


def _text(target: Any, name: str, kind: Target) -> str:
    if isinstance(target, bool) or not isinstance(target, str | int | float):
        raise BadLine(f"'{name}' with texts or numbers")
    text = str(target)
    if not (normalized(text) if kind == "texts" else folded(text)):
        raise BadLine(f"'{name}' with a text that is not empty: {text[:40]!r} would match every answer, or none")
    if kind == "formula" and not last_boxed(f"\\boxed{{{text}}}"):
        raise BadLine(f"'{name}' with a whole formula: no answer equals {text[:40]!r}")
    return text


def _index(target: Any, name: str, choices: tuple[str, ...]) -> int:
    if isinstance(target, str) and target in choices:
        return choices.index(target)
    if isinstance(target, int) and 0 <= target < len(choices):
        return target
    raise BadLine(f"'{name}' that is one of the choices, or its place from 0 to {len(choices) - 1}")


def _letter(target: Any, name: str) -> str:
    letter = unicodedata.normalize("NFKC", target).strip().strip("()").upper() if isinstance(target, str) else ""
    if len(letter) != 1 or letter not in LETTERS:
        raise BadLine(f"'{name}' with one letter from {LETTERS[0]} to {LETTERS[-1]}: no other can be scored")
    return letter


def _accepted(targets: list[Any], name: str) -> list[str]:
    """Return the accepted numbers, each once."""
    if not targets:
        raise BadLine(f"'{name}' with a number, or a list of accepted numbers")
    return list(dict.fromkeys(number_of(one, name) for one in targets))


def number_of(target: Any, name: str) -> str:
    """Return the one number of a target, written plainly; words and units may stand beside it.

    Behind `####`, as GSM8K's own solutions end, only what follows counts. Two numbers, or commas that may mean two
    things (`12,50`), are refused.
    """
    if isinstance(target, bool) or not isinstance(target, str | int | float):
        raise BadLine(f"'{name}' with a number, or a list of accepted numbers")
    try:
        number = _number(target) if isinstance(target, str) else Fraction(str(target))
        if number is not None:
            return written(number)
    except (ArithmeticError, ValueError) as error:  # division by zero, thousands of digits
        raise BadLine(f"'{name}' with a number ({error})") from None
    raise BadLine(f"'{name}' with a number, and with one only; 1,234.5 is how to write one")


def _number(target: str) -> Fraction | None:
    text = unicodedata.normalize("NFKC", target).translate({ord("−"): "-", ord("△"): "-"}).rpartition("####")[2].strip()
    alone = _ALONE.fullmatch(text)
    if alone is not None:
        first, second, number, divisor = alone.groups()
        sign = -1 if "-" in (first, second) else 1
        return sign * _fraction(number) / (_fraction(divisor) if divisor else 1)
    runs = [run[0].rstrip(".,/") for run in _RUN.finditer(text)]
    if len(runs) > 1 or not all(_WITH_UNITS.fullmatch(run) for run in runs):
        return None
    return final_number(re.sub(r"(?<=\d),(?=\d)", "", text))


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
