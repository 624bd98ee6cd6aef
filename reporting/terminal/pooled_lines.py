"""The claim on average in the terminal summary: the rows of its table, and a sentence on what it does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reporting.terminal.open_verdicts import NAMED, OPEN


def pooled_title(analysis: Mapping[str, Any]) -> str:
    """Return the title of the table; an empty string if nothing is pooled."""
    claims, tiers = analysis.get("pooled") or [], analysis.get("tiers") or {}
    if not claims:
        return ""
    needed = " The verdicts above need it." if claims[0]["decides"] else ""
    margin = f"{100 * claims[0]['margin']:g} pp"
    return (
        f"On average over {', '.join(tiers['pooled'])} (no worse: a mean loss below {margin}). It says nothing about a"
        f" single benchmark.{needed}"
    )


def pooled_rows(analysis: Mapping[str, Any], words: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return arm, verdict, and the mean difference with its interval, or why there is none.

    Args:
        analysis: `statistical_analysis.json`.
        words: code of a verdict -> its name.
    """
    return [(row["arm"], words[row["verdict"]], _value(row)) for row in analysis.get("pooled") or []]


def _value(row: Mapping[str, Any]) -> str:
    if row["difference"] is None:
        return f"no claim ({row['difference_reason'].replace('_', ' ')})"
    difference, low, high = (100 * value for value in (row["difference"], *row["ci95"]))
    text = f"{difference:+.1f} pp [{low:+.1f}, {high:+.1f}]"
    named = [OPEN[ground] for ground in row["verdict_grounds"] if row["verdict"] == "undecided" and ground in NAMED]
    return "; ".join([text, *named])


def smallest_on_average(selection: Mapping[str, Any]) -> str:
    """Return a sentence with the smallest arm that is no worse on average; an empty string without such a claim."""
    found = selection.get("on_average")
    if not found:
        return ""
    text = f"smallest arm that is no worse than {selection['reference']} on average:"
    text += f" {found['smallest_no_worse'] or 'none'}"
    return f"{text} (tested from the largest down to {found['stopped_at']})" if found["stopped_at"] else text
