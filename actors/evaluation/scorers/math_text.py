r"""Write mathematical answers in one form before they are compared: signs, widths, fonts, units, words and dates.

What math-verify reads well is left to it. Here stands what it misreads or cannot read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS = {
    "−": "-", "–": "-", "∞": "\\infty ", "π": "\\pi ", "×": "\\times ", "÷": "\\div ", "·": "\\cdot ", "⋅": "\\cdot ",
    "≤": "\\le ", "≥": "\\ge ", "≠": "\\ne ", "∪": "\\cup ", "∩": "\\cap ", "±": "\\pm ", "°": "^\\circ ", "∈": "\\in ",
    "、": ",", "。": "", "　": " ", "½": "\\frac{1}{2}", "¼": "\\frac{1}{4}", "¾": "\\frac{3}{4}", "θ": "\\theta ",
    "∅": "\\emptyset ", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_ROOT_SIGN = re.compile(r"√\s?(?:\{([^{}]*)\}|\(([^()]*)\)|(\d+|[a-z]))")
_ROOT_IN_BRACKETS = re.compile(r"(?:\\sqrt|(?<![A-Za-z\\])sqrt)\s?\(([^()]*)\)")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s?\{(?:aligned|align|equation|gathered|split)\*?\}")
_REPEATING = re.compile(
    r"(?<![\d.])(?P<whole>\d{0,12})\.(?P<once>\d{0,12})\\(?:overline|bar|dot)\s?(?:\{\s*(?P<many>\d{1,12})\s*\}|(?P<one>\d))(?!\\dot)"
)
_COLOUR = re.compile(r"\\(?:text)?color\s?\{[^{}]*\}|\{?\\color\s?\{?(?:red|blue|green|black|orange|purple)\}?")
_STYLE = re.compile(
    r"\\(?:displaystyle|textstyle|scriptstyle|limits|bf|rm|it|large|Large|huge|left|right|big|Big|bigg|Bigg)(?![A-Za-z])"
)
_SPACING = re.compile(r"(?<!\\)(?:\\[,!;:>]|\\q?quad(?![A-Za-z])|\\ |~)")
_FONT = re.compile(
    r"\\(?:mathbf|mathrm|boldsymbol|bm|mathit|mathsf|operatorname|textbf|textit|textrm|textsf|mbox|emph|underline|hbox)\s?\{"
)
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_MIXED = re.compile(r"(?<![\d/.])(\d+)\s+(\d+)/(\d+)(?![\d/])")
_NUMBER_WITH_WORDS = re.compile(r"^\\text\s?\{\s*([-$\d.,:]*\d)\s+([A-Za-z.\s]+)\}$")
_FUNCTION = re.compile(r"(?<![\\A-Za-z])(?=(?:ln|log|sin|cos|tan)\b)")
_MONTHS = frozenset(
    [
        *("january", "february", "march", "april", "may", "june"),
        *("july", "august", "september", "october", "november", "december"),
    ]
)
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_OR = re.compile(
    r"\s*(?:\\text\s?\{\s*,?\s*(?:or|and)\s*\}|(?<![A-Za-z])(?:or|and)(?![A-Za-z])|\\lor|\\land)\s*|(?:または|及び|および)"
)
_TO = re.compile(r"(?<=\d)\s*(?:\\text\s?\{\s*to\s*\}|to|\\colon|対)\s*(?=\d)")
_WRAP = re.compile(r"^(?:\*\*|\$+|\\\(|\\\[|`)+|(?:\*\*|\$+|\\\)|\\\]|`)+$")

SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_UNIT_NAMES = {
    "inch": "in inch inches", "foot": "ft foot feet", "yard": "yd yard yards", "mile": "mi mile miles",
    "meter": "m meter meters metre metres", "centimeter": "cm centimeter centimeters centimetre centimetres",
    "millimeter": "mm millimeter millimeters", "kilometer": "km kilometer kilometers", "gram": "g gram grams",
    "kilogram": "kg kilogram kilograms", "pound": "lb lbs pound pounds", "ounce": "oz ounce ounces", "ton": "ton tons",
    "second": "s sec secs second seconds", "minute": "min mins minute minutes", "hour": "h hr hrs hour hours",
    "day": "day days", "week": "week weeks", "month": "month months", "year": "year years yr yrs",
    "liter": "l liter liters litre litres", "milliliter": "ml milliliter milliliters", "gallon": "gallon gallons",
    "dollar": "dollar dollars usd", "cent": "cent cents", "euro": "euro euros", "yen": "yen 円",
    "degree": "degree degrees deg",
    "radian": "radian radians rad", "mph": "mph", "kph": "kph", "percent": "percent",
}  # fmt: skip
_UNITS = {name: unit for unit, names in _UNIT_NAMES.items() for name in names.split()}
_NO_UNITS = frozenset(
    [
        "am",
        "pm",
        "or",
        "and",
        "if",
        "when",
        "mod",
        "base",
        "odd",
        "even",
        "ad",
        "bc",
        "bce",
        "ce",
        "dozen",
        "remainder",
        "north",
        "south",
        "east",
        "west",
        "over",
        "times",
        "of",
        "to",
        "with",
        "by",
        "only",
        "but",
        "not",
        "less",
        "more",
        "than",
        "at",
        "most",
        "least",
        "where",
        "for",
        "all",
        "any",
        "integer",
    ]
)
_WORDS = r"(?:(?:square|cubic|sq\.?|cu\.?)\s)?[A-Za-z.]+(?:[\s/-]+[A-Za-z.]+){0,4}"
_POWER = r"(?:\s?\^\s?\{?(?P<power>[23])\}?)?"
_TRAILING = re.compile(
    rf"^(?P<number>.*[\d)}}\]])\s*(?:\\text\s?\{{\s*(?P<text>{_WORDS}|円|個|人|通り|度)\s*\}}"
    rf"|(?P<bare>\s(?:(?:square|cubic)\s)?[A-Za-z]{{2,}}(?:[\s/][A-Za-z]+){{0,3}}|\s?[ap]\.\s?m|\sm(?=\s?\^)|(?:cm|mm|km|kg|ft|mL|ml|mph)|円|個|人|通り|度)\.?)"
    rf"\s*{_POWER}\.?$",
    re.DOTALL,
)


@dataclass(frozen=True)
class MathAnswer:
    """An answer in its one form, with the words behind its number apart from it."""

    value: str
    words: str = ""
    """What stands behind the number and is no unit: `pm`, `mod`. It is part of the answer."""
    unit: str = ""
    """The unit behind the number. It counts only if both answers have one."""


def readable(answer: str) -> str:
    """Return an answer without fonts, colours, sizes and spacing, with LaTeX commands for signs."""
    answer = answer.translate(_WIDE)
    answer = _REPEATING.sub(_as_fraction, _ENVIRONMENT.sub("", answer))
    answer = _ROOT_SIGN.sub(
        lambda root: f"\\sqrt{{{next(part for part in root.groups() if part is not None)}}}", answer
    )
    answer = _RAISED.sub(lambda raised: f"^{{{raised[0].translate(_SUPERSCRIPTS)}}}", answer)
    for sign, command in _SIGNS.items():
        answer = answer.replace(sign, command)
    answer = _SPACING.sub(
        lambda space: "" if space[0] in ("\\!", "\\,") else " ", _STYLE.sub("", _COLOUR.sub("", answer))
    )
    answer = _FRACTION.sub(r"\\frac", _FONT.sub(r"\\text{", answer))
    answer = _FUNCTION.sub(lambda _: "\\", answer)
    answer = _ROOT_IN_BRACKETS.sub(r"\\sqrt{\1}", answer)
    answer = _MIXED.sub(r"\1\\frac{\2}{\3}", _WRAP.sub("", answer.strip()))
    answer = _without_outer_braces(re.sub(r"\s+", " ", answer).strip().rstrip("."))
    return _TO.sub(":", _numbers_as_numbers(answer))


def _as_fraction(decimal: re.Match[str]) -> str:
    r"""Write a repeating decimal as the fraction that it is: `0.1\overline{6}` is 1/6."""
    once, period = decimal["once"], decimal["many"] or decimal["one"]
    digits = f"{decimal['whole'] or '0'}{once}"
    value = Fraction(int(digits + period) - int(digits), (10 ** len(period) - 1) * 10 ** len(once))
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


def _without_outer_braces(answer: str) -> str:
    inner = re.fullmatch(r"\{([^{}]*)\}", answer)
    return inner[1].strip() if inner else answer


def _numbers_as_numbers(answer: str) -> str:
    r"""Return an answer whose text is only a number, `\text{18}`, without the command."""
    return re.sub(r"\\text\s?\{\s*([-$\d.,:%]+)\s*\}", r"\1", answer)


def date_of(text: str) -> frozenset[str] | None:
    """Return the parts of a date, whose order differs between writers, or None for any other text."""
    words = _ORDINAL.sub("", text.lower()).replace(",", " ").replace(" of ", " ").split()
    words = words[1:] if words[:1] == ["the"] else words
    is_date = len(words) in (2, 3) and sum(word in _MONTHS for word in words) == 1
    return frozenset(words) if is_date and all(word in _MONTHS or word.isdigit() for word in words) else None


def split(answer: str) -> MathAnswer:
    """Take a unit, a scale or other words from behind a number."""
    answer = _OR.sub(", ", readable(answer)) if not re.search(r"[<>]|\\[lg]e?q?(?![a-z])", answer) else readable(answer)
    if date_of(re.sub(r"\\text\s?\{([^{}]*)\}", r"\1", answer)):
        return MathAnswer(answer)
    trailing = _TRAILING.match(_NUMBER_WITH_WORDS.sub(r"\1 \\text{\2}", answer))
    if trailing is None or ("," in answer and re.search(r"\\text\s?\{[^{}]*\}\s*,", answer)):
        return MathAnswer(answer)
    number = trailing["number"].strip()
    said = (trailing["text"] or trailing["bare"]).strip().lower()
    words = re.findall(r"[a-z円個人通り度]+", said.replace(".", ""))
    if words and words[0] in SCALES:
        rest = " ".join(words[1:])
        return MathAnswer(f"{number} \\cdot 10^{{{SCALES[words[0]]}}}", unit=_unit(rest, trailing["power"]))
    if any(word in _NO_UNITS for word in words[:1]):
        return MathAnswer(number, words=" ".join(words))
    return MathAnswer(number, unit=_unit(" ".join(words), trailing["power"]))


def _unit(said: str, power: str | None) -> str:
    """Return the name of a known unit of measurement, in one spelling. Any other word, "apples", gives none."""
    words = said.split()
    area = {"2": ["square"], "3": ["cubic"]}.get(power or "", [])
    if words and words[0] in ("square", "sq", "cubic", "cu"):
        area, words = [{"sq": "square", "cu": "cubic"}.get(words[0], words[0])], words[1:]
    named = [_UNITS.get(word, word) for word in words if word not in ("per", "a", "an", "of")]
    return " ".join([*area, *named]) if named and all(word in _UNIT_NAMES for word in named) else ""
