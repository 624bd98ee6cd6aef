"""The summary that the pipeline prints at its end: plain text, in English, at most 120 columns wide.

It has one section for the arms and one section per benchmark. An interval without its n is misleading, and the
intervals and counts of all benchmarks do not fit side by side. All numbers come from the two result files. Names are
cut, and control characters are replaced, so that a name from a model file cannot control the terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from reporting.advice import advice, worse_arms
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.terminal.divergence_table import divergence_table
from reporting.terminal.grid_table import grid_table
from reporting.terminal.open_verdicts import NAMED, OPEN, needed
from reporting.terminal.pooled_lines import pooled_rows, pooled_title, smallest_on_average
from reporting.wording import Words

WIDTH = 110
_LONGEST_NAME = 34
_LONGEST_LEVEL = 18
"""Longest name of a level in a grid. The table of a grid has four columns of names beside the numbers."""
_NONE = "-"
_VERDICTS = {"no_worse": "no worse", "worse": "worse", "undecided": "undecided"}


def summary_table(comparison: Mapping[str, Any], analysis: Mapping[str, Any]) -> str:
    """Return the summary of both result files, without a line end after the last line.

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
            "Brackets: 95% intervals, with the benchmark as a sample of questions. diff: arm minus reference, over"
            " items scored in both. runs: 1.96 sigma/sqrt(runs), sampling noise only. n: scored items. verdict: on this"
            " benchmark, by the margin." + _noise_floor_words(comparison),
        )
    )
    worse = worse_arms(comparison, analysis["comparisons"])
    if worse:
        sections.append("\n".join(_wrapped(_clean(advice(Words("en"), one))) for one in worse))
    return "\n\n".join(sections)


def _noise_floor_words(comparison: Mapping[str, Any]) -> str:
    """Return a sentence that explains the A/A arms; nothing if there are none."""
    names = [_shown(arm["name"]) for arm in comparison["arms"] if arm["name"].endswith(AA_SUFFIX)]
    return f" {', '.join(names)}: the reference in another batch layout (the noise floor)." if names else ""


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
            lines.append(_wrapped(f"{name} was given as {given}, so all arms made here come from dequantized weights."))
    lines += [_budget_line(arm) for arm in comparison["arms"] if arm.get("budget")]
    lines += [
        _wrapped(f"failed: {_shown(arm['name'])}: {_clean(str(arm['failed']))[:200]}")
        for arm in comparison["arms"]
        if arm["failed"]
    ]
    return "\n".join(lines)


def _budget_line(arm: Mapping[str, Any]) -> str:
    budget = arm["budget"]
    text = f"{_shown(arm['name'])}: {budget['added_bpw']:+.3f} bits/weight over plain {_shown(str(arm['method']))}"
    if budget["predicted_error"] is not None:
        text += f", predicted error {budget['predicted_error']:.3g} (plain: {budget['predicted_error_base']:.3g})"
    if budget["control"]:
        text += "; a control: bits spent without measuring"
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
    # Without sampling there is no spread between runs. The title says so, and the column is left out: no ±0.
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
    lines += _look_lines(list(differences.values()))
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


# --- lines below a benchmark's table --------------------------------------------------------------


def _divergence_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of divergence: how far the arms' predictions of a text are from the reference's."""
    rows = divergence_table(results)
    return _columns([[_shown(row[0]), *row[1:]] for row in rows], left=(0,)) if rows else []


def _flip_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line with the share of flipped answers of each arm, and the noise floor."""
    known = [row for row in rows if row.get("flips")]
    if not known:
        return []
    flipped = ", ".join(f"{_shown(row['arm'])} {100 * row['flips']['flipped']:.1f}%" for row in known)
    floors = [row["flips"]["noise_floor"] for row in known if row["flips"]["noise_floor"] is not None]
    floor = f"noise floor {100 * floors[0]:.1f}%" if floors else "noise floor not measured"
    return [_wrapped(f"flipped answers: {flipped} ({floor})")]


