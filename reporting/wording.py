"""Words and numbers as people read them: Japanese and English side by side, values with their unit.

`Words` joins the two languages as the pipeline's `lang` asks; the number functions never print more digits
than the interval justifies and write null as a dash. Which sentence is said where is left to charts and templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from reporting.escape import one_line

Lang = Literal["ja", "en", "both"]

DASH = "–"
MINUS = "−"
_MIB = 1024**2
_GIB = 1024**3


@dataclass(frozen=True)
class Words:
    """Joins Japanese and English."""

    lang: Lang

    @property
    def ja(self) -> bool:
        return self.lang != "en"

    @property
    def en(self) -> bool:
        return self.lang != "ja"

    def say(self, ja: str, en: str, joint: str = " / ") -> str:
        """One text in the wanted language, or both."""
        if self.lang == "both" and ja != en:
            return f"{ja}{joint}{en}"
        return en if self.lang == "en" else ja

    def lines(self, ja: str, en: str) -> list[str]:
        """As `say`, a line a language."""
        return ([ja] if self.ja else []) + ([en] if self.en else [])


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """`value` with so many decimals; a true minus sign; a dash for null."""
    if value is None:
        return DASH
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", MINUS)


def integer(value: float | None) -> str:
    """A count with thousands separated; a dash for null."""
    return DASH if value is None else f"{value:,.0f}".replace("-", MINUS)


def probability(value: float | None) -> str:
    """A p value: three decimals, or `< 0.001`."""
    if value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@dataclass(frozen=True)
class SizeUnit:
    """Unit of file sizes, one for a whole figure or table."""

    name: str
    n_bytes: int

    def of(self, size_bytes: float) -> float:
        return size_bytes / self.n_bytes

    def text(self, size_bytes: float | None) -> str:
        if size_bytes is None:
            return DASH
        return f"{number(self.of(size_bytes), 2 if self.name == 'GiB' else 1)} {self.name}"


def size_unit(largest_bytes: float) -> SizeUnit:
    """GiB from 1 GiB on, else MiB."""
    return SizeUnit("GiB", _GIB) if largest_bytes >= _GIB else SizeUnit("MiB", _MIB)


@dataclass(frozen=True)
class Scale:
    """How values of one metric are written."""

    percent: bool
    digits: int

    def value(self, value: float | None) -> str:
        if value is None:
            return DASH
        return number(100 * value, self.digits) + "%" if self.percent else number(value, self.digits)

    def difference(self, value: float | None) -> str:
        """Differences of percentages are percentage points."""
        if value is None:
            return DASH
        return (
            number(100 * value, self.digits, sign=True) + " pp"
            if self.percent
            else number(value, self.digits, sign=True)
        )

    def interval(self, ci: list[float] | None) -> str:
        if ci is None:
            return DASH
        factor = 100 if self.percent else 1
        return f"[{number(factor * ci[0], self.digits)}, {number(factor * ci[1], self.digits)}]"

    def signed_interval(self, ci: list[float] | None) -> str:
        if ci is None:
            return DASH
        factor = 100 if self.percent else 1
        low, high = (number(factor * bound, self.digits, sign=True) for bound in ci)
        return f"[{low}, {high}]"


_FRACTIONS = ("accuracy", "acc", "exact_match", "score")


def scale_of(metric: str, values: list[float]) -> Scale:
    """Percent for right/wrong metrics that stay within [0, 1]; else decimals by magnitude."""
    if metric.startswith(_FRACTIONS) and all(-1 <= value <= 1 for value in values):
        return Scale(percent=True, digits=1)
    largest = max((abs(value) for value in values), default=1.0)
    return Scale(percent=False, digits=2 if largest >= 100 else 3 if largest >= 10 else 4)


_METRICS = {
    "accuracy": ("正答率", "Accuracy"),
    "nll": ("負の対数尤度(nat/トークン)", "Negative log-likelihood (nats/token)"),
    "perplexity": ("パープレキシティ", "Perplexity"),
    "score": ("得点", "Score"),
}


def metric_title(words: Words, metric: str, joint: str = " / ") -> str:
    """A metric's title; an unknown one is shown by its name."""
    ja, en = _METRICS.get(metric, (metric, metric))
    return words.say(ja, en, joint)


_VERDICTS = {"no_worse": ("劣らない", "no worse"), "worse": ("劣る", "worse"), "undecided": ("未決", "undecided")}


def verdict_word(words: Words, verdict: str | None, joint: str = " / ") -> str:
    """A verdict's name; nothing where there is none."""
    return words.say(*_VERDICTS[verdict], joint) if verdict in _VERDICTS else ""


_DIFFERENCES = {
    (): ("量も内容も同じ", "same amount and text"),
    ("amount",): ("量のみ", "amount alone"),
    ("text",): ("内容のみ", "text alone"),
    ("amount", "text"): ("量と内容", "amount and text"),
}


def difference_words(words: Words, contrast: dict[str, Any], joint: str = " / ") -> str:
    """What the two importance matrices of a contrast differ in; `none` is the one that is no matrix."""
    if contrast["differs_in"] is not None:
        return words.say(*_DIFFERENCES[tuple(contrast["differs_in"])], joint)
    if "none" in (contrast["levels"][0], contrast["baselines"][0]):
        return words.say("行列の有無", "with or without", joint)
    return words.say("不明", "not known", joint)


def difference_scale(comparisons: list[dict[str, Any]]) -> Scale:
    """How the differences of one benchmark are written: one scale for all its arms."""
    values = [bound for row in comparisons for bound in (row["ci95"] or ())]
    values += [row["difference"] for row in comparisons if row["difference"] is not None]
    return scale_of(comparisons[0]["metric"], values)


def benchmark_title(words: Words, benchmark: dict[str, Any]) -> str:
    """A benchmark's title in the wanted language."""
    title = benchmark["title"]
    return one_line(words.say(title["ja"], title["en"]), 90)
