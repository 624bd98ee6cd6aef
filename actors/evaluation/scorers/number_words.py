"""Read numbers that are written as English words: eighteen, twenty-five, three hundred and five, two million."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
_VALUES = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * value for value, word in enumerate(_TENS.split(), start=2)
}
_WORD = "|".join(sorted([*_VALUES, *SCALES], key=len, reverse=True))
_RUN = re.compile(
    rf"(?<![\w'-])(?P<sign>(?:minus|negative)\s+)?(?P<words>(?:{_WORD})(?:(?:\s|-|\s?,\s|\sand\s){{1,2}}(?:{_WORD}))*)"
    r"(?!\w|-(?!half\b|(?:third|quarter|fourth|fifth|sixth|eighth|tenth)s\b|(?<=\bone-)(?:third|quarter|fourth|fifth|sixth|eighth|tenth)\b)|'s)",
    re.IGNORECASE,
)
_MOST_WORDS = 30
_PARTS = {
    "half": 2,
    "halve": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "eighth": 8,
    "tenth": 10,
}
_PART = re.compile(rf"[\s-]({'|'.join(_PARTS)})(s?)(?![\w-])", re.IGNORECASE)
"""What makes a fraction of the number before it: two thirds, one half."""
AND_A_HALF = re.compile(r"\sand\sa\shalf(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class NumberWord:
    """A number in words, with its place in the text."""

    start: int
    end: int
    value: Fraction


def number_words(text: str, start: int, end: int) -> Iterator[NumberWord]:
    """Yield the numbers in words between two positions. "One" alone is none, because it mostly means a thing."""
    for run in _RUN.finditer(text, start, end):
        words = re.findall(_WORD, run["words"].lower())
        value = _value(words)
        if value is not None:
            value, last = _with_part(value, text, run.end())
            yield NumberWord(run.start("words"), last, -value if run["sign"] else value)


def _with_part(value: Fraction, text: str, end: int) -> tuple[Fraction, int]:
    """Apply the part that follows a number. Return the value and where it ends. Five quarters are coins."""
    if found := AND_A_HALF.match(text, end):
        return value + Fraction(1, 2), found.end()
    found = _PART.match(text, end)
    if found and value < _PARTS[found[1].lower()] and (value == 1 or found[2]):
        return value / _PARTS[found[1].lower()], found.end()
    return value, end


def _value(words: list[str]) -> Fraction | None:
    """Return the value of words in their order, or None if they are no single number ("two three")."""
    if words[0] in SCALES or len(words) > _MOST_WORDS:
        return None  # "hundreds of", "million" alone
    total = section = last = 0
    for word in words:
        if word == "hundred":
            section *= 100
        elif word in SCALES:
            total, section = total + section * SCALES[word], 0
        elif section % 100 and not (last in range(20, 100, 10) and _VALUES[word] < 10):
            return None
        else:
            section += _VALUES[word]
        last = _VALUES.get(word, 0)
    return Fraction(total + section)
