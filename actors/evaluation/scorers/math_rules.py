r"""Decide what math-verify gets wrong before it is asked: words, dates, bases, ratios, units and inequalities."""

from __future__ import annotations

import re
from fractions import Fraction

from actors.evaluation.scorers.math_text import MathAnswer, date_of
from actors.evaluation.scorers.number_words import number_words

_COSMETIC = re.compile(r"\s+|[$]|\\\$|[{}]|(?<=\d),(?=\d{3}(?!\d))|\\text")
_BASED = re.compile(r"(\w+)_\{?\(?(\d+)\)?\}?")
_RATIO = re.compile(r"\d+(?:\.\d+)?(?:\s*:\s*\d+(?:\.\d+)?)+")
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]*[A-Za-z]|[\u3040-\u30ff\u4e00-\u9fff]+")
_END = r"(-?(?:\\infty|[^<>=,]+?))"
_LESS, _MORE = r"(<=|<)", r"(>=|>)"
_COMMAND_SIGN = re.compile(r"\\([lg])(?:eqslant|eqq|eq|e)(?![a-z])")
_ONE_SIDED = re.compile(rf"([a-zA-Z])(?:{_LESS}|{_MORE}){_END}")
_TWO_SIDED = re.compile(rf"{_END}{_LESS}([a-zA-Z]){_LESS}{_END}")
_RELATION = re.compile(r"\s*(?:[<>]|\\(?:[lg]e?q?|[lg]t|[lg]eqslant)(?![a-z]))")
_SET = re.compile(r"\\?\{\s*[a-zA-Z]\s*(?:\\in\s*[^|:]{1,30}?)?(?:\\mid(?![a-z])|\\vert|[|:])(.{1,200}?)\\?\}")
_ANY_REAL = re.compile(r",?\s*[a-zA-Z]\s*\\in\s*(?:\\mathbb\s?\{?R\}?|\\text\s?\{?R\}?)\s*$")
_NAMED = re.compile(r"^\s*[a-zA-Z]\s*=")
_INTERVAL = re.compile(r"^(?:[a-zA-Z]\\in)?[(\[].*,.*[)\]]")


def decided(gold: MathAnswer, given: MathAnswer) -> bool | None:
    """Return whether two answers are equal if the rules can tell, else None."""
    if gold.words != given.words:
        return False
    if gold.unit and given.unit and gold.unit != given.unit:
        return False
    if bool(_RELATION.match(gold.value)) != bool(_RELATION.match(given.value)):
        return False  # "more than 18" is not 18
    expected, said = (_same_look(answer.value) for answer in (gold, given))
    if expected == said:
        return True
    for rule in (_words, _bases, _ratios):
        found = rule(gold.value, given.value)
        if found is not None:
            return found
    return None


def _same_look(value: str) -> str:
    return _COSMETIC.sub("", value)


def _words(gold: str, given: str) -> bool | None:
    """Compare answers in words: without case, articles, prepositions of time and place, and the order of a date."""
    expected, said = (re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", value).strip(" .\"'") for value in (gold, given))
    dates = [date_of(text) for text in (expected, said)]
    if all(dates):
        return dates[0] == dates[1]
    if "\\" in expected + said or not all(map(_PLAIN_WORDS.fullmatch, (expected, said))):
        return None
    if min(len(expected), len(said)) < 2 and "_" not in expected + said:
        return None  # one letter may be a variable
    return _without_article(expected) == _without_article(said)


def _without_article(words: str) -> list[str]:
    return [
        word for word in words.lower().replace("-", " ").split() if word not in ("a", "an", "the", "on", "in", "at")
    ]


