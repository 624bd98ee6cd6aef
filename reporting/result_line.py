"""What a finished pipeline prints in one line for programs that watch it: `RESULT {json}`.

The line is bounded (`MAX_BYTES`), because a reader fetches only the tail of a log. What does not fit is left out and
counted. All values are ready to show; `reporting/schemas/result.schema.json` documents each field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conf.controls import escaped_json
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.shown_verdict import shown_verdict, shown_verdict_of_arm
from reporting.verdict_box import verdict_boxes
from reporting.verdict_headline import file_on_average
from reporting.wording import VERDICTS, Words

RESULT_SCHEMA_VERSION = 1
MAX_BYTES = 64 * 1024
"""Longest line, with its prefix and in UTF-8."""
PREFIX = "RESULT "
_MAX_FAILURES = 50
_LONGEST_ERROR = 200
_DIGITS = 6
"""Significant digits of numbers: more than any interval justifies."""

_Row = Mapping[str, Any]


def result_of(
    comparison: _Row, analysis: _Row | None, *, failures: Sequence[_Row], files: Mapping[str, str]
) -> dict[str, Any]:
    """Return the outcome of a pipeline as a JSON object that is short enough for `result_line`.

    Args:
        comparison: `quantization_comparison.json`.
        analysis: `statistical_analysis.json`; None if there is none.
        failures: what failed: `unit`, `phase` and `error`.
        files: name of an output -> its path or address.
    """
    shown = [_failure(one) for one in failures[:_MAX_FAILURES]]
    value = {
        "schema_version": RESULT_SCHEMA_VERSION,
        "pipeline_id": comparison["pipeline_id"],
        "state": "failed" if failures else "done",
        "headlines": {lang: _headlines(comparison, analysis, Words(lang)) for lang in ("ja", "en")},
        "arms": [_arm(arm, analysis) for arm in comparison["arms"] if not arm["name"].endswith(AA_SUFFIX)],
        "results": list(_results(comparison, analysis)),
        "selections": [_selection(analysis or {}, row) for row in (analysis or {}).get("selections", ())],
        "failures": shown,
        "files": dict(files),
        "left_out": {"arms": 0, "results": 0, "failures": len(failures) - len(shown)},
    }
    for name in ("results", "failures", "arms"):
        _shorten(value, name)
    return value


def result_line(value: _Row) -> str:
    """Return the line that is printed, without a line end."""
    return PREFIX + escaped_json(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _shorten(value: dict[str, Any], name: str) -> None:
    """Leave out entries of a list, from its end, until the line fits or the list is empty."""
    too_many = len(result_line(value).encode()) - MAX_BYTES
    while too_many > 0 and value[name]:
        mean_bytes = len(json.dumps(value[name], ensure_ascii=False).encode()) / len(value[name])
        n_dropped = min(len(value[name]), math.ceil(too_many / mean_bytes))
        del value[name][-n_dropped:]
        value["left_out"][name] += n_dropped
        too_many = len(result_line(value).encode()) - MAX_BYTES


def _headlines(comparison: _Row, analysis: _Row | None, words: Words) -> list[str]:
    return [box.headline for box in verdict_boxes(comparison, analysis, words)]


def _arm(arm: _Row, analysis: _Row | None) -> dict[str, Any]:
    rows = (row for row in (analysis or {}).get("verdicts", ()) if row["arm"] == arm["name"])
    row: _Row = next(rows, {})
    return {
        "name": arm["name"],
        "model": arm["model"],
        "reference": arm["reference"],
        "size_bytes": arm["size_bytes"],
        "bits_per_weight": _rounded(arm["bits_per_weight"]),
        "verdict": _verdict(shown_verdict_of_arm(row, analysis or {}) if row else ""),
        "grounds": list(row.get("grounds", ())),
        "worse_on": list(row.get("worse_on", ())),
        "undecided_on": list(row.get("undecided_on", ())),
        "on_average": row.get("on_average"),
        "failed": None if arm["failed"] is None else str(arm["failed"])[:_LONGEST_ERROR],
    }


def _results(comparison: _Row, analysis: _Row | None) -> Iterable[dict[str, Any]]:
    """Yield one entry per arm and benchmark: the mean that people read, and the paired difference of the verdict."""
    compared = {(row["arm"], row["benchmark"]): row for row in (analysis or {}).get("comparisons", ())}
    juries = {one["name"]: one.get("judges") for one in comparison["benchmarks"]}
    rows = {(row["arm"], row["benchmark"], row["metric"]): row for row in comparison["results"]}
    for row in comparison["results"]:
        if not row["primary"] or row["arm"].endswith(AA_SUFFIX):
            continue
        arm, benchmark = row["arm"], row["benchmark"]
        shown = rows.get((arm, benchmark, "perplexity"), row)
        against = compared.get((arm, benchmark), {})
        yield {
            "arm": arm,
            "benchmark": benchmark,
            "metric": shown["metric"],
            "mean": _rounded(shown["mean"]),
            "ci95": _rounded_pair(shown["ci95"]),
            "n_items": row["n_items"],
            "n_unscored": row["n_unscored"],
            "difference_metric": against.get("metric"),
            "difference": _rounded(against.get("difference")),
            "difference_ci95": _rounded_pair(against.get("ci95")),
            "n_paired": against.get("n_items"),
            "verdict": _verdict(shown_verdict(against)),
            "grounds": list(against.get("verdict_grounds", ())),
            "judges": None if (jury := juries.get(benchmark)) is None else [judge["name"] for judge in jury],
        }


def _verdict(shown: str) -> str | None:
    """Return a verdict; None for what stands in its place."""
    return shown if shown in VERDICTS else None


def _selection(analysis: _Row, row: _Row) -> dict[str, Any]:
    return {
        "reference": row["reference"],
        "smallest_no_worse": row["smallest_no_worse"],
        "smallest_no_worse_on_average": file_on_average(analysis, row),
    }


def _failure(one: _Row) -> dict[str, str]:
    return {name: str(one[name])[:_LONGEST_ERROR] for name in ("unit", "phase", "error")}


def _rounded(value: float | None) -> float | None:
    """Return a number with few digits. Sums of scores that cancel leave rests of 1e-18: they are 0."""
    return None if value is None else float(f"{value:.{_DIGITS}g}") if abs(value) > 1e-12 else 0.0


def _rounded_pair(pair: Sequence[float] | None) -> list[float | None] | None:
    return None if pair is None else [_rounded(end) for end in pair]
