"""The table that the pipeline prints at its end: plain text, English, at most 120 columns.

One block for the arms and one a benchmark, because an interval without its n misleads and both of all
benchmarks do not fit side by side. All numbers come from the two result files. Names are cut and control
characters taken out: a name from a model file must not drive the terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from reporting.analysis.cells import AA_SUFFIX
from reporting.terminal.divergence_table import divergence_table
from reporting.terminal.grid_table import grid_table
from reporting.ways_out import way_out, worse_arms
from reporting.wording import Words

WIDTH = 110
_LONGEST_NAME = 34
_LONGEST_LEVEL = 18
"""Of a factor: four such columns stand in a line with the numbers."""
_NONE = "-"
_VERDICTS = {"no_worse": "no worse", "worse": "worse", "undecided": "undecided"}


def summary_table(comparison: Mapping[str, Any], analysis: Mapping[str, Any]) -> str:
    """The summary of both result files, without a trailing line end.

    Args:
        comparison: `quantization_comparison.json`.
        analysis: `statistical_analysis.json`.
    """
    sections = [_arms_section(comparison)]
    for benchmark in comparison["benchmarks"]:
        sections.append(_benchmark_section(benchmark, comparison["results"], analysis["comparisons"]))
    if analysis.get("verdicts"):
        sections.append(_verdict_section(analysis))
    sections += [_grid_section(grid) for grid in analysis.get("factorial", []) if "contrasts" in grid]
    sections.append(
        _wrapped(
            "Brackets: 95% intervals, the benchmark taken as a sample of questions. diff: arm minus reference, over"
            " items scored in both. runs: 1.96 sigma/sqrt(runs), sampling noise only. n: items scored. verdict: on this"
            " benchmark, against the margin." + _noise_floor_words(comparison),
        )
    )
    worse = worse_arms(comparison, analysis["comparisons"])
    if worse:
        sections.append("\n".join(_wrapped(_clean(way_out(Words("en"), one))) for one in worse))
    return "\n\n".join(sections)


def _noise_floor_words(comparison: Mapping[str, Any]) -> str:
    """What the reference's second arm is, where there is one."""
    second = [_shown(arm["name"]) for arm in comparison["arms"] if arm["name"].endswith(AA_SUFFIX)]
    return f" {', '.join(second)}: the reference in another batch layout, so the noise floor." if second else ""


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
    table = [["arm", "mean", "95% CI", *sampled, "n", difference, "95% CI", "d", "verdict"]]
    primary = [row for row in own if row["primary"]]
    shown = {row["arm"]: row for row in own if row["metric"] == shown_metric}
    for row in primary:
        table.append(_benchmark_row(row, shown[row["arm"]], differences.get(row["arm"])))
    lines = [title, *_columns(table, left=(0, len(table[0]) - 1))]
    lines += _divergence_lines(own)
    lines += _flip_lines(list(differences.values()))
    lines += _precision_lines(list(differences.values()))
    lines += _early_lines(list(differences.values()))
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
        return [*row, _NONE, _NONE, _NONE, _NONE]
    signed = "+.4f" if primary["metric"] == "nll" else "+.3f"
    difference = _NONE if against["difference"] is None else format(against["difference"], signed)
    effect = _NONE if against["cohens_d"] is None else format(against["cohens_d"], "+.2f")
    verdict = _VERDICTS[against["verdict"]] if against.get("verdict") else _NONE
    return [*row, difference, _bracket(against["ci95"], signed), effect, verdict]


def _bracket(interval: Sequence[float] | None, form: str) -> str:
    return _NONE if interval is None else f"[{interval[0]:{form}}, {interval[1]:{form}}]"