def _precision_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the smallest loss that these items can detect, and what would decide the undecided arms.

    The range goes from the number that decides with even chances to the one that decides with 80%.
    """
    lines = []
    drops = [row["detectable_drop"] for row in rows if row.get("detectable_drop") is not None]
    if drops:
        metric = rows[0]["metric"]
        least, most = (_loss(metric, drop) for drop in (min(drops), max(drops)))
        lines.append(f"smallest detectable loss: {least if least == most else f'{least} to {most}'}")
    parts = []
    for row in rows:
        if row.get("verdict") == "undecided":
            parts.append(f"{_shown(row['arm'])} {needed(row)}")
    if parts:
        lines.append(_wrapped(f"needed to decide, in all (even chances to 80%): {'; '.join(parts)}"))
    lines += [
        _wrapped(f"{_shown(row['arm'])}: {'; '.join(OPEN[ground] for ground in row['verdict_grounds'])}")
        for row in rows
        if row.get("verdict") == "undecided" and any(ground in NAMED for ground in row["verdict_grounds"])
    ]
    return lines


def _early_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which arms ended early, and which kind of interval is shown; nothing if the benchmark cannot end early."""
    known = [(row, row["early_stop"]) for row in rows if row.get("early_stop")]
    if not known:
        return []
    ended = [
        f"{_shown(row['arm'])} {_VERDICTS[row['verdict']]} after {stop['n_items_looked_at']:,} of"
        f" {stop['n_items_planned']:,} items ({stop['n_records_saved']:,} records skipped)"
        for row, stop in known
        if stop["decided"]
    ]
    words = f"ended early: {'; '.join(ended)}" if ended else "no arm was decided early"
    return [_wrapped(f"{words}. Intervals are valid at any number of items (betting sequence).")]


def _look_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which look this is, and whether the intervals allow for the others; nothing for a first whole look."""
    found: dict[str, None] = {}
    for row in rows:
        look = row.get("look")
        if not look or row["arm"].endswith(AA_SUFFIX):
            continue
        name, counts = _shown(row["arm"]), [f"{one['n_items']:,}" for one in look["earlier"]]
        if counts:
            how = (
                "the interval is widened for it"
                if look["allowed_for"]
                else "the interval does not allow for it, and nothing new is claimed"
            )
            found[f"look {look['number']} at {name} (before: {', '.join(counts)} items): {how}"] = None
        if "kept_for_later_looks" in row["verdict_grounds"]:
            part = f"{look['n_items']:,} of {look['planned_items']:,} planned items"
            found[f"{name}: the 95% interval would decide, but {part} may spend only a part of the level"] = None
        elif row["verdict"] == "undecided" and look["allowed_for"] and look["n_items"] < look["planned_items"]:
            found[f"further looks at up to {look['planned_items']:,} items are planned and paid for"] = None
    return [_wrapped(line) for line in found]


def _margin_lines(analysis: Mapping[str, Any]) -> list[str]:
    """Return whether the margins were fixed before the run; nothing if nobody knows."""
    if analysis.get("margins_fixed"):
        return ["The margins were fixed before the run."]
    return [
        _wrapped(
            f"margin {one['margin']} changed from {one['before']} to {one['now']} after"
            f" {one['n_looks_before']} look{'' if one['n_looks_before'] == 1 else 's'} ({one['time'][:16]} UTC;"
            f" {', '.join(one['benchmarks'])})"
        )
        for one in analysis.get("margin_changes", [])
    ]


def _early_total(analysis: Mapping[str, Any]) -> list[str]:
    early = analysis.get("early_stop")
    if not early:
        return []
    saved, planned = early["n_records_saved"], early["n_records_planned"]
    text = f"early stop: {saved:,} of {planned:,} records skipped ({100 * early['share_saved']:.0f}%)"
    return [_wrapped(f"{text} on {', '.join(early['benchmarks'])}")]


def _loss(metric: str, value: float) -> str:
    return f"{value:.4f}" if metric == "nll" else f"{value:.3f}"


# --- verdicts -------------------------------------------------------------------------------------


def _verdict_section(analysis: Mapping[str, Any]) -> str:
    margins = analysis["margins"]
    accuracy, ln_ppl = margins["accuracy"], margins["ln_ppl"]
    title = f"Verdicts (no worse: a loss below {accuracy:g} in accuracy and {ln_ppl:g} in ln PPL, with 95% confidence)"
    lines = [_wrapped(title)]
    if margins.get("relative"):
        lines.append(
            _wrapped(f"  and at most {100 * margins['relative']:g}% of what the reference gets right beyond guessing")
        )
    lines += _margin_lines(analysis)
    # A/A arms only measure the noise floor; nobody would choose one.
    rows = [row for row in analysis["verdicts"] if not row["arm"].endswith(AA_SUFFIX)]
    table = [[_shown(row["arm"]), _VERDICTS[row["verdict"]], _grounds(row)] for row in rows]
    lines += _columns(table, left=(0, 1, 2), last_width=WIDTH)
    lines += [_selection_line(row) for row in analysis["selections"]]
    lines += _pooled_lines(analysis)
    lines += _early_total(analysis)
    lines += [
        _wrapped(
            f"out of order: {_shown(row['larger'])} is worse than the smaller {_shown(row['smaller'])} on"
            f" {row['benchmark']}: {row['difference']:+.4f} [{row['ci95'][0]:+.4f}, {row['ci95'][1]:+.4f}]"
        )
        for row in analysis["out_of_order"]
    ]
    return "\n".join(lines)


def _pooled_lines(analysis: Mapping[str, Any]) -> list[str]:
    """Return the claim on average about each arm, and the smallest arm for which it holds."""
    rows = [[_shown(arm), verdict, value] for arm, verdict, value in pooled_rows(analysis, _VERDICTS)]
    if not rows:
        return []
    smallest = [smallest_on_average(row) for row in analysis["selections"]]
    return [
        _wrapped(pooled_title(analysis)),
        *_columns(rows, left=(0, 1, 2), last_width=WIDTH),
        *(_wrapped(_clean(text)) for text in smallest if text),
    ]


def _grounds(row: Mapping[str, Any]) -> str:
    """Return the benchmarks that an arm's verdict comes from."""
    shown_losses = [name for name in row["measurably_worse_on"] if name in row["no_worse_on"]]
    parts = []
    if row["worse_on"]:
        adjusted = " (before adjustment of p)" if row["verdict"] != "worse" else ""
        parts.append(f"worse on {', '.join(row['worse_on'])}{adjusted}")
    if row["undecided_on"]:
        parts.append(f"undecided on {', '.join(row['undecided_on'])}")
    if row["no_worse_on"] and parts:
        parts.append(f"no worse on {', '.join(row['no_worse_on'])}")
    if shown_losses:
        parts.append(f"a measurable loss within the margin on {', '.join(shown_losses)}")
    if row.get("loss_shown_on"):
        parts.append(f"a loss is shown on {', '.join(row['loss_shown_on'])}, beyond the margin or not is open")
    if row.get("n_unscored") or row.get("n_unscored_reference"):
        of_reference = f", {row['n_unscored_reference']:,} of the reference" if row["n_unscored_reference"] else ""
        parts.append(f"unscored records: {row['n_unscored']:,} of {row['n_records']:,}{of_reference}")
    return "; ".join(parts)


