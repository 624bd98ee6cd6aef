"""Arms that form a grid of recipes and importance matrices, tested on texts of several languages.

Nobody declares a grid: it is found. It consists of the recipes of one model that were made with the same importance
matrices, at least two. The languages are the perplexity benchmarks. `stats.factorial` computes the effects. A published
file does not belong to a grid, because nothing says what its matrix was made of.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reporting.analysis.comparisons import Compared, Comparisons
from reporting.analysis.fields import Json, interval, number
from stats.factorial import Effect, factorial_effects, pairwise_contrasts
from stats.intervals import Floats
from stats.paired import Pairing

NO_IMATRIX = "none"

GridArms = Mapping[str, Mapping[str, str]]
"""Recipe -> importance matrix -> name of the arm."""


def grid_rows(run: Mapping[str, Any], compared: Comparisons) -> list[Json]:
    """Return one entry per grid: its levels, and every effect on the loss in ln PPL."""
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
                "cells": [
                    {"recipe": recipe, "imatrix": mix, "arm": arm}
                    for recipe in grid
                    for mix, arm in grid[recipe].items()
                ],
                "equal_recipes": _equal_recipes(losses, recipes),
                "effects": [_effect_row(effect) for effect in factorial_effects(losses, recipes, imatrices)],
                "contrasts": [
                    _effect_row(effect)
                    | {"within": effect.within, "differs_in": _differs_in(run, effect.baselines[0], effect.levels[0])}
                    for effect in pairwise_contrasts(losses, recipes, imatrices)
                ],
            }
        )
    return rows


def _equal_recipes(losses: Mapping[str, Floats], recipes: Sequence[str]) -> list[list[str]]:
    """Return pairs of recipes with exactly the same loss on every chunk: they give this model the same weights.

    For example, if output and token embedding are one tensor that q4_k_m already keeps in q8_0, then q4_k_l is equal to
    q4_k_m.
    """
    pairs = itertools.combinations(range(len(recipes)), 2)
    return [
        [recipes[first], recipes[second]]
        for first, second in pairs
        if all(np.array_equal(values[:, first], values[:, second]) for values in losses.values())
    ]


def _differs_in(run: Mapping[str, Any], first: str, second: str) -> list[str] | None:
    """Return what two matrices differ in: the amount of calibration text, the text itself, both, or nothing.

    Return None if one of them stands for "no matrix", or came as a file that does not say what it was made from.
    """
    made = {one["name"]: one for one in run["imatrices"]}
    if not all(name in made and made[name]["texts"] and made[name]["n_tokens"] for name in (first, second)):
        return None
    one, other = made[first], made[second]
    shares, other_shares = _shares(one), _shares(other)
    # Texts contribute whole chunks: in the same mix at another size, a text's share may be off by one chunk.
    step = 1 / min(one["n_chunks"], other["n_chunks"])
    # The same file read by other rules (for example through a chat template) is another text.
    same_text = one.get("rules") == other.get("rules") and all(
        abs(shares.get(text, 0.0) - other_shares.get(text, 0.0)) <= step for text in {*shares, *other_shares}
    )
    parts = [] if one["n_tokens"] == other["n_tokens"] else ["amount"]
    return parts + ([] if same_text else ["text"])


def _shares(matrix: Mapping[str, Any]) -> dict[str, float]:
    """Return each text's share of the chunks, by the hash of the text."""
    shares: dict[str, float] = {}
    for text in matrix["texts"]:
        shares[text["sha256"]] = shares.get(text["sha256"], 0.0) + text.get("n_chunks", 0) / matrix["n_chunks"]
    return shares


def _grids(run: Mapping[str, Any]) -> list[tuple[str, GridArms]]:
    """Return each grid with its reference. Recipes with the same set of matrices form one grid."""
    by_recipe: dict[tuple[str, str], dict[str, str]] = {}
    for arm in run["arms"]:
        published = arm.get("method") is None and arm.get("fallbacks") is None
        if arm["reference"] is not None and arm["recipe"] is not None and not arm["failed"] and not published:
            matrices = by_recipe.setdefault((arm["reference"], arm["recipe"]), {})
            matrices.setdefault(arm["imatrix"] or NO_IMATRIX, arm["name"])
    grids: dict[tuple[str, tuple[str, ...]], dict[str, dict[str, str]]] = {}
    for (reference, recipe), matrices in by_recipe.items():
        if len(matrices) >= 2:
            levels = tuple(sorted(matrices, key=lambda name: (name != NO_IMATRIX, list(matrices).index(name))))
            grids.setdefault((reference, tuple(sorted(levels))), {})[recipe] = {name: matrices[name] for name in levels}
    return [(reference, grid) for (reference, _), grid in grids.items()]


def _losses(rows: Sequence[Compared], reference: str, grid: GridArms, imatrices: Sequence[str]) -> dict[str, Floats]:
    """Return arm minus reference for each perplexity benchmark, over the chunks that were measured in all arms.

    The arrays have the shape (chunks, recipes, imatrices).
    """
    losses = {}
    pairings = {
        (one.arm.benchmark["name"], one.arm.name): one.pairing
        for one in rows
        if one.reference.name == reference and one.arm.benchmark["kind"] == "measure"
    }
    for benchmark in dict.fromkeys(name for name, _ in pairings):
        found = [pairings.get((benchmark, grid[recipe][mix])) for recipe in grid for mix in imatrices]
        if not all(isinstance(one, Pairing) for one in found):
            continue
        columns = [one.arm_means - one.reference_means for one in found if isinstance(one, Pairing)]
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
