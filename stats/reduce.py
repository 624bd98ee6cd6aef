"""Records to per-item means: the first step of every statistic.

The unit of analysis is the item. Seeds are averaged first, because an item that is asked five times is one question and
not five (Miller, arXiv 2411.00640). All later steps treat the per-item means of an arm as a sample of independent
values. An item that was scored under only some of its seeds counts with those seeds. Its mean is as unbiased as the
others, only noisier.
"""

from __future__ import annotations

import polars as pl

SCORED = ("correct", "wrong", "measured", "judged")
"""Outcomes that carry a value. `unscored` carries none: it is counted, and never taken as a zero."""

NEVER_ASKED = ("context_too_long", "empty_prompt", "chat_template_failed")
"""Reasons of unscored records that follow from the item's prompt, before any model answers. If they hold in both arms,
the item hides no loss."""


def with_value(records: pl.DataFrame) -> pl.DataFrame:
    """Add `value`: what a record contributes to a mean. Null if the record is unscored.

    The value of a measured record is its negative log-likelihood in nats per token. The value of any other is its
    score.

    Args:
        records: one row per planned record, with `outcome`, `score`, `nll_sum` (nats) and `n_tokens`. `per_item` also
            needs `cluster`: the source that an item shares with others, null if it shares none.
    """
    nll = pl.when(pl.col("n_tokens") > 0).then(pl.col("nll_sum") / pl.col("n_tokens"))
    measured, scored = pl.col("outcome") == "measured", pl.col("outcome").is_in(SCORED)
    value = pl.when(measured).then(nll).when(scored).then(pl.col("score"))
    return records.with_columns(pl.when(value.is_finite()).then(value).alias("value"))


def per_item(values: pl.DataFrame) -> pl.DataFrame:
    """Reduce the records of one arm on one benchmark to items, sorted by their ids.

    Args:
        values: the frame from `with_value`, one row per planned record.

    Returns:
        One row per planned item, with these columns: `item_id`; `prompt_hash` of the scored records (several hashes
        joined by `+` if the prompt is drawn anew for each seed; null if no record was scored); `cluster` (the source
        that the item shares with others, or the item itself); `mean` (null if no record was scored); `variance` between
        its seeds (n-1 form; null with fewer than two scored seeds); `n_runs` (number of scored seeds).
    """
    records = values.select("item_id", "seed", "prompt_hash", "cluster", "value").sort("item_id")
    repeated = (records["item_id"] == records["item_id"].shift()).any()
    items = _mean_over_seeds(records) if repeated else _items_of_one_record(records)
    own = pl.format("item {}", "item_id")
    return items.with_columns(pl.coalesce("cluster", own).alias("cluster"))


def _mean_over_seeds(records: pl.DataFrame) -> pl.DataFrame:
    scored_hashes = pl.col("prompt_hash").filter(pl.col("value").is_not_null()).drop_nulls()
    hashes = scored_hashes.unique().sort().str.join("+")
    return (
        records.sort("seed")
        .group_by("item_id")
        .agg(
            pl.when(scored_hashes.len() > 0).then(hashes).alias("prompt_hash"),
            pl.col("cluster").first(),
            pl.col("value").mean().alias("mean"),
            pl.col("value").var(ddof=1).alias("variance"),
            pl.col("value").count().cast(pl.Int64).alias("n_runs"),
        )
        .sort("item_id")
    )


def _items_of_one_record(records: pl.DataFrame) -> pl.DataFrame:
    """Return what `_mean_over_seeds` gives if each item has one record, in a tenth of its time and memory."""
    scored = pl.col("value").is_not_null()
    return records.select(
        "item_id",
        pl.when(scored).then("prompt_hash").alias("prompt_hash"),
        "cluster",
        pl.col("value").alias("mean"),
        pl.lit(None, dtype=pl.Float64).alias("variance"),
        scored.cast(pl.Int64).alias("n_runs"),
    )
