"""How far an arm's predictions are from the reference's: means per token over chunks of text, by cluster.

Estimand: the mean per token over all text of the kind. Tokens of one chunk are not independent, so the sample consists
of chunks (or of the documents that they come from). Neighbouring chunks of one text are alike, so the interval of an
arm's own value takes their order into account (`stats.series`). The ratio of two perplexities is a paired difference,
in which that similarity cancels: its interval takes chunks as independent. If documents are known, all intervals are
by document (`stats.clusters`). Every function takes one number per chunk, never a whole vocabulary.

KLD is descriptive. It has no margin and no verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stats.clusters import ClusteredRatio, Labels, clustered_ratio
from stats.intervals import Floats, Interval, clamp
from stats.reasons import Reason
from stats.series import series_ratio


@dataclass(frozen=True)
class PerplexityRatio:
    """PPL(arm) / PPL(reference)."""

    ln_ratio: ClusteredRatio
    """Mean of nll(arm) - nll(reference), in nats per token."""
    ratio: float
    interval: Interval | Reason
    """Interval of the ratio: the exponentials of the ends of `ln_ratio`'s interval."""


def mean_per_token(sums: Floats, tokens: Floats, clusters: Labels | None = None) -> ClusteredRatio | Reason:
    """Return the mean per token of a quantity that is summed by chunk: KLD, or the loss itself.

    Args:
        sums: shape (chunks,), in nats, in text order.
        tokens: scored tokens of each chunk, shape (chunks,). Chunks with 0 tokens (of a class of tokens) are left out.
        clusters: document of each chunk, shape (chunks,). None: the chunks are a series.
    """
    used = tokens > 0
    if clusters is None:
        return series_ratio(sums[used], tokens[used])
    return clustered_ratio(sums[used], tokens[used], clusters[used])


def agreement(top_agree: Floats, tokens: Floats, clusters: Labels | None = None) -> ClusteredRatio | Reason:
    """Return the share of tokens for which both arms have the same most likely token, with an interval within [0, 1].

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
    """Return the ratio of two perplexities on the same chunks.

    Args:
        nll_sums: sums of the arm, in nats, shape (chunks,).
        reference_nll_sums: sums of the reference, in nats, shape (chunks,).
        tokens: scored tokens of each chunk, the same for both, shape (chunks,).
        clusters: document of each chunk, shape (chunks,). None: chunks are the clusters.
    """
    used = tokens > 0
    differences = (nll_sums - reference_nll_sums)[used]
    found = clustered_ratio(differences, tokens[used], None if clusters is None else clusters[used])
    if isinstance(found, Reason):
        return found
    interval = found.interval
    if isinstance(interval, Interval):
        interval = Interval(math.exp(interval.low), math.exp(interval.high), f"exp_{interval.method}")
    return PerplexityRatio(found, math.exp(found.estimate), interval)
