"""The summary that the pipeline prints at its end: plain text, in English, at most 120 columns wide.

It has one section for the arms and one section per benchmark. An interval without its n is misleading, and the
intervals and counts of all benchmarks do not fit side by side. All numbers come from the two result files. Names are
cut, and control characters are replaced, so that a name from a model file cannot control the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reporting.advice import advice, worse_arms
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.terminal.divergence_table import divergence_table
from reporting.terminal.grid_table import grid_table
from reporting.terminal.layout import clean, columns, short_name, wrapped
from reporting.terminal.open_verdicts import NAMED, OPEN, needed
from reporting.terminal.verdict_section import VERDICTS, verdict_section
from reporting.wording import Words

_LONGEST_LEVEL = 18
"""Longest name of a level in a grid. The table of a grid has four columns of names beside the numbers."""
_NONE = "-"
_NO_SPEED = {"machine_busy": "the machine was busy", "machine_not_watched": "the machine's load is unknown"}


def summary_table(comparison: Mapping[str, Any], analysis: Mapping[str, Any]) -> str:
    """Return the summary of both result files, without a line end after the last line.

    Args:
        comparison: `quantization_comparison.json`.
        analysis: `statistical_analysis.json`.
    """
    sections = [_arms_section(comparison)]
    for benchmark in comparison["benchmarks"]:
        others = [row for row in analysis.get("score_comparisons", ()) if row["benchmark"] == benchmark["name"]]
        sections.append(_benchmark_section(benchmark, comparison["results"], analysis["comparisons"], others))
    if analysis.get("verdicts"):
        sections.append(verdict_section(analysis))
    sections += [_grid_section(grid) for grid in analysis.get("factorial", []) if "contrasts" in grid]
    sections.append(
        wrapped(
            "Brackets: 95% intervals, with the benchmark as a sample of questions. diff: arm minus reference, over"
            " items scored in both. runs: 1.96 sigma/sqrt(runs), sampling noise only. n: scored items. verdict: on this"
            " benchmark, by the margin." + _noise_floor_words(comparison),
        )
    )
    worse = worse_arms(comparison, analysis["comparisons"])
    if worse:
        sections.append("\n".join(wrapped(clean(advice(Words("en"), one))) for one in worse))
    return "\n\n".join(sections)


def _noise_floor_words(comparison: Mapping[str, Any]) -> str:
    """Return a sentence that explains the A/A arms; nothing if there are none."""
    names = [short_name(arm["name"]) for arm in comparison["arms"] if arm["name"].endswith(AA_SUFFIX)]
    return f" {', '.join(names)}: the reference in another batch layout (the noise floor)." if names else ""


def _arms_section(comparison: Mapping[str, Any]) -> str:
    speeds = {row["arm"]: row for row in comparison["performance"]}
    rates = {arm: row["decode_tokens_per_second"] for arm, row in speeds.items()}
    rows = [["arm", "model", "MiB", "bits/weight", "reference", "tokens/s"]]
    for arm in comparison["arms"]:
        size, bits, rate = arm["size_bytes"], arm["bits_per_weight"], rates.get(arm["name"])
        rows.append(
            [
                short_name(arm["name"]),
                short_name(arm["model"]),
                _NONE if size is None else f"{size / 2**20:.1f}",
                _NONE if bits is None else f"{bits:.2f}",
                short_name(arm["reference"] or _NONE),
                _NONE if rate is None else f"{rate:.0f}",
            ]
        )
    lines = columns(rows, left=(0, 1, 4))
    for reason, why in _NO_SPEED.items():
        arms = [arm for arm, row in speeds.items() if row["decode_tokens_per_second_reason"] == reason]
        lines += [wrapped(f"tokens/s not measured: {why} ({', '.join(map(short_name, arms))})")] if arms else []
    for model in comparison["models"]:
        if model["dequantized_from"]:
            name = short_name(model["name"])
            given = short_name(model["dequantized_from"])
            lines.append(wrapped(f"{name} was given as {given}, so all arms made here come from dequantized weights."))
    lines += [_budget_line(arm) for arm in comparison["arms"] if arm.get("budget")]
    lines += [
        wrapped(f"failed: {short_name(arm['name'])}: {clean(str(arm['failed']))[:200]}")
        for arm in comparison["arms"]
        if arm["failed"]
    ]
    return "\n".join(lines)


def _budget_line(arm: Mapping[str, Any]) -> str:
    budget = arm["budget"]
    text = (
        f"{short_name(arm['name'])}: {budget['added_bpw']:+.3f} bits/weight over plain {short_name(str(arm['method']))}"
    )
    if budget["predicted_error"] is not None:
        text += f", predicted error {budget['predicted_error']:.3g} (plain: {budget['predicted_error_base']:.3g})"
    if budget["control"]:
        text += "; a control: bits spent without measuring"
    return wrapped(text)


def _benchmark_section(
    benchmark: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    comparisons: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
) -> str:
    name = benchmark["name"]
    shown_metric = "perplexity" if benchmark["metric"] == "nll" else benchmark["metric"]
    own = [row for row in results if row["benchmark"] == name]
    differences = {row["arm"]: row for row in comparisons if row["benchmark"] == name}
    direction = "higher" if benchmark["higher_is_better"] else "lower"
    runs = "no sampling" if benchmark["deterministic"] else f"{len(benchmark['seeds'])} runs"
    items = f"{benchmark['n_items']} of {benchmark['n_items_total']} items"
    title = f"{name}: {short_name(shown_metric)}, {direction} is better; {items}, {runs}"
    score = benchmark.get("verdict_score", benchmark["metric"])
    difference = "diff in ln PPL" if score == "nll" else "diff" if score == benchmark["metric"] else f"diff in {score}"
    # Without sampling there is no spread between runs. The title says so, and the column is left out: no ±0.
    sampled = [] if benchmark["deterministic"] else ["runs"]
    table = [["arm", "mean", "95% CI", *sampled, "n", difference, "95% CI", "d", "verdict"]]
    primary = [row for row in own if row["primary"]]
    shown = {row["arm"]: row for row in own if row["metric"] == shown_metric}
    for row in primary:
        table.append(_benchmark_row(row, shown[row["arm"]], differences.get(row["arm"])))
    lines = [title, *columns(table, left=(0, len(table[0]) - 1))]
    lines += _divergence_lines(own)
    lines += _score_lines(others)
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
    row = [short_name(primary["arm"]), mean, _bracket(shown["ci95"], f".{places}f")]
    if not primary["deterministic"]:
        bar = primary["error_bar_runs"]
        row.append(_NONE if bar is None else f"±{bar:.3f}")
    row.append(str(primary["n_items"]))
    if against is None:
        return [*row, _NONE, _NONE, _NONE, _NONE]
    signed = "+.3f" if against["metric"] == primary["metric"] != "nll" else "+.4f"
    difference = _NONE if against["difference"] is None else format(against["difference"], signed)
    effect = _NONE if against["cohens_d"] is None else format(against["cohens_d"], "+.2f")
    verdict = VERDICTS[against["verdict"]] if against.get("verdict") else _NONE
    return [*row, difference, _bracket(against["ci95"], signed), effect, verdict]


def _bracket(interval: Sequence[float] | None, form: str) -> str:
    return _NONE if interval is None else f"[{interval[0]:{form}}, {interval[1]:{form}}]"


def _unscored_line(row: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{short_name(reason)} {count}" for reason, count in row["unscored_reasons"].items())
    return wrapped(f"unscored: {short_name(row['arm'])} {row['n_unscored']} of {row['n_records']} records ({reasons})")


def _uncompared_line(row: Mapping[str, Any]) -> str:
    arm, reference = short_name(row["arm"]), short_name(row["reference"])
    return wrapped(f"not compared: {arm} with {reference} ({row['difference_reason']})")


# --- lines below a benchmark's table --------------------------------------------------------------


def _divergence_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of divergence: how far the arms' predictions of a text are from the reference's."""
    rows = divergence_table(results)
    return columns([[short_name(row[0]), *row[1:]] for row in rows], left=(0,)) if rows else []