def _selection_line(row: Mapping[str, Any]) -> str:
    """Return a sentence with the smallest arm that is no worse, and the arm at which the testing stopped."""
    chosen, stopped_at = row["smallest_no_worse"], row["stopped_at"]
    source = row["reference_dequantized_from"]
    reference = _shown(row["reference"]) + (f" (the {_shown(source)} source, dequantized)" if source else "")
    text = f"smallest arm that is no worse than {reference}: {_shown(chosen) if chosen else 'none'}"
    if row.get("n_unscored"):
        text += f" (unscored records: {row['n_unscored']:,} of {row['n_records']:,})"
    return _wrapped(f"{text} (tested from the largest down to {_shown(stopped_at)})" if stopped_at else text)


# --- grids ----------------------------------------------------------------------------------------


def _grid_section(grid: Mapping[str, Any]) -> str:
    """Return the main effects, then every pair of importance matrices in each language."""
    title = (
        f"Effects of recipe, importance matrix and language on the loss against {_shown(grid['reference'])}, in ln PPL "
        "(negative: a smaller loss; p adjusted by Holm's method)"
    )
    chunks = ", ".join(f"{name} {count}" for name, count in grid["n_chunks"].items())
    rows = [[*(_shown(cell, _LONGEST_LEVEL) for cell in row[:4]), *row[4:]] for row in grid_table(grid)]
    lines = [_wrapped(title), _wrapped(f"chunks of text: {chunks}"), *_columns(rows, left=(0, 1, 2, 3))]
    lines += [
        _wrapped(f"{_shown(first)} and {_shown(second)} gave the same loss on every chunk: they are the same weights")
        for first, second in grid.get("equal_recipes", [])
    ]
    return "\n".join(lines)


# --- layout ---------------------------------------------------------------------------------------


def display_width(text: str) -> int:
    """Return the number of terminal columns of a text: 2 per wide East Asian character, 0 per combining mark."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _columns(rows: Sequence[Sequence[str]], left: tuple[int, ...], last_width: int | None = None) -> list[str]:
    """Return rows as aligned lines.

    Args:
        rows: the texts; every row has the same number of columns.
        left: indices of the columns that are aligned left. The others are aligned right.
        last_width: if given, longer lines are broken at this width, within the text of the last column.
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
    """Break a text into lines of at most `width` columns, at single spaces. Wider gaps separate columns and stay."""
    lines = [""]
    for word in re.split(r"(?<=\S) (?=\S)", text):
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if display_width(longer) <= width or not lines[-1].strip():
            lines[-1] = longer
        else:
            lines.append(indent + word)
    return lines


def _shown(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name without control characters, cut to at most `longest` terminal columns."""
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
