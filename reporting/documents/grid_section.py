"""The section about a grid of recipes, importance matrices and test languages: its tables with their sentences."""

from __future__ import annotations

from dataclasses import dataclass

from reporting.documents.sentences.grids import grid_definition, grid_sentences
from reporting.documents.tables.grids import contrasts_table, effects_table, mixes_table
from reporting.documents.tables.results import Table
from reporting.results_folder import Findings, Json
from reporting.wording import Words

_SCORECARD_FACTORS = (["recipe"], ["imatrix"], ["language"], ["imatrix", "language"])
"""The effects that the scorecard has room for. The report has all of them."""


@dataclass(frozen=True)
class GridSection:
    """The tables and sentences of one grid."""

    reference: str
    definition: str
    """What loss, effect and baseline mean here."""
    sentences: tuple[str, ...]
    """Sizes of the texts, recipes with equal results, and what the contrasts show."""
    mixes: Table
    effects: Table
    scorecard_effects: Table
    """Main effects, and the interaction of matrix and language."""
    contrasts: Table
    separates_text_from_amount: bool
    """True if two matrices differ only in their text, so that its effect can be told apart from that of the amount."""


def grid_sections(findings: Findings, words: Words) -> tuple[GridSection, ...]:
    """Return one section per grid that has contrasts; none for an older results file without them."""
    grids = [] if findings.analysis is None else findings.analysis.get("factorial", [])
    return tuple(_grid_section(findings, words, grid) for grid in grids if "contrasts" in grid)


def _grid_section(findings: Findings, words: Words, grid: Json) -> GridSection:
    shown = [row for row in grid["effects"] if not _compares_equal_recipes(row, grid.get("equal_recipes", []))]
    on_scorecard = [row for row in shown if row["factors"] in _SCORECARD_FACTORS]
    return GridSection(
        reference=grid["reference"],
        definition=grid_definition(findings, words, grid),
        sentences=tuple(grid_sentences(findings, words, grid)),
        mixes=mixes_table(findings, words, grid),
        effects=effects_table(words, shown),
        scorecard_effects=effects_table(words, on_scorecard),
        contrasts=contrasts_table(words, grid["contrasts"]),
        separates_text_from_amount=any(row["differs_in"] == ["text"] for row in grid["contrasts"]),
    )


def _compares_equal_recipes(row: Json, equal_recipes: list[list[str]]) -> bool:
    """Return True for an effect between two recipes that make the same weights: it is 0, and a sentence says so."""
    return "recipe" in row["factors"] and [row["baselines"][0], row["levels"][0]] in equal_recipes