def _unscored_line(row: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{_shown(reason)} {count}" for reason, count in row["unscored_reasons"].items())
    return _wrapped(f"unscored: {_shown(row['arm'])} {row['n_unscored']} of {row['n_records']} records ({reasons})")


def _uncompared_line(row: Mapping[str, Any]) -> str:
    arm, reference = _shown(row["arm"]), _shown(row["reference"])
    return _wrapped(f"not compared: {arm} with {reference} ({row['difference_reason']})")


# --- verdicts -------------------------------------------------------------------------------------


def _divergence_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far the arms' predictions of text are from the reference's, in nats and shares per token."""
    rows = divergence_table(results)
    return _columns([[_shown(row[0]), *row[1:]] for row in rows], left=(0,)) if rows else []


def _flip_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Answers that flipped, with the noise floor, of all arms in one line."""
    known = [row for row in rows if row.get("flips")]
    if not known:
        return []
    flipped = ", ".join(f"{_shown(row['arm'])} {100 * row['flips']['flipped']:.1f}%" for row in known)
    floors = [row["flips"]["noise_floor"] for row in known if row["flips"]["noise_floor"] is not None]
    floor = f"without any quantization {100 * floors[0]:.1f}%" if floors else "noise floor not measured"
    return [_wrapped(f"answers that flip: {flipped} ({floor})")]


def _precision_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What these items find, and what would decide the undecided arms, were the true differences those seen."""
    lines = []
    drops = [row["detectable_drop"] for row in rows if row.get("detectable_drop") is not None]
    if drops:
        metric = rows[0]["metric"]
        least, most = (_loss(metric, drop) for drop in (min(drops), max(drops)))
        lines.append(f"smallest loss that these items find: {least if least == most else f'{least} to {most}'}")
    parts = []
    for row in rows:
        if row.get("verdict") == "undecided":
            needed = (("items_to_decide", "items"), ("runs_to_decide", "runs"))
            ways = [f"{row[key]:,} {unit}" for key, unit in needed if row[key]]
            parts.append(f"{_shown(row['arm'])} {' or '.join(ways) or 'unknown'}")
    if parts:
        lines.append(_wrapped(f"would decide, if the differences stay as they are: {'; '.join(parts)}"))
    return lines


def _early_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What ended early, and which interval is shown of a benchmark that might."""
    known = [(row, row["early_stop"]) for row in rows if row.get("early_stop")]
    if not known:
        return []
    ended = [
        f"{_shown(row['arm'])} {_VERDICTS[row['verdict']]} after {stop['n_items_looked_at']:,} of"
        f" {stop['n_items_planned']:,} items ({stop['n_records_saved']:,} records not made)"
        for row, stop in known
        if stop["decided"]
    ]
    words = f"ended early: {'; '.join(ended)}" if ended else "nothing was decided before the end"
    return [_wrapped(f"{words}. Intervals hold at any number of items (betting sequence).")]


def _early_total(analysis: Mapping[str, Any]) -> list[str]:
    early = analysis.get("early_stop")
    if not early:
        return []
    saved, planned = early["n_records_saved"], early["n_records_planned"]
    text = f"early stop: {saved:,} of {planned:,} records not made ({100 * early['share_saved']:.0f}%)"
    return [_wrapped(f"{text} on {', '.join(early['benchmarks'])}")]


def _loss(metric: str, value: float) -> str:
    return f"{value:.4f}" if metric == "nll" else f"{value:.3f}"


def _verdict_section(analysis: Mapping[str, Any]) -> str:
    margins = analysis["margins"]
    accuracy, ln_ppl = margins["accuracy"], margins["ln_ppl"]
    title = f"Verdicts (no worse: a loss below {accuracy:g} of accuracy and {ln_ppl:g} of ln PPL, with 95% confidence)"
    lines = [_wrapped(title)]
    # The noise floor is no arm that somebody might take.
    rows = [row for row in analysis["verdicts"] if not row["arm"].endswith(AA_SUFFIX)]
    table = [[_shown(row["arm"]), _VERDICTS[row["verdict"]], _grounds(row)] for row in rows]
    lines += _columns(table, left=(0, 1, 2), last_width=WIDTH)
    lines += [_selection_line(row) for row in analysis["selections"]]
    lines += _early_total(analysis)
    lines += [
        _wrapped(
            f"out of order: {_shown(row['larger'])} is worse than the smaller {_shown(row['smaller'])} on"
            f" {row['benchmark']}: {row['difference']:+.4f} [{row['ci95'][0]:+.4f}, {row['ci95'][1]:+.4f}]"
        )
        for row in analysis["out_of_order"]
    ]
    return "\n".join(lines)


def _grounds(row: Mapping[str, Any]) -> str:
    """Where an arm's verdict comes from."""
    shown_losses = [name for name in row["measurably_worse_on"] if name in row["no_worse_on"]]
    parts = []
    if row["worse_on"]:
        adjusted = " (before adjustment)" if row["verdict"] != "worse" else ""
        parts.append(f"worse on {', '.join(row['worse_on'])}{adjusted}")
    if row["undecided_on"]:
        parts.append(f"undecided on {', '.join(row['undecided_on'])}")
    if row["no_worse_on"] and parts:
        parts.append(f"no worse on {', '.join(row['no_worse_on'])}")
    if shown_losses:
        parts.append(f"a loss within the margin is shown on {', '.join(shown_losses)}")
    return "; ".join(parts)


def _selection_line(row: Mapping[str, Any]) -> str:
    """The smallest arm that may be taken, and why no smaller one."""
    taken, ended = row["smallest_no_worse"], row["stopped_at"]
    text = f"smallest arm that is no worse than {_shown(row['reference'])}: {_shown(taken) if taken else 'none'}"
    return _wrapped(f"{text} (from the largest on; {_shown(ended)} ended it)" if ended else text)


# --- grids ----------------------------------------------------------------------------------------


def _grid_section(grid: Mapping[str, Any]) -> str:
    """Main effects, then every two importance matrices against each other in each language."""
    title = (
        f"Effects of recipe, importance matrix and language on the loss against {_shown(grid['reference'])}, in ln PPL "
        "(negative: less is lost; p adjusted by Holm's method)"
    )
    chunks = ", ".join(f"{name} {count}" for name, count in grid["n_chunks"].items())
    rows = [[*(_shown(cell, _LONGEST_LEVEL) for cell in row[:4]), *row[4:]] for row in grid_table(grid)]
    lines = [_wrapped(title), _wrapped(f"chunks of text: {chunks}"), *_columns(rows, left=(0, 1, 2, 3))]
    lines += [
        _wrapped(f"{_shown(first)} and {_shown(second)} give the same on every chunk: the same weights")
        for first, second in grid.get("equal_recipes", [])
    ]
    return "\n".join(lines)


# --- layout ---------------------------------------------------------------------------------------


def display_width(text: str) -> int:
    """Terminal columns that a text takes: wide East Asian characters two, combining marks none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _columns(rows: Sequence[Sequence[str]], left: tuple[int, ...], last_width: int | None = None) -> list[str]:
    """Rows as aligned lines; the columns in `left` begin left, the others end right.

    `last_width`: where the last column is text that may be long, the width of a whole line at which it is broken.
    """
    widths = [max(display_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for column, text in enumerate(row):
            gap = " " * (widths[column] - display_width(text))
            cells.append(text + gap if column in left else gap + text)
        line = "  ".join(cells).rstrip()
        indent = " " * (sum(widths[:-1]) + 2 * (len(widths) - 1))
        lines += _folded(line, last_width, indent) if last_width else [line]
    return lines


def _wrapped(text: str) -> str:
    return "\n".join(_folded(text, WIDTH, "  "))


def _folded(text: str, width: int, indent: str) -> list[str]:
    """Lines of at most `width` columns, broken at single blanks; wider gaps, between columns, stay."""
    lines = [""]
    for word in re.split(r"(?<=\S) (?=\S)", text):
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if display_width(longer) <= width or not lines[-1].strip():
            lines[-1] = longer
        else:
            lines.append(indent + word)
    return lines


def _shown(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name without control characters, cut to what a column has room for."""
    clean = _clean(name)
    if display_width(clean) <= longest:
        return clean
    kept = ""
    for character in clean:
        if display_width(kept + character) >= longest:
            break
        kept += character
    return f"{kept}…"


def _clean(text: str) -> str:
    return "".join("?" if unicodedata.category(character).startswith("C") else character for character in text)
