"""Bring a text into one form before numbers are looked for: widths, signs, separators, emphasis and LaTeX commands."""

from __future__ import annotations

import re
import unicodedata

BOX_OPEN, BOX_CLOSE, BOX_BROKEN = "\ue000", "\ue001", "\ue002"
r"""What stands in a text for `\boxed{`, for its closing brace, and for a box that does not close. Texts hold no such
characters of their own: `plain` is given them by `boxes`, which removes all others."""

_MINUS_SIGNS = str.maketrans({"−": "-", "‐": "-", "‑": "-", "–": "-", "﹣": "-"})
_TRIANGLE_MINUS = re.compile(r"(?<![\w△▲])[△▲](?=[¥￥$＄]?[\d０-９])")
"""In Japanese accounting a triangle is a minus sign."""
_SPACE_GROUPS = re.compile(r"(?<![\d.,:/^])(?<!\d\s)\d{1,3}(?:[ \u2009\u202f\u00a0]\d{3})+(?![\d:/]|\s\d)")
_APOSTROPHE_GROUPS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:['’]\d{3})+|(?:_\d{3})+)(?![\d_])")
_INDIAN_GROUPS = re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])")
_POINT_GROUPS = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:\.\d{3})+,\d{1,2}|\d{1,3}(?:\.\d{3}){2,})(?![\d,.]\d|\d)")
"""Points between thousands, with a decimal comma or at least two of them: `1.234,56`, `1.234.567`."""
_DECIMAL_COMMA = re.compile(r"(?<![\d.,(\[{])(?<![\d,(] )(\d+),(\d{1,2})(?![\d,)\]}]|, ?\d|\.\d)")
"""Fewer than three digits behind a single comma are no group of thousands. In brackets they may be a pair."""
_BEFORE_VULGAR_FRACTION = re.compile("(?<=\\d)(?=[\u00bc-\u00be\u2150-\u215e])")
"""A space goes here, because NFKC alone would turn 1½ into 11/2."""
_NO_DIGITS = ("<super>", "<sub>", "<circle>")
"""Such characters become spaces, because NFKC alone would turn cm² into cm2 and ③ into an answer."""

_STRUCK = re.compile(
    r"~~[^~\n]{1,200}~~|<(del|s|strike)>[^<\n]{0,200}</\1>|\\(?:cancel|sout|xcancel|bcancel)\{[^{}\n]{0,200}\}"
)
_BOLD_TAG = re.compile(r"</?(?:b|strong)>", re.IGNORECASE)
_BOLD_TEX = re.compile(r"\\(?:textbf|mathbf|boldsymbol|bm)\s?\{([^{}\n*]{1,200})\}")
_UNDERSCORES = re.compile(r"(?<![A-Za-z\d_\\}])(_{1,3})(?=[^\s_])([^_\n]{1,200})(?<=\S)\1(?![A-Za-z\d_])")
_KATAKANA_ZERO = re.compile(r"(?<![ァ-ヴー])ゼロ(?=です|でし|に|[個円人本枚匹度点]|ドル|[。、」\s*]|$)")
_CALCULATION = re.compile(r"<<[^<>\n]{0,200}?=?([^<>=\n]{0,60})>>(?=(\s?[$€£¥]?\d)?)")

_TEX_SEPARATOR = re.compile(r"(?<=\d)(?:\{,\}|,?\\[,!;:]\s?|\\ |~)(?=\d{3})")
_TEX_FRACTION = re.compile(r"([-+]?)\\[dtc]?frac\s*(?:\{\s*(-?[\d,.]+)\s*\}\s*\{\s*([\d,.]+)\s*\}|(\d)\s*(\d))")
_TEX_SIGNS = {"\\times": "×", "\\cdot": "×", "\\div": "÷", "\\%": "%", "\\$": "$", "\\approx": "≈"}
_TEX_SIGN = re.compile("|".join(re.escape(command) for command in _TEX_SIGNS))
_TEX_COMMAND = re.compile(r"\\[A-Za-z]+")


def plain(text: str) -> str:
    """Normalise a text: NFKC, one kind of minus sign and of separator, bold as `**`, no LaTeX commands."""
    text = _without_emphasis_of_other_kinds(text)
    text = _KATAKANA_ZERO.sub("0", text)
    text = _TRIANGLE_MINUS.sub("-", _BEFORE_VULGAR_FRACTION.sub(" ", text))
    text = _SPACE_GROUPS.sub(lambda match: re.sub(r"\s", ",", match[0]), text)
    text = "".join(" " if _decomposition(character) in _NO_DIGITS else character for character in text)
    text = unicodedata.normalize("NFKC", text).translate(_MINUS_SIGNS).replace("\u2044", "/")
    text = _with_point_decimals(_TEX_SEPARATOR.sub(",", text))
    # The space makes 1\frac{1}{2} a mixed number. A sign takes its place, so that it stays with its fraction.
    text = _TEX_FRACTION.sub(lambda match: f"{match[1] or ' '}{match[2] or match[4]}/{match[3] or match[5]} ", text)
    text = _TEX_SIGN.sub(lambda match: _TEX_SIGNS[match[0]], text)
    return _TEX_COMMAND.sub(" ", text)


def _without_emphasis_of_other_kinds(text: str) -> str:
    """Write bold as `**` and italics as `*` whatever their markup, and remove what is struck out."""
    text = _CALCULATION.sub(lambda match: "" if match[2] else match[1], _STRUCK.sub(" ", text))
    text = _BOLD_TEX.sub(r"**\1**", _BOLD_TAG.sub("**", text))
    return _UNDERSCORES.sub(lambda match: "*" * len(match[1]) + match[2] + "*" * len(match[1]), text)


def _with_point_decimals(text: str) -> str:
    """Write a decimal comma as a point, and thousands in groups of three, where only one reading is possible."""
    text = _APOSTROPHE_GROUPS.sub(lambda match: re.sub(r"['’_]", "", match[0]), text)
    text = _INDIAN_GROUPS.sub(lambda match: match[0].replace(",", ""), text)
    text = _POINT_GROUPS.sub(lambda match: match[0].replace(".", "").replace(",", "."), text)
    return _DECIMAL_COMMA.sub(r"\1.\2", text)


def _decomposition(character: str) -> str:
    """Return how Unicode composes a character, in one word: `<super>` for ², `<circle>` for ③."""
    return unicodedata.decomposition(character).partition(" ")[0]
