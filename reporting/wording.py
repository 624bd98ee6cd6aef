"""Words and numbers for readers: Japanese and English side by side, values with their unit.

`Words` picks texts in one language: each file is in one language. `TERMS` is the glossary: one Japanese and one English
term per thing. The number functions print no more digits than the interval justifies, and write null as a dash. Charts
and templates decide which sentence stands where.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from conf.schema.pipeline import Language
from reporting.escape import one_line
from reporting.judging_reasons import JUDGE_SCORE

Lang = Literal["ja", "en"]
LANGUAGES: tuple[Lang, ...] = ("ja", "en")

DASH = "–"
MINUS = "−"
_MIB = 1024**2
_GIB = 1024**3


def languages(wanted: Language) -> tuple[Lang, ...]:
    """Return the languages that files are written in if the user asked for `wanted`: both, or only one."""
    return tuple(lang for lang in LANGUAGES if wanted in (lang, "both"))


@dataclass(frozen=True)
class Words:
    """The language of a text, and how to pick texts in it."""

    lang: Lang

    @property
    def ja(self) -> bool:
        return self.lang == "ja"

    @property
    def en(self) -> bool:
        return self.lang == "en"

    def say(self, ja: str, en: str) -> str:
        """Return the text in the wanted language."""
        return en if self.lang == "en" else ja


def listed(words: Words, names: Iterable[str]) -> str:
    """Return names as a list within a sentence, separated as the language does it."""
    return words.say("、", ", ").join(names)


TERMS = {
    "added_bits_per_weight": ("追加ビット/重み", "added bits/weight"),
    "answer": ("答え", "answer"),
    "architecture": ("アーキテクチャ", "architecture"),
    "arm": ("アーム", "arm"),
    "benchmark": ("ベンチマーク", "benchmark"),
    "bits_per_weight": ("ビット/重み", "bits/weight"),
    "calibration_text": ("較正テキスト", "calibration text"),
    "category": ("カテゴリー", "category"),
    "chunk": ("チャンク", "chunk"),
    "ci95": ("95%信頼区間", "95% CI"),
    "component": ("コンポーネント", "component"),
    "control": ("対照", "control"),
    "difference": ("差", "difference"),
    "fallback_tensors": ("代替型のテンソル", "fallback tensors"),
    "file": ("ファイル", "file"),
    "flips": ("反転の合計", "flips"),
    "imatrix": ("重要度行列", "imatrix"),
    "item": ("問題", "item"),
    "judge": ("採点モデル", "judge"),
    "margin": ("許容幅", "margin"),
    "mean": ("平均", "mean"),
    "metric": ("指標", "metric"),
    "model": ("モデル", "model"),
    "noise_floor": ("ノイズフロア", "noise floor"),
    "no_sampling": ("サンプリングなし", "no sampling"),
    "quantization": ("量子化", "quantization"),
    "recipe": ("型", "recipe"),
    "reference": ("基準", "reference"),
    "run": ("実行", "run"),
    "sampling_noise": ("サンプリングのばらつき", "sampling noise"),
    "seed": ("シード", "seed"),
    "setting": ("設定", "setting"),
    "shots": ("ショット数", "shots"),
    "size": ("サイズ", "size"),
    "token": ("トークン", "token"),
    "unscored": ("採点不能", "unscored"),
    "verdict": ("判定", "verdict"),
    "version": ("版", "version"),
}
"""The glossary: key -> Japanese and English term. Documents, charts and the terminal use these terms and no synonyms.

A reference is the arm that others are compared with. A control is an arm that isolates one cause: the same bytes spent
without measuring, or the same amount of another text. 型 names a quantization type and any recipe that an arm uses;
レシピ is only the definition of a custom recipe. A document may say 乱数シード for シード, and explains 較正テキスト
once as キャリブレーションデータ. `verdict_word` names the verdicts, `metric_title` the metrics.
"""


def term(words: Words, name: str) -> str:
    """Return a term of the glossary."""
    return words.say(*TERMS[name])


def header(words: Words, name: str) -> str:
    """Return a term of the glossary as the header of a table column."""
    ja, en = TERMS[name]
    return words.say(ja, en[:1].upper() + en[1:])


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """Return `value` with `digits` decimals and a true minus sign; a dash for null."""
    if value is None:
        return DASH
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", MINUS)


def integer(value: float | None) -> str:
    """Return a count with thousands separators; a dash for null."""
    return DASH if value is None else f"{value:,.0f}".replace("-", MINUS)


def probability(value: float | None) -> str:
    """Return a p value with three decimals, or as `< 0.001`."""
    if value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@dataclass(frozen=True)
class SizeUnit:
    """The unit of file sizes: one for a whole figure or table."""

    name: str
    n_bytes: int

    def of(self, size_bytes: float) -> float:
        return size_bytes / self.n_bytes

    def text(self, size_bytes: float | None) -> str:
        if size_bytes is None:
            return DASH
        return f"{number(self.of(size_bytes), 2 if self.name == 'GiB' else 1)} {self.name}"


def size_unit(largest_bytes: float) -> SizeUnit:
    """Return GiB if the largest size is at least 1 GiB, else MiB."""
    return SizeUnit("GiB", _GIB) if largest_bytes >= _GIB else SizeUnit("MiB", _MIB)


@dataclass(frozen=True)
class Scale:
    """How the values of one metric are printed: as percentages or not, and with how many decimals."""

    percent: bool
    digits: int

    def value(self, value: float | None) -> str:
        if value is None:
            return DASH
        return number(100 * value, self.digits) + "%" if self.percent else number(value, self.digits)

    def difference(self, value: float | None) -> str:
        """Return a signed difference; percentage points (pp) if the metric is a percentage."""
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


RIGHT_OR_WRONG = Scale(percent=True, digits=1)
"""Of means of right and wrong answers."""
_FRACTIONS = ("accuracy", "acc", "exact_match", "score", "gold_probability")


def scale_of(metric: str, values: list[float]) -> Scale:
    """Return percent for right/wrong metrics within [0, 1]; otherwise a number of decimals that suits the largest."""
    if metric.startswith(_FRACTIONS) and all(-1 <= value <= 1 for value in values):
        return Scale(percent=True, digits=1)
    if metric == JUDGE_SCORE:
        return Scale(percent=False, digits=2)
    largest = max((abs(value) for value in values), default=1.0)
    return Scale(percent=False, digits=2 if largest >= 100 else 3 if largest >= 10 else 4)


METRICS = {
    "accuracy": ("正答率", "Accuracy"),
    "gold_loglik": ("正解の選択肢の対数尤度(nat)", "Log-likelihood of the right choice (nats)"),
    "gold_probability": ("正解の選択肢の確率", "Probability of the right choice"),
    JUDGE_SCORE: ("採点モデルの得点", "Judge's score"),
    "nll": ("負の対数尤度(nat/トークン)", "Negative log-likelihood (nats/token)"),
    "perplexity": ("パープレキシティ", "Perplexity"),
    "score": ("得点", "Score"),
}
"""Japanese and English titles of metrics."""


def metric_title(words: Words, metric: str) -> str:
    """Return a metric's title. An unknown metric is shown by its name."""
    ja, en = METRICS.get(metric, (metric, metric))
    return words.say(ja, en)


