"""How far arms are from their reference on text: additional rows of the perplexity benchmarks, none of them primary.

Each value is a mean per scored token over chunks in text order (`stats.divergence`), because neither the tokens of one
chunk nor neighbouring chunks are independent. The rows are descriptive: they have no margin and no verdict. Each class
of tokens (mathematics, science, other) has its own rows, with `token_class` set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.fields import Json, interval, method, number
from reporting.analysis.scored_arms import ScoredArm, in_text_order
from reporting.frames import TOKEN_CLASSES, class_column
from stats.clusters import ClusteredRatio, Labels
from stats.divergence import agreement, mean_per_token, perplexity_ratio
from stats.intervals import Floats, Interval
from stats.paired import shared_sources
from stats.reasons import Reason


@dataclass(frozen=True)
class _Chunks:
    """Chunks of text of one arm; the methods return arrays of shape (chunks,)."""

    frame: pl.DataFrame
    clusters: Labels | None

    def sums(self, name: str, token_class: str | None) -> Floats:
        """Return the sums of a column over the tokens of a class (None: all tokens), 0 for a chunk without any."""
        column = name if token_class is None else class_column(token_class, name)
        return self.frame[column].cast(pl.Float64).fill_null(0.0).to_numpy()

    def tokens(self, token_class: str | None) -> Floats:
        """Return the number of scored tokens of the class."""
        return self.sums("n_tokens", token_class)


@dataclass(frozen=True)
class _Counts:
    """How many chunks and tokens a mean is taken over."""

    n_items: int
    n_tokens: int

    @classmethod
    def of(cls, tokens: Floats) -> _Counts:
        """Count the tokens, and the chunks that have at least one of them."""
        return cls(int((tokens > 0).sum()), int(tokens.sum()))


def divergence_rows(primary: Mapping[str, Any], arm: ScoredArm, reference: ScoredArm | None) -> list[Json]:
    """Return the rows of one arm on one text.

    Args:
        primary: the arm's primary row (the loss). The new rows take their other fields from it.
        arm: the arm on this text.
        reference: its reference on this text. None: the arm has no reference, and only losses by class are returned.
    """
    rows = [_class_loss(primary, arm, token_class) for token_class in _classes(arm.records)]
    if reference is None:
        return rows
    compared = in_text_order(arm.records.filter(pl.col("kld_sum").is_not_null()))
    if compared.height == 0:
        differ = (arm.records["divergence_reason"] == Reason.VOCABULARIES_DIFFER.value).any()
        reason = Reason.VOCABULARIES_DIFFER if differ else Reason.NOT_COMPARED
        return [*rows, _row(primary, "kld", reason, _Counts(0, 0))]
    chunks = _Chunks(compared, _sources(arm, compared))
    rows.append(_ratio_row(primary, chunks, reference))
    for token_class in (None, *_classes(compared)):
        rows += _compared_rows(primary, chunks, token_class)
    return rows


def _compared_rows(primary: Mapping[str, Any], chunks: _Chunks, token_class: str | None) -> Iterable[Json]:
    tokens = chunks.tokens(token_class)
    counts = _Counts.of(tokens)

    def sums(name: str) -> Floats:
        return chunks.sums(name, token_class)

    def row(metric: str, found: ClusteredRatio | Reason, *, higher: bool = False) -> Json:
        return _row(primary, metric, found, counts, token_class=token_class, higher_is_better=higher)

    yield row("kld", mean_per_token(sums("kld_sum"), tokens, chunks.clusters))
    yield row("top_agreement", agreement(sums("top_agree"), tokens, chunks.clusters), higher=True)
    yield row("p_change", mean_per_token(sums("p_change_sum"), tokens, chunks.clusters), higher=True)
    yield row("p_change_rms", _root(mean_per_token(sums("p_change_squares"), tokens, chunks.clusters)))


def _class_loss(primary: Mapping[str, Any], arm: ScoredArm, token_class: str) -> Json:
    scored = in_text_order(arm.records.filter(pl.col("n_tokens").is_not_null()))
    chunks = _Chunks(scored, _sources(arm, scored))
    tokens = chunks.tokens(token_class)
    found = mean_per_token(chunks.sums("nll_sum", token_class), tokens, chunks.clusters)
    counts = _Counts.of(tokens)
    return _row(primary, "nll", found, counts, token_class=token_class)


def _ratio_row(primary: Mapping[str, Any], chunks: _Chunks, reference: ScoredArm) -> Json:
    """Return the row of PPL(arm) / PPL(reference), over the chunks that both have."""
    theirs = reference.records.filter(pl.col("nll_sum").is_not_null()).select(
        "item_id", pl.col("nll_sum").alias("reference_nll_sum")
    )
    both = chunks.frame.join(theirs, on="item_id", how="left")
    known = both["reference_nll_sum"].is_not_null().to_numpy()
    tokens = chunks.tokens(None)[known]
    clusters = None if chunks.clusters is None else chunks.clusters[known]
    own, other = (both[name].to_numpy()[known].astype(np.float64) for name in ("nll_sum", "reference_nll_sum"))
    ratio = perplexity_ratio(own, other, tokens, clusters)
    counts = _Counts.of(tokens)
    if isinstance(ratio, Reason):
        return _row(primary, "perplexity_ratio", ratio, counts)
    found = ClusteredRatio(ratio.ratio, Reason.DERIVED, ratio.interval, ratio.ln_ratio.n_clusters)
    return _row(primary, "perplexity_ratio", found, counts)


def _root(found: ClusteredRatio | Reason) -> ClusteredRatio | Reason:
    """Return the square root of a mean of squares and of the ends of its interval."""
    if isinstance(found, Reason):
        return found
    bounds = found.interval
    if isinstance(bounds, Interval):
        bounds = Interval(math.sqrt(max(bounds.low, 0.0)), math.sqrt(bounds.high), f"sqrt_{bounds.method}")
    return ClusteredRatio(math.sqrt(found.estimate), Reason.DERIVED, bounds, found.n_clusters)


def _row(
    primary: Mapping[str, Any],
    metric: str,
    found: ClusteredRatio | Reason,
    counts: _Counts,
    *,
    token_class: str | None = None,
    higher_is_better: bool = False,
) -> Json:
    """Return a row of `metric`; fields that only the primary row has are null."""
    mean, bounds = (found, found) if isinstance(found, Reason) else (found.estimate, found.interval)
    nothing: Json = {}
    for name in ("sigma_items", "sigma_runs", "error_bar_runs", "ci95_fixed_benchmark", "variance_shares"):
        nothing |= {name: None, f"{name}_reason": Reason.DERIVED.value}
    return {
        **primary,
        **nothing,
        "metric": metric if token_class is None else f"{metric}_{token_class}",
        "token_class": token_class,
        "primary": False,
        "higher_is_better": higher_is_better,
        **number("mean", mean),
        **interval("ci95", bounds),
        "ci_method": method(bounds),
        "n_items": counts.n_items,
        "n_tokens": counts.n_tokens,
    }


def _classes(records: pl.DataFrame) -> list[str]:
    """Return the classes that have tokens; none if there is only one, because its rows would repeat the totals."""
    found = [name for name in TOKEN_CLASSES if (records[class_column(name, "n_tokens")].sum() or 0) > 0]
    return found if len(found) > 1 else []


def _sources(arm: ScoredArm, records: pl.DataFrame) -> Labels | None:
    """Return the cluster of each record; None if no two items share a source."""
    labelled = records.select("item_id").join(arm.items.select("item_id", "cluster"), on="item_id", how="left")
    return shared_sources(labelled["cluster"])
