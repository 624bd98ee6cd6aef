"""Sentences about the differences from the reference, with their intervals.

They make no verdict: a sentence says only whether the interval includes 0, and if not, on which side of 0 it lies.
"""

from __future__ import annotations

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.documents.phrases import dash_with_reason, describe_interval
from reporting.results_folder import Findings, Json
from reporting.wording import Words, benchmark_title, difference_scale, metric_title


def difference_sentences(findings: Findings, words: Words) -> list[str]:
    """Return one sentence per arm and benchmark, in the order of the benchmarks."""
    sentences: list[str] = []
    for benchmark in findings.benchmarks:
        # The noise floor is in the tables.
        rows = [row for row in findings.compared(benchmark["name"]) if not row["arm"].endswith(AA_SUFFIX)]
        sentences += [_sentence(words, benchmark, row, rows) for row in rows]
    return sentences


def _sentence(words: Words, benchmark: Json, row: Json, rows: list[Json]) -> str:
    title = benchmark_title(words, benchmark)
    if row["metric"] != benchmark["metric"]:
        title = f"{title} ({metric_title(words, row['metric'])})"
    position = describe_interval(words, row, benchmark["higher_is_better"])
    if row["difference"] is None:
        text = words.say("差を計算できない", "the difference could not be computed")
        return f"{title}: {row['arm']} − {row['reference']}: {text} {dash_with_reason(words, row, 'difference')}"
    scale = difference_scale(rows)
    difference = f"{scale.difference(row['difference'])} {scale.signed_interval(row['ci95'])}"
    unit = words.say("組", "pairs")
    return f"{title}: {row['arm']} − {row['reference']} = {difference}, n = {row['n_items']} {unit}: {position}"


def count_intervals(findings: Findings) -> tuple[int, int]:
    """Return how many comparisons have an interval, and how many of these intervals exclude 0."""
    rows = [row for row in findings.comparisons if not row["arm"].endswith(AA_SUFFIX)]
    known = [row["ci95"] for row in rows if row["ci95"] is not None]
    return len(known), sum(1 for low, high in known if not low <= 0 <= high)
