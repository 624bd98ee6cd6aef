"""The number that a worked solution arrives at.

The number after the last `####` is taken (the mark that GSM8K's solutions end with), else the last number of
the text, as in lm-evaluation-harness's `flexible-extract` (lm_eval/tasks/gsm8k/gsm8k.yaml). Read are signs,
decimals, thousands separators, a currency sign before the number, and full-width digits (NFKC).
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from actors.evaluation.contract import Verdict
from actors.evaluation.engines import Answer, Choices, Measured
from actors.work import Item

_CURRENCY = r"[$€£¥₹]"
# A minus that follows a digit, a letter or a closing bracket is a subtraction or a hyphen, not a sign.
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w).%])[-+]\s?)?(?:{_CURRENCY}\s?(?P<inner>[-+])?)?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?P<decimals>\.\d+)?"
    r"|(?<![\d.])(?P<bare>\.\d+)"
)
_FINAL_MARK = "####"
_MINUS_SIGNS = str.maketrans({"−": "-", "‐": "-", "–": "-"})


def final_number(text: str) -> Decimal | None:
    """The answer of a solution, or None where the text holds no number. Trailing zeros do not count."""
    text = unicodedata.normalize("NFKC", text).translate(_MINUS_SIGNS)
    after_mark = list(_NUMBER.finditer(text, text.rindex(_FINAL_MARK))) if _FINAL_MARK in text else []
    if after_mark:
        return _value(after_mark[0])
    found = list(_NUMBER.finditer(text))
    return _value(found[-1]) if found else None


def _value(match: re.Match[str]) -> Decimal:
    digits = match["bare"] or match["digits"].replace(",", "") + (match["decimals"] or "")
    sign = "-" if "-" in ((match["sign"] or "") + (match["inner"] or "")) else ""
    value = Decimal(sign + digits).normalize()
    # normalize() writes 70000 as 7E+4: answers are read by people.
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value


def score_number(item: Item, result: Answer | Choices | Measured) -> Verdict:
    """Right where the number equals the target. No number is wrong: the model's own failure, with its reason."""
    if not isinstance(result, Answer):
        raise TypeError(f"{item.item_id}: a text expected, got {type(result).__name__}")
    number = final_number(result.text)
    if number is None:
        return Verdict("wrong", 0.0, "cut_at_token_limit" if result.finish_reason == "length" else "no_answer")
    right = number == Decimal(item.target)
    return Verdict("correct" if right else "wrong", float(right), answer=str(number))
