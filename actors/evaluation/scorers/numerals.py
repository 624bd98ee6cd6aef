"""Find the numerals in a text, as people and models write them, each with its position and value.

It reads

- Arabic digits (full-width too) with thousands separators, decimals, exponents and the words thousand to trillion
- Japanese numerals, also mixed with digits (三百二十, 1万2千, 三・五, 二〇二四, 三分の二)
- fractions (3/4, 1 1/2, ½ and LaTeX's)
- signs before or after a currency

It skips what only looks like a number: exponents and units (m^2, cm²), digits in names (H2O, ①), kanji in words (一緒,
唯一, 十分). `numbers_in_text` decides which numeral is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from actors.evaluation.scorers.number_words import AND_A_HALF, SCALES

_KANJI_DIGITS = {character: value for value, character in enumerate("〇一二三四五六七八九")} | {
    "零": 0,
    "壱": 1,
    "弐": 2,
    "参": 3,
}
_SMALL_UNITS = {"十": 10, "拾": 10, "百": 100, "千": 1000}
_LARGE_UNITS = {"万": 10**4, "萬": 10**4, "億": 10**8, "兆": 10**12}
_LETTER_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9}
_MOST_DIGITS = 400
"""More digits of one number are left out, because Python reads only 4300, and no answer has so many."""

_ARABIC = r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\d.])\.\d+"
_KANJI = rf"[{''.join(_KANJI_DIGITS)}]+(?:・[{''.join(_KANJI_DIGITS)}]+)?"
_UNIT = f"[{''.join([*_SMALL_UNITS, *_LARGE_UNITS])}]"
_PART = re.compile(rf"(?P<arabic>{_ARABIC})|(?P<kanji>{_KANJI})|(?P<unit>{_UNIT})")
_RUN = re.compile(rf"(?:{_ARABIC}|{_KANJI}|{_UNIT})+")
_EXPONENT = re.compile(r"[eE](?P<e>[+-]?\d{1,2})(?![\w.])|\s?[×*x]\s?10\^\{?(?P<power>[+-]?\d{1,2})\}?")
_ENGLISH_UNIT = re.compile(rf"[\s-]?({'|'.join(SCALES)})s?\b", re.IGNORECASE)
_LETTER_SCALE = re.compile(r"(?P<any>[kKM])(?!\w)(?!\s*[-+*/^=×(])|(?P<money>m|mn|bn|[bB])(?!\w)")
"""Most of the letters mean a scale only behind an amount of money: 18m may be metres."""

_CURRENCY = re.compile(
    r"(?:(?:US|HK|NZ|NT|CA|AU|SG|[ACRS])?\\?[$¢£¤¥฿\u20a0-\u20c0]|(?<![A-Za-z])(?:"
    "USD|EUR|GBP|JPY|INR|RMB|CNY|CHF|CAD|AUD|NZD|SGD|HKD|TWD|KRW|THB|VND|IDR|PHP|MYR|MXN|BRL|TRY|RUB|ZAR|SEK|NOK|DKK"
    r"|PLN|CZK|HUF|ILS|AED|SAR|EGP|NGN|KES|ARS|CLP|COP|PKR|BDT|Fr\.|RM|Rs\.?|Rp\.?|kr\.?|R))\s?\Z"
)
_SIGN = re.compile(r"(?P<sign>[-+])(?P<space>[^\S\n]?)\Z")
_MINUS_WORD = re.compile(r"(?:(?<![A-Za-z])(?:minus|negative)\s|マイナス)\Z", re.IGNORECASE)

_COUNTERS = (
    "円個人本枚匹台歳才年月日時分秒度回倍階冊杯羽頭通箱袋皿株点名組周歩着足粒束缶室軒件話曲週泊厘銭桁坪畳品票問割"
)
"""Kanji that may follow a kanji numeral. Before any other kanji the numeral is part of a word (一緒, 三角形, 千葉)."""
_WORD_BEFORE = (*"唯統均単同随逐", "万が")
"""Characters before which 一 is part of a word: 唯一, 統一 and others."""
_NOT_NUMERALS = re.compile(
    r"[一二]度(?![\dC℃])|(?<=第)[一二三](?=[にのはで、])|一件落着|一目瞭然|一時(?!間)|十分(?!間|の|後|前)|一人前|一本化|一日中|三日月|五月雨"
)

_HALF_MORE = re.compile(r"(?:個|年|日|時間|週間|か月|ヶ月|カ月|倍|杯|本|枚|人前|キロ|メートル)半(?![\u4e00-\u9fff])")
_AGAIN = re.compile(r"もう$")
_LABEL = re.compile(
    r"\n[ \t#*>\[【(-]{0,12}(?:Step|Note|Remark|Footnote|補足|注意?|備考|参考|例|手順|ステップ|方法)\s?$", re.IGNORECASE
)
"""A number behind such a word at the start of a line is a name: Step 2, 補足1."""
_WINDOW = 40
"""So many characters before a number are looked at for its sign, currency and label."""


@dataclass(frozen=True)
class Numeral:
    """A number in a text that `plain` has normalised."""

    start: int
    """Position of its first digit. A sign or currency before it is not included."""
    end: int
    value: Fraction


def numerals(text: str) -> list[Numeral]:
    """Return all numerals of a text that `plain` has normalised, from left to right."""
    return _with_fractions(text, list(_whole_numerals(text)))


def written(value: Fraction) -> str:
    """Write a number as a decimal if that is finite, else as a fraction: 70000, 0.5, 2/3."""
    denominator, digits = value.denominator, 0
    for prime in (2, 5):
        power = 0
        while denominator % prime == 0:
            denominator //= prime
            power += 1
        digits = max(digits, power)
    if denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    scaled = str(abs(value.numerator) * 10**digits // value.denominator).rjust(digits + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{scaled[:-digits]}.{scaled[-digits:]}" if digits else sign + scaled


def _whole_numerals(text: str) -> Iterator[Numeral]:
    read_to = 0
    for match in _RUN.finditer(text):
        if match.start() < read_to:
            continue  # already read, such as the 10 of 3×10^4
        value, end = _value(match[0])
        if value is None or not _stands_alone(text, match.start(), match.start() + end):
            continue
        if value == 1 and _AGAIN.search(text, max(0, match.start() - 2), match.start()):
            continue
        value, read_to = _scaled(value, text, match.start(), match.start() + end)
        yield Numeral(match.start(), read_to, -value if _is_negative(text, match.start()) else value)


def _value(run: str) -> tuple[Fraction | None, int]:
    """Return the value of a run of digits and units, and where it ends.

    It ends before a second number that no unit joins to the first.
    """
    total = section = Fraction(0)
    pending: Fraction | None = None
    end, seen = 0, False
    for part in _PART.finditer(run):
        if part["unit"] in _SMALL_UNITS:
            section += (1 if pending is None else pending) * _SMALL_UNITS[part["unit"]]
            pending = None
        elif part["unit"]:
            section += pending or 0
            if not section and pending is None:
                break  # 万 needs a number before it
            total, section, pending = total + section * _LARGE_UNITS[part["unit"]], Fraction(0), None
        elif pending is not None:
            break
        else:
            pending = _arabic(part["arabic"]) if part["arabic"] else _positional(part["kanji"])
        end, seen = part.end(), True
    return (total + section + (pending or 0) if seen else None), end


def _arabic(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "")[:_MOST_DIGITS].rstrip("."))


def _positional(kanji: str) -> Fraction:
    """Return the value of kanji digits written by position: 二〇二四 is 2024, 三・五 is 3.5."""
    digits = ("." if character == "・" else str(_KANJI_DIGITS[character]) for character in kanji[:_MOST_DIGITS])
    return Fraction("".join(digits).rstrip("."))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether this is a number by itself, and not an exponent, an index, or part of a name or word."""
    before, after = _before(text, start).rstrip("{"), text[end : end + 1]
    if before.endswith(("^", "_")) or _LABEL.search(before):
        return False
    if text[start].isascii():
        in_name = re.search(r"[A-Za-z]\Z", before) is not None and _CURRENCY.search(before) is None
        return not in_name or re.search(r"\d[x*×]\Z", before) is not None
    if before.endswith(_WORD_BEFORE) and text[start] == "一":
        return False
    if _NOT_NUMERALS.match(text, start):
        return False
    return not _is_kanji(after) or after in _COUNTERS