METHODS = {
    "t": ("t 区間", "Student's t"),
    "t_clustered": ("出典ごとの t 区間", "Student's t over sources"),
    "t_series": ("系列の t 区間", "Student's t over a series"),
    "wilson": ("Wilson", "Wilson"),
    "wilson_effective": ("実効的な問題数の Wilson", "Wilson, effective n"),
    "wilson_clustered": ("出典ごとの Wilson", "Wilson over sources"),
    "wilson_gains_losses": ("改善と悪化の Wilson", "Wilson of gains and losses"),
    "score_range": ("得点の全範囲", "whole range of scores"),
    "square_and_add": ("区間の二乗和", "squares of intervals added"),
    "prediction_powered": ("人の採点による補正", "prediction-powered"),
    "betting": ("信頼系列(betting)", "betting sequence"),
    "sign_flip_exact": ("正確な符号反転検定", "exact sign-flip test"),
    "sign_flip_monte_carlo": ("モンテカルロ符号反転検定", "Monte Carlo sign-flip test"),
}
"""Code of the method of an interval or of a test -> its name in Japanese and English."""
_TRANSFORMED = {"exp_": ("{}の指数", "exponential of {}"), "sqrt_": ("{}の平方根", "square root of {}")}
"""Start of the code of an interval whose ends were transformed -> how its name is made from the name of the rest."""


def method_title(words: Words, code: str | None) -> str:
    """Return the name of the method of an interval or of a test; a dash for null. An unknown code stays as it is."""
    if code is None:
        return DASH
    for start, forms in _TRANSFORMED.items():
        if code.startswith(start) and code.removeprefix(start) in METHODS:
            ja, en = METHODS[code.removeprefix(start)]
            return words.say(forms[0].format(ja), forms[1].format(en))
    return words.say(*METHODS.get(code, (code, code)))


VERDICTS = {
    "no_worse": ("許容内", "no worse"),
    "worse": ("劣化あり", "worse"),
    "undecided": ("判定保留", "undecided"),
}
"""Code of a verdict -> its name. 許容内 rather than 劣化なし: a loss smaller than the margin is not excluded."""


def verdict_word(words: Words, verdict: str | None) -> str:
    """Return a verdict's name; an empty string if there is no verdict."""
    return words.say(*VERDICTS[verdict]) if verdict in VERDICTS else ""


_DIFFERENCES = {
    (): ("量も内容も同じ", "same amount and text"),
    ("amount",): ("量だけ", "amount alone"),
    ("text",): ("内容だけ", "text alone"),
    ("amount", "text"): ("量と内容", "amount and text"),
}


def difference_words(words: Words, contrast: dict[str, Any]) -> str:
    """Return what two importance matrices of a contrast differ in; `none` stands for quantizing without a matrix."""
    if contrast["differs_in"] is not None:
        return words.say(*_DIFFERENCES[tuple(contrast["differs_in"])])
    if "none" in (contrast["levels"][0], contrast["baselines"][0]):
        return words.say("行列の有無", "matrix or none")
    return words.say("不明", "unknown")


def difference_scale(comparisons: list[dict[str, Any]]) -> Scale:
    """Return the scale for the differences of one benchmark: the same for all its arms."""
    values = [bound for row in comparisons for bound in (row["ci95"] or ())]
    values += [row["difference"] for row in comparisons if row["difference"] is not None]
    return scale_of(comparisons[0]["metric"], values)


def benchmark_title(words: Words, benchmark: dict[str, Any]) -> str:
    """Return a benchmark's title in the wanted language."""
    title = benchmark["title"]
    return one_line(words.say(title["ja"], title["en"]), 90)
