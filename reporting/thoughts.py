"""Which answers have thoughts before them. Table and chart of thoughts look at the same answers."""

from __future__ import annotations

import polars as pl

from reporting.results_folder import Findings

THINKING = pl.col("thoughts").is_not_null() | (pl.col("thought_tokens") > 0).fill_null(False)
"""Answers of a model that thought first. Some servers count the thoughts, and show none of them."""
CUT = pl.col("reason").cast(pl.String).eq("cut_while_thinking").fill_null(False) | (
    pl.col("earlier_cuts").list.any().fill_null(False)
)
"""Answers that the token limit ended before they began, in any of their turns."""


def thoughtful_answers(findings: Findings) -> pl.DataFrame | None:
    """Return the generated answers; None if no model thought, or if the results do not know."""
    answers = findings.answers
    if answers is None or not {"thoughts", "thought_tokens"} <= set(answers.columns):
        return None
    if "earlier_cuts" not in answers.columns:  # older results
        answers = answers.with_columns(earlier_cuts=pl.lit(None, pl.List(pl.Boolean)))
    generated = answers.filter(pl.col("text").is_not_null())
    return None if generated.filter(THINKING).is_empty() else generated
