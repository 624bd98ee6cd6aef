"""Length and style of each generated answer: the table `answer_style`.

Thoughts do not count. An answer in several turns is taken as one text. Style is described and compared with the
reference's; no verdict depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from reporting.answer_style import SHORT_TOKENS, is_bare, is_repeating
from reporting.frames import STYLE_SCHEMA, answer_tokens
from reporting.languages import languages_of

_SLICE = 5_000
"""Answers whose texts are Python objects at the same time."""
_SEEN_SCHEMA = {"bare": pl.Boolean, "repeating": pl.Boolean, "language": pl.String, "mixed_language": pl.Boolean}


def answer_styles(run: Mapping[str, Any], records: pl.DataFrame) -> pl.DataFrame:
    """Return the length and style of all generated answers (`reporting.frames.STYLE_SCHEMA`).

    The rows also have `prompt_hash`, `cluster` and `score` of their records. Records without a text are left out.

    Args:
        run: the run's description (see `reporting.analysis.results.build_results`).
        records: one row per planned record.
    """
    asked_in = {one["name"]: one.get("language") for one in run["benchmarks"] if one["kind"] == "generate"}
    of_answers = pl.col("text").is_not_null() & pl.col("benchmark").cast(pl.String).is_in(list(asked_in))
    answers = records.lazy().filter(of_answers).select(*_FROM_RECORDS).collect()
    parts = [_with_style(part) for part in answers.iter_slices(_SLICE)]
    styled = pl.concat(parts) if parts else _with_style(answers)
    expected = pl.col("benchmark").cast(pl.String).replace_strict(asked_in, default=None, return_dtype=pl.String)
    differs = pl.col("language") != expected
    return styled.with_columns(
        wrong_language=pl.when(expected.is_not_null()).then(differs.fill_null(False)),
        language=pl.col("language").cast(pl.Categorical),
    ).select(*STYLE_SCHEMA, "prompt_hash", "cluster", "score")


_WHOLE_TEXT = pl.concat_list(pl.col("earlier_texts").fill_null([]), pl.col("text")).list.join("\n\n")
_FROM_RECORDS = (
    pl.col("arm", "benchmark", "item_id", "seed", "prompt_hash", "cluster", "score"),
    answer_tokens().alias("tokens"),
    (pl.col("finish_reason").cast(pl.String) == "length").fill_null(False).alias("cut_off"),
    pl.when(pl.col("earlier_texts").is_null()).then("text").otherwise(_WHOLE_TEXT).alias("text"),
)


def _with_style(answers: pl.DataFrame) -> pl.DataFrame:
    """Return the answers with what their texts show, in place of the texts."""
    seen = [_look_at(text) for text in answers["text"]]
    counted = answers.select(pl.exclude("text"), pl.col("text").str.strip_chars().str.len_chars().alias("characters"))
    counted = counted.with_columns(pl.col("characters").cast(pl.Int64))
    few = (pl.col("tokens") <= SHORT_TOKENS).fill_null(False)
    empty = pl.col("characters") == 0
    return counted.hstack(pl.DataFrame(seen, schema=_SEEN_SCHEMA, orient="row")).with_columns(
        empty=empty, very_short=~empty & (few | pl.col("bare"))
    )


def _look_at(text: str) -> tuple[bool, bool, str | None, bool]:
    languages = languages_of(text)
    return is_bare(text), is_repeating(text), languages.main, languages.mixed
