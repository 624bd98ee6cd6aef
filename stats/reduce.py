"""Records to per-item means: the first step of every statistic.

The unit of analysis is the item. Seeds are averaged first, because an item that is asked five times is one question and
not five (Miller, arXiv 2411.00640). All later steps treat the per-item means of an arm as a sample of independent
values. An item that was scored under only some of its seeds counts with those seeds. Its mean is as unbiased as the
others, only noisier.
"""

from __future__ import annotations

import polars as pl

SCORED = ("correct", "wrong", "measured")
"""Outcomes that carry a value. `unscored` carries none: it is counted, and never taken as a zero."""

NEVER_ASKED = ("context_too_long", "empty_prompt", "chat_template_failed")
"""Reasons of unscored records that follow from the item's prompt, before any model answers. If they hold in both arms,
the item hides no loss."""

ARM_AND_BENCHMARK = ["arm", "benchmark"]


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
    """Reduce records to items, sorted by arm, benchmark and item.

    Args:
        values: the frame from `with_value`, one row per planned record.

    Returns:
        One row per planned item, with these columns: `arm`, `benchmark`, `item_id`; `prompt_hash` of the scored records
        (several hashes joined by `+` if the prompt is drawn anew for each seed; null if no record was scored);
        `cluster` (the source that the item shares with others, or the item itself); `mean` (null if no record was
        scored); `variance` between its seeds (n-1 form; null with fewer than two scored seeds); `n_runs` (number of
        scored seeds).
    """
    scored_hashes = pl.col("prompt_hash").filter(pl.col("value").is_not_null()).drop_nulls()
    hashes = scored_hashes.unique().sort().str.join("+")
    return (
        values.select(*ARM_AND_BENCHMARK, "item_id", "seed", "prompt_hash", "cluster", "value")
        .sort("seed")
        .group_by([*ARM_AND_BENCHMARK, "item_id"])
        .agg(
            pl.when(scored_hashes.len() > 0).then(hashes).alias("prompt_hash"),
            pl.coalesce(pl.col("cluster").first(), pl.format("item {}", pl.col("item_id").first())).alias("cluster"),
            pl.col("value").mean().alias("mean"),
            pl.col("value").var(ddof=1).alias("variance"),
            pl.col("value").count().cast(pl.Int64).alias("n_runs"),
        )
        .sort([*ARM_AND_BENCHMARK, "item_id"])
    )
