"""What charts and documents say alike about the style of answers: names, units, and what counts as a difference."""

from __future__ import annotations

from reporting.results_folder import Json
from reporting.wording import Words

_STYLES = {
    "empty": ("空の回答", "empty"),
    "very_short": ("ごく短い回答", "very short"),
    "cut_off": ("打ち切り", "cut off"),
    "repeating": ("繰り返し", "repeating"),
    "wrong_language": ("別の言語", "wrong language"),
    "mixed_language": ("言語の混在", "mixed languages"),
}


def style_title(words: Words, style: str) -> str:
    """Return the name of a style of answers; a style that is unknown here keeps its code."""
    return words.say(*_STYLES.get(style, (style, style)))


def unit_title(words: Words, unit: str) -> str:
    """Return the name of a unit of length."""
    return words.say("トークン数", "tokens") if unit == "tokens" else words.say("文字数", "characters")


def in_unit(words: Words, amount: str, unit: str) -> str:
    """Return an amount of a unit of length."""
    return amount + (words.say(" トークン", " tokens") if unit == "tokens" else words.say(" 文字", " characters"))


def shown_shift(row: Json) -> Json | None:
    """Return the shift that is shown: in tokens, or in characters if tokens are not known; None without a reference."""
    return next(iter(row["shifts"]), None)


def share_differs(share: Json) -> bool:
    """Return whether the interval of a share's difference from the reference excludes 0."""
    bounds = share["difference_ci95"]
    return bounds is not None and not bounds[0] <= 0.0 <= bounds[1]