def _before(text: str, start: int) -> str:
    """Return the few characters before a position, so that looking at them takes the same time in every text."""
    return ("\n" if start <= _WINDOW else "") + text[max(0, start - _WINDOW) : start]


def _is_kanji(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def _scaled(value: Fraction, text: str, start: int, end: int) -> tuple[Fraction, int]:
    """Apply the exponent or the scale that follows. Return the value and where it ends."""
    exponent = _EXPONENT.match(text, end)
    if exponent:
        return value * Fraction(10) ** int(exponent["e"] or exponent["power"]), exponent.end()
    unit = _ENGLISH_UNIT.match(text, end)
    if unit:
        return value * SCALES[unit[1].lower()], unit.end()
    letter = _LETTER_SCALE.match(text, end) if text[start].isascii() else None
    if letter and (letter["any"] or _CURRENCY.search(_before(text, start))):
        return value * _LETTER_SCALES[letter[0].lower()], letter.end()
    half = _HALF_MORE.match(text, end) or AND_A_HALF.match(text, end)
    return (value + Fraction(1, 2), half.end()) if half else (value, end)


def _is_negative(text: str, start: int) -> bool:
    """Return whether a minus sign stands before the number or its currency.

    Subtractions, hyphens and bullets do not count as signs.
    """
    before = _before(text, start)
    currency = _CURRENCY.search(before)
    for head in (before, before[: currency.start()] if currency else before):
        sign = _SIGN.search(head)
        if sign:
            return sign["sign"] == "-" and _is_sign(head[: sign.start()], spaced=bool(sign["space"]))
        word = _MINUS_WORD.search(head)
        if word:
            return not re.search(r"[\d)\]}%]\s*$", head[: word.start()])
    return False


def _is_sign(before: str, *, spaced: bool) -> bool:
    """Return whether a minus is a sign, given the text before it. `spaced`: a space follows it, as after a bullet."""
    if spaced:
        return before.rstrip(" ").endswith(("=", ":", "は"))
    return _CURRENCY.search(before) is not None or not re.search(r"[\d)\]}%]\s*$|[A-Za-z.]\Z", before)


def _with_fractions(text: str, found: list[Numeral]) -> list[Numeral]:
    """Join numerals with a slash or 分の between them, and a whole number before them (1 1/2, 1と2分の1)."""
    joined: list[Numeral] = []
    index = 0
    while index < len(found):
        one = found[index]
        other = found[index + 1] if index + 1 < len(found) else None
        value = _fraction(text, one, other) if other else None
        if other is None or value is None:
            joined.append(one)
            index += 1
            continue
        index += 2
        whole = joined[-1] if joined else None
        if whole and whole.value.denominator == 1 and 0 <= value < 1 and _is_mixed(text[whole.end : one.start]):
            joined.pop()
            value = whole.value + (-value if whole.value < 0 else value)
            one = whole
        joined.append(Numeral(one.start, other.end, value))
    return joined


def _is_mixed(between: str) -> bool:
    return re.fullmatch(r"\s+|と|\sand\s", between) is not None


def _fraction(text: str, one: Numeral, other: Numeral) -> Fraction | None:
    between = text[one.end : other.start]
    if between == "分の":
        return other.value / one.value if one.value else None
    in_date = text[max(0, one.start - 1) : one.start] == "/" or text[other.end : other.end + 1] == "/"
    if in_date or not re.fullmatch(r"\s?/\s?", between) or not other.value:
        return None
    return one.value / other.value
