"""Two lines on the judges of a benchmark in the terminal summary: how far they agree, and what people make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting.terminal.layout import short_name, wrapped


def judging_lines(entry: Mapping[str, Any] | None) -> list[str]:
    """Return the lines of one benchmark; none if it was not judged.

    Args:
        entry: its entry in `judging` of `statistical_analysis.json`.
    """
    return [] if entry is None else [_agreement_line(entry), _people_line(entry)]


def _agreement_line(entry: Mapping[str, Any]) -> str:
    parts = [
        f"{short_name(judge['judge'])} with itself {_alpha(judge['repeats'])}"
        for judge in entry["judges"]
        if judge["judge"] is not None
    ]
    if entry["agreement_between"]:
        parts.append(
            f"{', '.join(map(short_name, entry['agreement_between']))} with each other {_alpha(entry['agreement'])}"
        )
    return wrapped(f"judges (Krippendorff's alpha): {'; '.join(parts)}")


def _people_line(entry: Mapping[str, Any]) -> str:
    if entry["human_scores"] is None:
        return wrapped("people: no human scores, so nothing is known of how the judges agree with people")
    shown = entry["judges"][0]["judge"]  # the mean of the jury, or its only judge
    parts = []
    for row in entry["rows"]:
        found = (row["comparison"] or {}).get("corrected")
        if row["judge"] == shown and found is not None:
            interval = "" if found["ci95"] is None else f" [{found['ci95'][0]:+.2f}, {found['ci95'][1]:+.2f}]"
            plain = row["comparison"]["difference"]
            parts.append(f"{short_name(row['arm'])} {found['value']:+.2f}{interval} (judge: {plain:+.2f})")
    n_items = entry["human_scores"]["n_items"]
    if not parts:
        return wrapped(f"people: {n_items} items scored, too few to correct a difference")
    return wrapped(f"differences corrected by people's scores of {n_items} items: {'; '.join(parts)}")


def _alpha(found: Mapping[str, Any] | None) -> str:
    return "unknown" if found is None else f"{found['alpha']:.2f}"
