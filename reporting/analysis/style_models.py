"""How the length of answers shifts across models: is it related to how long a model's answers are, and to its score?

A point is one model under one recipe, so models count once each. Lengths are in characters, because the tokens of
different vocabularies do not compare, and shifts are relative, because models differ in how much they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reporting.analysis.fields import Json
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.analysis.style_rows import association
from stats.association import rank_correlation

FEWEST_MODELS = 3
"""Of two models nothing can be said that their own rows do not say."""


def shifts_across_models(run: Mapping[str, Any], rows: Sequence[Json]) -> list[Json]:
    """Return one entry per benchmark and recipe that several models share, in the run's order.

    Args:
        run: the run's description.
        rows: what `reporting.analysis.style_rows.style_rows` returned.
    """
    arms = {str(arm["name"]): arm for arm in run["arms"]}
    groups: dict[tuple[str, str | None], dict[str, Json]] = {}
    for row in rows:
        arm = arms[row["arm"]]
        shift = next((one for one in row["shifts"] if one["unit"] == "characters"), None)
        if shift is None or shift["relative"] is None or row["arm"].endswith(AA_SUFFIX):
            continue
        point = {
            "arm": row["arm"],
            "model": arm["model"],
            "reference_mean": shift["reference_mean"],
            "relative": shift["relative"],
            "score_difference": shift["score_difference"],
        }
        groups.setdefault((row["benchmark"], arm["recipe"]), {}).setdefault(str(arm["model"]), point)
    return [
        _entry(benchmark, recipe, list(points.values()))
        for (benchmark, recipe), points in groups.items()
        if len(points) >= FEWEST_MODELS
    ]


def _entry(benchmark: str, recipe: str | None, points: list[Json]) -> Json:
    lengths, shifts = (np.array([one[name] for one in points]) for name in ("reference_mean", "relative"))
    gains = np.array([np.nan if one["score_difference"] is None else one["score_difference"] for one in points])
    scored = ~np.isnan(gains)
    return {
        "benchmark": benchmark,
        "recipe": recipe,
        "unit": "characters",
        "points": points,
        "against_length": association(rank_correlation(lengths, shifts)),
        "against_score": association(rank_correlation(shifts[scored], gains[scored])),
    }
