"""The verdict box of the terminal: which file to take, what each one costs, what is undecided, and what to try.

A terminal scrolls, so what a person sees when a job ends is its last lines. The box is therefore printed last, right
above the paths, and the tables that it rests on scroll away above it. Together with the paths it has to fit a screen of
40 lines: with many files, each gets one line with its first cost, and with many open benchmarks some are only counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reporting.advice import advice, worse_arms
from reporting.terminal.layout import WIDTH, aligned, clean, columns, display_width, short_name, wrapped
from reporting.verdict_box import Cost, FileCost, VerdictBox, verdict_boxes
from reporting.wording import DASH, Words

_MOST_COST_LINES = 16
"""If the costs of all files take more lines, each file gets one line."""
_MOST_FULL_BOXES = 3
"""With more boxes, each is only its headline."""
_MOST_OPEN_LINES = 8
"""Lines for what is undecided, and for what to try."""


def verdict_text(comparison: Mapping[str, Any], analysis: Mapping[str, Any]) -> str:
    """Return the boxes of all references, without a line end after the last line; empty if there are no verdicts.

    Args:
        comparison: `quantization_comparison.json`.
        analysis: `statistical_analysis.json`.
    """
    words = Words("en")
    boxes = verdict_boxes(comparison, analysis, words)
    worse = worse_arms(comparison, analysis)
    lines: list[str] = []
    for box in boxes:
        lines.append(_rule(f"Verdict on {box.model}" if len(boxes) > 1 else "Verdict"))
        lines.append(wrapped(clean(box.headline), later=""))
        if len(boxes) > _MOST_FULL_BOXES:
            continue
        lines += _cost_lines(box)
        own = [clean(advice(words, one)) for one in worse if one.reference == box.reference]
        lines += _limited([clean(text) for text in box.undecided], "benchmarks") + _limited(own, "files")
    if len(boxes) > _MOST_FULL_BOXES:
        more = "The report says what each file costs, what would decide the undecided ones, and what to try."
        lines += ["─" * WIDTH, wrapped(more)]
    return "\n".join([*lines, "─" * WIDTH]) if lines else ""


def _rule(title: str) -> str:
    name = short_name(title, WIDTH - 8)
    return f"── {name} {'─' * (WIDTH - 4 - display_width(name))}"


def _cost_lines(box: VerdictBox) -> list[str]:
    """Return what each file costs: a line per cost, or a line per file if these are too many for the screen."""
    if not box.files:
        return []
    rows = [[cost.value, cost.interval, _basis(cost)] for file in box.files for cost in file.costs]
    shown = iter(aligned(rows, left=(1,), folded=True, indent=2) if rows else [])
    heads = columns([_head(file) for file in box.files], left=(0, 3))
    lines = []
    for head, file in zip(heads, box.files, strict=True):
        lines.append(head)
        lines += [line for _ in file.costs for line in next(shown)]
    return lines if len(lines) <= _MOST_COST_LINES else _short_cost_lines(box.files)


def _head(file: FileCost) -> list[str]:
    bits = "" if file.bits_per_weight == DASH else f"{file.bits_per_weight} bits/weight"
    return [short_name(file.arm), "unknown size" if file.size == DASH else file.size, bits, file.verdict_word]


def _basis(cost: Cost) -> str:
    """Return what was compared, and over how much."""
    return f"{clean(cost.what)}; {cost.n}"


def _short_cost_lines(files: Sequence[FileCost]) -> list[str]:
    """Return one line per file with its first cost and its KL divergence, and what that cost is."""
    table: list[list[str]] = []
    what: dict[str, None] = {}
    for file in files:
        first = file.costs[0] if file.costs else Cost("", "", "", "")
        divergences = [cost.value for cost in file.costs[1:] if cost.what.startswith("KLD")]
        divergence = f"KLD {divergences[0]}" if divergences else ""
        table.append([short_name(file.arm), file.size, file.verdict_word, first.value, first.interval, divergence])
        if file.costs:
            what[_basis(first)] = None
    shown = f"The differences are in {' or '.join(what)}. " if what else ""
    return [*columns(table, left=(0, 2)), wrapped(f"{shown}The report shows all differences.")]


def _limited(sentences: Sequence[str], what: str) -> list[str]:
    """Return the first sentences, as many as there is room for and at least one, and how many there are besides."""
    lines: list[str] = []
    for number, sentence in enumerate(sentences):
        folded = wrapped(sentence).splitlines()
        if number and len(lines) + len(folded) > _MOST_OPEN_LINES:
            n_more = len(sentences) - number
            return [*lines, f"The report says the same of {n_more} more {what if n_more > 1 else what[:-1]}."]
        lines += folded[:_MOST_OPEN_LINES]
        if len(folded) > _MOST_OPEN_LINES:
            lines[-1] = f"{lines[-1]} …"
    return lines
