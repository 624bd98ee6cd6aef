"""Arms that form a grid: main effects and interactions of recipe, importance matrix and language of the test.

The values are losses against the reference, one a chunk of text (ln PPL difference, nats per token): every cell of
the grid was measured on the same chunks of a language, so effects are computed within each chunk and only then
averaged; texts of different languages are independent. Estimand: an effect over all text of these languages, each
language counting the same, for this model: another model may show another.

Each effect is a contrast against the first level of its factor, averaged over the levels of the factors it does not
name; an interaction is a difference of such differences.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from stats.intervals import Floats, Interval, all_equal, t_quantile
from stats.multiplicity import holm
from stats.reasons import Reason

FACTORS = ("recipe", "imatrix", "language")


@dataclass(frozen=True)
class Effect:
    """One main effect or interaction."""

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    """One of each factor..."""
    baselines: tuple[str, ...]
    """...against the factor's first."""
    estimate: float
    interval: Interval | Reason
    p_value: float | Reason
    p_adjusted: float | Reason
    """Holm's, over all effects of the grid."""


@dataclass(frozen=True)
class _Contrast:
    """An effect's weights on the levels of each factor, before anything is measured."""

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    baselines: tuple[str, ...]
    weights: tuple[Floats, ...]
    """By factor, in the order of FACTORS."""


def factorial_effects(
    losses: Mapping[str, Floats], recipes: Sequence[str], imatrices: Sequence[str], *, relative: bool = True
) -> list[Effect]:
    """All effects of a grid, main effects first.

    Args:
        losses: by language, shape (chunks, recipes, imatrices), no NaN; chunks may differ in number.
        recipes: names of the levels, the baseline first.
        imatrices: likewise.
        relative: False where the values are not relative to a reference: effects of the language alone would compare
            texts and not arms, and are left out.
    """
    languages = list(losses)
    found = [_effect(contrast, losses) for contrast in _contrasts((recipes, imatrices, languages), relative=relative)]
    known = [place for place, effect in enumerate(found) if not isinstance(effect.p_value, Reason)]
    adjusted = holm(np.array([found[place].p_value for place in known], dtype=np.float64))
    for place, p_adjusted in zip(known, adjusted.tolist(), strict=True):
        one = found[place]
        found[place] = Effect(
            one.factors, one.levels, one.baselines, one.estimate, one.interval, one.p_value, p_adjusted
        )
    return found


def _contrasts(levels: tuple[Sequence[str], ...], *, relative: bool) -> list[_Contrast]:
    contrasts = []
    for size in range(1, len(FACTORS) + 1):
        for named in itertools.combinations(range(len(FACTORS)), size):
            if not relative and named == (FACTORS.index("language"),):
                continue
            for chosen in itertools.product(*(range(1, len(levels[factor])) for factor in named)):
                weights = [np.full(len(names), 1 / len(names)) for names in levels]
                for factor, level in zip(named, chosen, strict=True):
                    weights[factor] = np.zeros(len(levels[factor]))
                    weights[factor][[0, level]] = -1.0, 1.0
                contrasts.append(
                    _Contrast(
                        tuple(FACTORS[factor] for factor in named),
                        tuple(levels[factor][level] for factor, level in zip(named, chosen, strict=True)),
                        tuple(levels[factor][0] for factor in named),
                        tuple(weights),
                    )
                )
    return contrasts


def _effect(contrast: _Contrast, losses: Mapping[str, Floats]) -> Effect:
    """Σ_l w_l·mean(chunk contrasts of l), SE² = Σ_l w_l²·sd²_l/n_l, degrees of freedom by Welch and Satterthwaite."""
    of_recipe, of_imatrix, of_language = contrast.weights
    estimate, parts, freedoms = 0.0, [], []
    reason: Reason | None = None
    for weight, values in zip(of_language.tolist(), losses.values(), strict=True):
        chunks = np.einsum("cri,r,i->c", values, of_recipe, of_imatrix)  # (chunks,)
        estimate += weight * float(chunks.mean())
        if weight == 0.0:
            continue
        if chunks.size < 2:
            reason = Reason.ONE_ITEM
            continue
        spread = 0.0 if all_equal(chunks) else float(chunks.var(ddof=1))
        parts.append(weight**2 * spread / chunks.size)
        freedoms.append(chunks.size - 1)
    variance = sum(parts)
    if reason is None and variance == 0.0:
        reason = Reason.ZERO_VARIANCE
    name = (contrast.factors, contrast.levels, contrast.baselines)
    if reason is not None:
        return Effect(*name, estimate, reason, reason, reason)
    df = variance**2 / sum(part**2 / free for part, free in zip(parts, freedoms, strict=True))
    error = variance**0.5
    half = t_quantile(df) * error
    p_value = 2 * float(special.stdtr(df, -abs(estimate) / error))
    return Effect(*name, estimate, Interval(estimate - half, estimate + half, "t_welch"), p_value, Reason.NO_P_VALUE)
