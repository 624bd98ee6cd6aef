"""How an answer differs from the reference's answer to the same item under the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from rapidfuzz.distance import Indel
from rapidfuzz.process import cpdist

LOST, GAINED = "lost", "gained"
DIFFERENCE_COLUMNS: dict[str, type[pl.DataType]] = {
    "flip": pl.String,
    "score_difference": pl.Float64,
    "text_difference": pl.Float64,
}
"""`flip` is `lost` (the reference is right, the arm wrong) or `gained`. `score_difference` is arm minus reference.
`text_difference` is the share of the characters of both texts that one has to delete or insert to make them equal."""
_COMPARED_CHARS = 4000
"""Only the beginnings of longer texts are compared: the time grows with the square of the length."""
_SAME_ITEM = ["benchmark", "item_id", "seed", "reference"]


def references_of(arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the reference of each arm that is compared with another one."""
    return {arm["name"]: arm["reference"] for arm in arms if arm["reference"] not in (None, arm["name"])}


def with_differences(answers: pl.DataFrame) -> pl.DataFrame:
    """Return the answers with `DIFFERENCE_COLUMNS`, which are null where there is no answer of the reference.

    `answers` has the column `reference`, and contains the answers of the references, too.
    """
    whole = pl.concat_str(pl.col("earlier_texts").list.join("\n"), "text", separator="\n", ignore_nulls=True).str.head(
        _COMPARED_CHARS
    )
    answers = answers.with_columns(compared=pl.when(pl.col("text").is_not_null()).then(whole))
    before = answers.select(
        *_SAME_ITEM[:3],
        pl.col("arm").alias("reference"),
        pl.col("outcome").alias("outcome_before"),
        pl.col("score").alias("score_before"),
        pl.col("compared").alias("compared_before"),
    )
    joined = answers.join(before, on=_SAME_ITEM, how="left", maintain_order="left")
    was, now = pl.col("outcome_before"), pl.col("outcome")
    flip = (
        pl.when((was == "correct") & (now == "wrong"))
        .then(pl.lit(LOST))
        .when((was == "wrong") & (now == "correct"))
        .then(pl.lit(GAINED))
    )
    return joined.with_columns(
        flip=flip,
        score_difference=pl.col("score") - pl.col("score_before"),
        text_difference=_text_differences(joined["compared_before"], joined["compared"]),
    ).drop("compared", "compared_before", "outcome_before", "score_before")


def _text_differences(before: pl.Series, after: pl.Series) -> pl.Series:
    both = (before.is_not_null() & after.is_not_null()).to_numpy()
    found = np.full(len(both), np.nan)
    if both.any():
        mask = pl.Series(both)
        pairs = (before.filter(mask).to_list(), after.filter(mask).to_list())
        found[both] = cpdist(*pairs, scorer=Indel.normalized_distance, dtype=np.float64)
    return pl.Series(found).fill_nan(None)
