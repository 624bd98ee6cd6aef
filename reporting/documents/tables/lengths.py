"""The table of answer lengths, and of how quantization shifts them, for report and scorecard.

A shift is a paired difference over the items that both arms answered, with seeds averaged first. Rank correlations
(`stats.association`) show whether the shift is related to the length and to the score. They only describe the answers:
no verdict depends on them.
"""

from __future__ import annotations

import polars as pl

from reporting.documents.phrases import code_in_words
from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, header, integer, number
from stats.association import Association, rank_correlation, shift_against_length
from stats.intervals import Floats, mean_interval
from stats.reasons import Reason

SHORT_TOKENS = 3
"""Answers of at most this many tokens count as short, such as a bare yes or no."""


def lengths_table(findings: Findings, words: Words) -> Table:
    """Return the length of each arm's answers in tokens, and its paired shift from the reference."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "arm"), False),
        (words.say("n (回答)", "n answers"), True),
        (words.say("平均トークン数", "Mean tokens"), True),
        (words.say("中央値", "Median"), True),
        (words.say(f"{SHORT_TOKENS} トークン以下", f"{SHORT_TOKENS} or fewer"), True),
        (words.say("打ち切り", "Cut off"), True),
        (words.say("基準との差", "Shift"), True),
        (words.say("ρ(差, 長さ)", "ρ(shift, length)"), True),
        (words.say("ρ(差, 得点差)", "ρ(shift, score)"), True),
    ]
    if findings.answers is None:
        return make_table(columns, [])
    answered = findings.answers.filter(pl.col("text").is_not_null() & pl.col("completion_tokens").is_not_null())
    rows = [
        (str(benchmark["name"]), str(arm["name"]), *_cells(words, own, _reference(answered, benchmark, arm)))
        for benchmark in findings.benchmarks
        if benchmark["kind"] == "generate"
        for arm in findings.arms
        if (own := _of(answered, benchmark["name"], arm["name"])).height
    ]
    return make_table(columns, rows)


def _of(answers: pl.DataFrame, benchmark: str, arm: str) -> pl.DataFrame:
    return answers.filter((pl.col("benchmark") == benchmark) & (pl.col("arm") == arm))


def _reference(answers: pl.DataFrame, benchmark: Json, arm: Json) -> pl.DataFrame | None:
    return None if arm["reference"] is None else _of(answers, benchmark["name"], arm["reference"])


def _cells(words: Words, own: pl.DataFrame, reference: pl.DataFrame | None) -> tuple[str, ...]:
    tokens = own["completion_tokens"].cast(pl.Float64).to_numpy()
    cut = float((own["finish_reason"] == "length").fill_null(False).to_numpy().mean())
    short = float((tokens <= SHORT_TOKENS).mean())
    cells = (
        integer(own.height),
        number(float(tokens.mean()), 1),
        number(float(own["completion_tokens"].quantile(0.5, "linear") or 0.0), 1),
        f"{number(100 * short, 1)}%",
        f"{number(100 * cut, 1)}%",
    )
    return (*cells, *((DASH, DASH, DASH) if reference is None else _shift_cells(words, own, reference)))


def _shift_cells(words: Words, own: pl.DataFrame, reference: pl.DataFrame) -> tuple[str, ...]:
    """Return the mean shift with its t interval over items, and its two rank correlations."""
    both = _by_item(own).join(_by_item(reference), on="item_id", suffix="_before").sort("item_id")
    if both.height == 0:
        return DASH, DASH, DASH
    after, before = both["tokens"].to_numpy(), both["tokens_before"].to_numpy()
    scored = both.drop_nulls(["score", "score_before"])
    shift = (scored["tokens"] - scored["tokens_before"]).to_numpy()
    gain = (scored["score"] - scored["score_before"]).to_numpy()
    return (
        _mean_shift(after - before),
        _rho(words, shift_against_length(before, after)),
        _rho(words, rank_correlation(shift, gain)),
    )


def _by_item(answers: pl.DataFrame) -> pl.DataFrame:
    return answers.group_by("item_id").agg(
        tokens=pl.col("completion_tokens").cast(pl.Float64).mean(), score=pl.col("score").mean()
    )


def _mean_shift(shifts: Floats) -> str:
    found = mean_interval(shifts, proportion=False)
    mean = number(float(shifts.mean()), 1, sign=True)
    if isinstance(found, Reason):
        return mean
    return f"{mean}\n[{number(found.low, 1, sign=True)}, {number(found.high, 1, sign=True)}]"


def _rho(words: Words, found: Association | Reason) -> str:
    if isinstance(found, Reason):
        return f"{DASH}\n({code_in_words(words, found.value)})"
    low, high = found.interval.low, found.interval.high
    return f"{number(found.rho, 2, sign=True)}\n[{number(low, 2, sign=True)}, {number(high, 2, sign=True)}]"
