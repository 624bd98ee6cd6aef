"""Arms that form a grid of recipes and importance matrices, tested on texts of several languages.

A grid is found, not declared: the recipes of one model that were made with the same importance matrices, two at
least. The languages are the perplexity benchmarks. `stats.factorial` computes the effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reporting.cells import interval, number
from reporting.comparisons import Compared, Comparisons, Json
from stats.factorial import Effect, factorial_effects
from stats.intervals import Floats
from stats.paired import Pairing

NO_IMATRIX = "none"


def grid_rows(run: Mapping[str, Any], compared: Comparisons) -> list[Json]:
    """One entry a grid: its levels, and every effect on the loss in ln PPL."""
    rows = []
    for reference, grid in _grids(run):
        recipes, imatrices = list(grid), list(next(iter(grid.values())))
        losses = _losses(compared.rows, reference, grid, imatrices)
        if not losses:
            continue
        rows.append(
            {
                "reference": reference,
                "metric": "nll",
                "recipes": recipes,
                "imatrices": imatrices,
                "languages": list(losses),
                "n_chunks": {name: int(values.shape[0]) for name, values in losses.items()},
                "effects": [_effect_row(effect) for effect in factorial_effects(losses, recipes, imatrices)],
            }
        )
    return rows


def _grids(run: Mapping[str, Any]) -> list[tuple[str, dict[str, dict[str, str]]]]:
    """For each grid its reference, and recipe -> imatrix -> arm; recipes with the same matrices make one grid."""
    by_recipe: dict[tuple[str, str], dict[str, str]] = {}
    for arm in run["arms"]:
        if arm["reference"] is not None and arm["recipe"] is not None and not arm["failed"]:
            matrices = by_recipe.setdefault((arm["reference"], arm["recipe"]), {})
            matrices.setdefault(arm["imatrix"] or NO_IMATRIX, arm["name"])
    grids: dict[tuple[str, tuple[str, ...]], dict[str, dict[str, str]]] = {}
    for (reference, recipe), matrices in by_recipe.items():
        if len(matrices) >= 2:
            levels = tuple(sorted(matrices, key=lambda name: (name != NO_IMATRIX, list(matrices).index(name))))
            grids.setdefault((reference, tuple(sorted(levels))), {})[recipe] = {name: matrices[name] for name in levels}
    return [(reference, grid) for (reference, _), grid in grids.items()]


def _losses(
    rows: Sequence[Compared], reference: str, grid: Mapping[str, Mapping[str, str]], imatrices: Sequence[str]
) -> dict[str, Floats]:
    """By perplexity benchmark: arm minus reference, shape (chunks, recipes, imatrices), of chunks measured in all."""
    losses = {}
    pairings = {
        (one.cell.benchmark["name"], one.cell.arm): one.pairing
        for one in rows
        if one.reference.arm == reference and one.cell.benchmark["metric"] == "nll"
    }
    for benchmark in dict.fromkeys(name for name, _ in pairings):
        cells = [[pairings.get((benchmark, grid[recipe][mix])) for mix in imatrices] for recipe in grid]
        flat = [one for line in cells for one in line]
        if not all(isinstance(one, Pairing) for one in flat):
            continue
        columns = [one.arm_means - one.reference_means for one in flat if isinstance(one, Pairing)]
        values = np.column_stack(columns)
        values = values[~np.isnan(values).any(axis=1)]
        if values.shape[0]:
            losses[benchmark] = values.reshape(-1, len(grid), len(imatrices))
    return losses


def _effect_row(effect: Effect) -> Json:
    return {
        "factors": list(effect.factors),
        "levels": list(effect.levels),
        "baselines": list(effect.baselines),
        "estimate": effect.estimate,
        **interval("ci95", effect.interval),
        **number("p_value", effect.p_value),
        **number("p_adjusted", effect.p_adjusted),
    }
