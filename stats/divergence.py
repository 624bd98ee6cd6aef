"""How far an arm's predictions are from the reference's: per-token means over chunks of text, clustered.

Estimand: the mean per token over all text of the kind. Tokens of one chunk are not independent, so chunks (or the
documents they come from) are what was sampled, and the intervals are `stats.clusters`' ratio of totals to tokens.
Everything takes one number a chunk, never a vocabulary.

KLD is descriptive: no margin and no verdict belongs to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stats.clusters import ClusteredRatio, Labels, clustered_ratio
from stats.intervals import Floats, Interval, clamp
from stats.reasons import Reason


@dataclass(frozen=True)
class PerplexityRatio:
    """PPL(arm) / PPL(reference)."""

    ln_ratio: ClusteredRatio
    """Mean of nll(arm) - nll(reference), nats per token."""
    ratio: float
    interval: Interval | Reason
    """Of the ratio: the exponentials of the ends."""


def mean_per_token(sums: Floats, tokens: Floats, clusters: Labels | None = None) -> ClusteredRatio | Reason:
    """Mean per token of what is summed by chunk: KLD, or the loss itself.

    The difference of two arms paired on chunks is the same with the difference of their sums.

    Args:
        sums: shape (chunks,), nats.
        tokens: scored tokens of each chunk, shape (chunks,); chunks without any (of a class of tokens) count nothing.
        clusters: document of each chunk, shape (chunks,); None: chunks are the clusters.
    """
    used = tokens > 0
    return clustered_ratio(sums[used], tokens[used], None if clusters is None else clusters[used])


def agreement(top_agree: Floats, tokens: Floats, clusters: Labels | None = None) -> ClusteredRatio | Reason:
    """Share of tokens whose most likely token is the reference's; the interval is cut to [0, 1].

    Args:
        top_agree: tokens of each chunk on which both agree, shape (chunks,).
        tokens: scored tokens of each chunk, shape (chunks,).
        clusters: as in `mean_per_token`.
    """
    found = mean_per_token(top_agree, tokens, clusters)
    if isinstance(found, Reason) or isinstance(found.interval, Reason):
        return found
    return ClusteredRatio(found.estimate, found.standard_error, clamp(found.interval, 0.0, 1.0), found.n_clusters)


def perplexity_ratio(
    nll_sums: Floats, reference_nll_sums: Floats, tokens: Floats, clusters: Labels | None = None
) -> PerplexityRatio | Reason:
    """Ratio of two perplexities on the same chunks.

    Args:
        nll_sums: of the arm, nats, shape (chunks,).
        reference_nll_sums: likewise of the reference.
        tokens: scored tokens of each chunk, the same in both.
        clusters: as in `mean_per_token`.
    """
    found = mean_per_token(nll_sums - reference_nll_sums, tokens, clusters)
    if isinstance(found, Reason):
        return found
    interval = found.interval
    if isinstance(interval, Interval):
        interval = Interval(math.exp(interval.low), math.exp(interval.high), f"exp_{interval.method}")
    return PerplexityRatio(found, math.exp(found.estimate), interval)


def by_class(
    sums: Mapping[str, Floats], tokens: Mapping[str, Floats], clusters: Labels | None = None
) -> dict[str, ClusteredRatio | Reason]:
    """`mean_per_token` of each class of tokens (mathematics, science, other).

    A chunk holds tokens of several classes, and in each class only those count.

    Args:
        sums: by class, shape (chunks,).
        tokens: by class, tokens of that class in each chunk, shape (chunks,); 0 where it has none.
        clusters: as in `mean_per_token`.
    """
    return {name: mean_per_token(sums[name], tokens[name], clusters) for name in sums}
