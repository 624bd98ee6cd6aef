"""How many comparisons have an interval, and how many intervals exclude 0."""

from __future__ import annotations

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.results_folder import Findings


def count_intervals(findings: Findings) -> tuple[int, int]:
    """Return how many comparisons have an interval, and how many of these intervals exclude 0."""
    rows = [row for row in findings.comparisons if not row["arm"].endswith(AA_SUFFIX)]
    known = [row["ci95"] for row in rows if row["ci95"] is not None]
    return len(known), sum(1 for low, high in known if not low <= 0 <= high)