def _score_lines(others: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line per score that no verdict goes by, with the difference of each arm."""
    lines = []
    for metric in dict.fromkeys(row["metric"] for row in others):
        known = [row for row in others if row["metric"] == metric and row["difference"] is not None]
        parts = [f"{short_name(row['arm'])} {row['difference']:+.4f} {_bracket(row['ci95'], '+.4f')}" for row in known]
        lines += [wrapped(f"diff in {metric}: {', '.join(parts)}")] if parts else []
    return lines


def _flip_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line with the share of flipped answers of each arm, and the noise floor."""
    known = [row for row in rows if row.get("flips")]
    if not known:
        return []
    flipped = ", ".join(f"{short_name(row['arm'])} {100 * row['flips']['flipped']:.1f}%" for row in known)
    floors = [row["flips"]["noise_floor"] for row in known if row["flips"]["noise_floor"] is not None]
    floor = f"noise floor {100 * floors[0]:.1f}%" if floors else "noise floor not measured"
    return [wrapped(f"flipped answers: {flipped} ({floor})")]


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
            parts.append(f"{short_name(row['arm'])} {needed(row)}")
    if parts:
        lines.append(wrapped(f"needed to decide, in all (even chances to 80%): {'; '.join(parts)}"))
    lines += [
        wrapped(f"{short_name(row['arm'])}: {'; '.join(OPEN[ground] for ground in row['verdict_grounds'])}")
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
        f"{short_name(row['arm'])} {VERDICTS[row['verdict']]} after {stop['n_items_looked_at']:,} of"
        f" {stop['n_items_planned']:,} items ({stop['n_records_saved']:,} records skipped)"
        for row, stop in known
        if stop["decided"]
    ]
    words = f"ended early: {'; '.join(ended)}" if ended else "no arm was decided early"
    return [wrapped(f"{words}. Intervals are valid at any number of items (betting sequence).")]


def _look_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which look this is, and whether the intervals allow for the others; nothing for a first whole look."""
    found: dict[str, None] = {}
    for row in rows:
        look = row.get("look")
        if not look or row["arm"].endswith(AA_SUFFIX):
            continue
        name, counts = short_name(row["arm"]), [f"{one['n_items']:,}" for one in look["earlier"]]
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
    return [wrapped(line) for line in found]


def _loss(metric: str, value: float) -> str:
    return f"{value:.4f}" if metric == "nll" else f"{value:.3f}"


# --- grids ----------------------------------------------------------------------------------------


def _grid_section(grid: Mapping[str, Any]) -> str:
    """Return the main effects, then every pair of importance matrices in each language."""
    title = (
        f"Effects of recipe, importance matrix and language on the loss against {short_name(grid['reference'])},"
        " in ln PPL (negative: a smaller loss; p adjusted by Holm's method)"
    )
    chunks = ", ".join(f"{name} {count}" for name, count in grid["n_chunks"].items())
    rows = [[*(short_name(cell, _LONGEST_LEVEL) for cell in row[:4]), *row[4:]] for row in grid_table(grid)]
    lines = [wrapped(title), wrapped(f"chunks of text: {chunks}"), *columns(rows, left=(0, 1, 2, 3))]
    lines += [
        wrapped(
            f"{short_name(first)} and {short_name(second)} gave the same loss on every chunk: they are the same weights"
        )
        for first, second in grid.get("equal_recipes", [])
    ]
    return "\n".join(lines)
