"""Records to per-item means: the first step of every statistic.

The unit of analysis is the item. Seeds are reduced first, because an item asked five times is one question
and not five (Miller, arXiv 2411.00640): what follows treats the per-item means of an arm as a sample of
independent values. An item that was scored under only some of its seeds counts with the seeds it has; its
mean is as unbiased as the others', only noisier.
"""

from __future__ import annotations

import polars as pl

SCORED = ("correct", "wrong", "measured")
"""Outcomes that carry a value. `unscored` carries none: it is counted, never a zero."""

ARM_AND_BENCHMARK = ["arm", "benchmark"]


def with_value(records: pl.DataFrame) -> pl.DataFrame:
    """Add `value`: what a record contributes to a mean, null where it is unscored.

    A measured record gives its negative log-likelihood in nats per token, any other its score.

    Args:
        records: one row a planned record, with `outcome`, `score`, `nll_sum` (nats), `n_tokens`, and for `per_item`
            `cluster`: the source that an item shares with others, null where it shares none.
    """
    nll = pl.when(pl.col("n_tokens") > 0).then(pl.col("nll_sum") / pl.col("n_tokens"))
    measured, scored = pl.col("outcome") == "measured", pl.col("outcome").is_in(SCORED)
    value = pl.when(measured).then(nll).when(scored).then(pl.col("score"))
    return records.with_columns(pl.when(value.is_finite()).then(value).alias("value"))


def per_item(values: pl.DataFrame) -> pl.DataFrame:
    """Reduce records to items, sorted by arm, benchmark and item.

    Args:
        values: the frame of `with_value`, one row a planned record.

    Returns:
        One row a planned item: `arm`, `benchmark`, `item_id`, `prompt_hash` of the scored records (several,
        joined, where the prompt is drawn anew under each seed; null where none was scored), `cluster` (what items of
        one source share; the item itself where it shares none), `mean` (null where no record was scored), `variance`
        between its seeds (n-1 form; null below two scored ones), `n_runs` (scored seeds).
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