def _bases(gold: str, given: str) -> bool | None:
    """Compare numbers in a base: `204_5`. The base may be left out where the question names it."""
    expected, said = (_BASED.fullmatch(_same_look_of_base(value)) for value in (gold, given))
    if said is None:
        return None
    if expected is None:
        same = said[2] == "10" and said[1] == gold.strip()
        return same if re.fullmatch(r"[\d.,\s]+", gold) else None
    if not (expected[1][:1].isdigit() and said[1][:1].isdigit()):
        return None
    return (expected[1].lower(), expected[2]) == (said[1].lower(), said[2])


def _same_look_of_base(value: str) -> str:
    value = re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", value).replace(" ", "")
    inside = re.fullmatch(r"(\w+)_\{?([a-z]+)\}?", value)
    word = next(number_words(inside[2], 0, len(inside[2])), None) if inside else None
    return f"{inside[1]}_{word.value}" if inside and word else value


def _ratios(gold: str, given: str) -> bool | None:
    """Compare ratios and times of day. A ratio is no number: 6:1 is not 6."""
    sides = [value.replace(" ", "") for value in (gold, given)]
    if not any(_RATIO.fullmatch(side) for side in sides):
        return None
    if not all(_RATIO.fullmatch(side) for side in sides):
        return False
    expected, said = ([Fraction(part) for part in side.split(":")] for side in sides)
    if expected == said:
        return True
    if len(expected) != len(said) or any(map(_CLOCK.fullmatch, sides)) or not all(expected + said):
        return False
    return len({one / other for one, other in zip(expected, said, strict=True)}) == 1


def prepared(gold: MathAnswer, given: MathAnswer) -> tuple[str, str]:
    """Return both answers as math-verify reads them: inequalities as intervals beside intervals, words as numbers."""
    expected, said = gold.value, given.value
    if "\\pm" in expected or "\\pm" in said:
        return _both_signs(expected), _both_signs(said)
    if is_interval(expected) != is_interval(said):
        expected, said = as_interval(expected), as_interval(said)
    return _number(expected), _number(said)


def _both_signs(value: str) -> str:
    r"""Write out both values of a `\pm`: `x = 1 \pm \sqrt{2}` is `1+\sqrt{2}, 1-\sqrt{2}`."""
    value = _NAMED.sub("", value)
    if value.count("\\pm") != 1 or "," in value:
        return value
    return ", ".join(value.replace("\\pm", sign) for sign in "+-")


def is_interval(value: str) -> bool:
    """Return whether an answer is an interval or a union of intervals."""
    return _INTERVAL.match(value.replace(" ", "")) is not None


def as_interval(value: str) -> str:
    r"""Write an inequality of one variable as an interval: `x > 2` is `(2, \infty)`. Leave all else as it is."""
    held = _SET.fullmatch(value.strip())
    value = _ANY_REAL.sub("", held[1] if held else value)
    parts = re.split(r"\\text\s?\{\s*or\s*\}|(?<![a-z])or(?![a-z])|\\lor|または", value)
    signed = [_COMMAND_SIGN.sub(lambda sign: "<=" if sign[1] == "l" else ">=", part) for part in parts]
    intervals = [_one_interval(part.replace(" ", "").replace("$", "")) for part in signed]
    return value if None in intervals else " \\cup ".join(map(str, intervals))


def _one_interval(part: str) -> str | None:
    two = _TWO_SIDED.fullmatch(part)
    if two:
        return f"{_bracket(two[2], '(', '[')}{two[1]}, {two[5]}{_bracket(two[4], ')', ']')}"
    one = _ONE_SIDED.fullmatch(part)
    if one is None:
        return None
    if one[2]:
        return f"(-\\infty, {one[4]}{_bracket(one[2], ')', ']')}"
    return f"{_bracket(one[3], '(', '[')}{one[4]}, \\infty)"


def _bracket(sign: str, opened: str, closed: str) -> str:
    return opened if sign in "<>" else closed


def _number(value: str) -> str:
    """Return an answer that is a number in words as digits."""
    text = re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", value).strip()
    word = next(number_words(text, 0, len(text)), None)
    return str(word.value) if word and word.end == len(text) and not text[: word.start].strip() else value
