"""The table that the pipeline prints at its end: plain text, English, at most 120 columns.

One block for the arms and one a benchmark, because an interval without its n misleads and both of all
benchmarks do not fit side by side. All numbers come from the two result files. Names are cut and control
characters taken out: a name from a model file must not drive the terminal.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from reporting.ways_out import way_out, worse_arms
from reporting.wording import Words

WIDTH = 110
_LONGEST_NAME = 34
_NONE = "-"


def summary_table(comparison: Mapping[str, Any], analysis: Mapping[str, Any]) -> str:
    """The summary of both result files, without a trailing line end.

    Args:
        comparison: `quantization_comparison.json`.
        analysis: `statistical_analysis.json`.
    """
    sections = [_arms_section(comparison)]
    for benchmark in comparison["benchmarks"]:
        sections.append(_benchmark_section(benchmark, comparison["results"], analysis["comparisons"]))
    sections.append(
        _wrapped(
            "Brackets: 95% intervals, the benchmark taken as a sample of questions. diff: arm minus reference, over"
            " items scored in both. runs: 1.96 sigma/sqrt(runs), sampling noise only. n: items scored.",
        )
    )
    worse = worse_arms(comparison, analysis["comparisons"])
    if worse:
        sections.append("\n".join(_wrapped(_clean(way_out(Words("en"), one))) for one in worse))
    return "\n\n".join(sections)


def _arms_section(comparison: Mapping[str, Any]) -> str:
    rates = {row["arm"]: row["decode_tokens_per_second"] for row in comparison["performance"]}
    rows = [["arm", "model", "MiB", "bits/weight", "reference", "tokens/s"]]
    for arm in comparison["arms"]:
        size, bits, rate = arm["size_bytes"], arm["bits_per_weight"], rates.get(arm["name"])
        rows.append(
            [
                _shown(arm["name"]),
                _shown(arm["model"]),
                _NONE if size is None else f"{size / 2**20:.1f}",
                _NONE if bits is None else f"{bits:.2f}",
                _shown(arm["reference"] or _NONE),
                _NONE if rate is None else f"{rate:.0f}",
            ]
        )
    lines = _columns(rows, left=(0, 1, 4))
    for model in comparison["models"]:
        if model["dequantized_from"]:
            name = _shown(model["name"])
            given = _shown(model["dequantized_from"])
            lines.append(_wrapped(f"{name} was given as {given}: what is made here is made from dequantized weights."))
    lines += [_budget_line(arm) for arm in comparison["arms"] if arm.get("budget")]
    lines += [
        _wrapped(f"failed: {_shown(arm['name'])}: {_clean(str(arm['failed']))[:200]}")
        for arm in comparison["arms"]
        if arm["failed"]
    ]
    return "\n".join(lines)


def _budget_line(arm: Mapping[str, Any]) -> str:
    budget = arm["budget"]
    text = f"{_shown(arm['name'])}: {budget['added_bpw']:+.3f} bits/weight against {_shown(str(arm['method']))} alone"
    if budget["predicted_error"] is not None:
        text += f", predicted error {budget['predicted_error']:.3g} (there {budget['predicted_error_base']:.3g})"
    if budget["control"]:
        text += "; spent without measuring, as a control"
    return _wrapped(text)


def _benchmark_section(
    benchmark: Mapping[str, Any], results: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]]
) -> str:
    name = benchmark["name"]
    shown_metric = "perplexity" if benchmark["metric"] == "nll" else benchmark["metric"]
    own = [row for row in results if row["benchmark"] == name]
    differences = {row["arm"]: row for row in comparisons if row["benchmark"] == name}
    direction = "higher" if benchmark["higher_is_better"] else "lower"
    runs = "no sampling" if benchmark["deterministic"] else f"{len(benchmark['seeds'])} runs"
    items = f"{benchmark['n_items']} of {benchmark['n_items_total']} items"
    title = f"{name}: {_shown(shown_metric)}, {direction} is better; {items}, {runs}"
    difference = "diff in ln PPL" if benchmark["metric"] == "nll" else "diff"
    # Without sampling there is no spread between runs: the title says so, and no column shows a ±0.
    sampled = [] if benchmark["deterministic"] else ["runs"]
    table = [["arm", "mean", "95% CI", *sampled, "n", difference, "95% CI", "d", "unscored"]]
    primary = [row for row in own if row["primary"]]
    shown = {row["arm"]: row for row in own if row["metric"] == shown_metric}
    for row in primary:
        table.append(_benchmark_row(row, shown[row["arm"]], differences.get(row["arm"])))
    lines = [title, *_columns(table, left=(0,))]
    lines += [_unscored_line(row) for row in primary if row["n_unscored"]]
    lines += [_uncompared_line(row) for row in differences.values() if row["difference"] is None]
    return "\n".join(lines)


def _benchmark_row(
    primary: Mapping[str, Any], shown: Mapping[str, Any], against: Mapping[str, Any] | None
) -> list[str]:
    places = 2 if shown["metric"] == "perplexity" else 3
    mean = _NONE if shown["mean"] is None else f"{shown['mean']:.{places}f}"
    row = [_shown(primary["arm"]), mean, _bracket(shown["ci95"], f".{places}f")]
    if not primary["deterministic"]:
        bar = primary["error_bar_runs"]
        row.append(_NONE if bar is None else f"±{bar:.3f}")
    row.append(str(primary["n_items"]))
    if against is None:
        return [*row, _NONE, _NONE, _NONE, str(primary["n_unscored"])]
    signed = "+.4f" if primary["metric"] == "nll" else "+.3f"
    difference = _NONE if against["difference"] is None else format(against["difference"], signed)
    effect = _NONE if against["cohens_d"] is None else format(against["cohens_d"], "+.2f")
    return [*row, difference, _bracket(against["ci95"], signed), effect, str(primary["n_unscored"])]


def _bracket(interval: Sequence[float] | None, form: str) -> str:
    return _NONE if interval is None else f"[{interval[0]:{form}}, {interval[1]:{form}}]"


def _unscored_line(row: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{_shown(reason)} {count}" for reason, count in row["unscored_reasons"].items())
    return _wrapped(f"unscored: {_shown(row['arm'])} {row['n_unscored']} of {row['n_records']} records ({reasons})")


def _uncompared_line(row: Mapping[str, Any]) -> str:
    arm, reference = _shown(row["arm"]), _shown(row["reference"])
    return _wrapped(f"not compared: {arm} with {reference} ({row['difference_reason']})")


# --- layout ---------------------------------------------------------------------------------------


def display_width(text: str) -> int:
    """Terminal columns that a text takes: wide East Asian characters two, combining marks none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _columns(rows: Sequence[Sequence[str]], left: tuple[int, ...]) -> list[str]:
    """Rows as aligned lines; the columns in `left` begin left, the others end right."""
    widths = [max(display_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for column, text in enumerate(row):
            gap = " " * (widths[column] - display_width(text))
            cells.append(text + gap if column in left else gap + text)
        lines.append("  ".join(cells).rstrip())
    return lines


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ")


def _shown(name: str) -> str:
    """A name without control characters, cut to what a column has room for."""
    clean = _clean(name)
    if display_width(clean) <= _LONGEST_NAME:
        return clean
    kept = ""
    for character in clean:
        if display_width(kept + character) >= _LONGEST_NAME:
            break
        kept += character
    return f"{kept}…"


def _clean(text: str) -> str:
    return "".join("?" if unicodedata.category(character).startswith("C") else character for character in text)
