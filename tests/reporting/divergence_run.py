"""The sample run with sums of divergence: results whose divergence from the reference is known."""

from __future__ import annotations

from typing import Any

import polars as pl

from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, class_column
from tests.reporting.sample_run import sample_run

KLD_PER_TOKEN = {"q8_0": 0.001, "q4_k_m": 0.05}
TEXTS = ("perplexity_wikitext2", "perplexity_ja_wiki")


def divergence_results(arms: dict[str, float] = KLD_PER_TOKEN, reason: str | None = None) -> Results:
    """Return the results of the sample run with sums of divergence.

    In each chunk, 56 tokens belong to mathematics; their divergence is three times that of the others.

    Args:
        arms: KL divergence per token of each arm that is compared.
        reason: why nothing was compared; None: everything was.
    """
    run, records, timings = sample_run()
    rows = [_with_sums(row, arms, reason) for row in records.iter_rows(named=True)]
    return build_results(run, pl.DataFrame(rows, schema=RECORD_SCHEMA), timings)


def _with_sums(row: dict[str, Any], arms: dict[str, float], reason: str | None) -> dict[str, Any]:
    if row["benchmark"] not in TEXTS or row["outcome"] != "measured":
        return row
    n_tokens, loss = row["n_tokens"], row["nll_sum"]
    for label, tokens in (("mathematics", 56), ("other", n_tokens - 56)):
        row |= {class_column(label, "n_tokens"): tokens, class_column(label, "nll_sum"): loss * tokens / n_tokens}
    if row["arm"] not in arms:
        return row | {"divergence_reason": "no_reference"}
    if reason:
        return row | {"divergence_reason": reason}
    each = arms[row["arm"]]
    sums = {"mathematics": (56, 3 * each), "other": (n_tokens - 56, each)}
    for label, (tokens, kld) in sums.items():
        row |= {
            class_column(label, "kld_sum"): kld * tokens,
            class_column(label, "top_agree"): tokens - 5,
            class_column(label, "p_change_sum"): -0.01 * tokens,
            class_column(label, "p_change_squares"): 0.0004 * tokens,
        }
    names = ("kld_sum", "top_agree", "p_change_sum", "p_change_squares")
    return row | {name: row[class_column("mathematics", name)] + row[class_column("other", name)] for name in names}
