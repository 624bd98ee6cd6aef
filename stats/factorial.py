"""Arms that form a grid: main effects and interactions of recipe, importance matrix and language of the test.

The values are losses against the reference, one a chunk of text (ln PPL difference, nats per token): every cell of
the grid was measured on the same chunks of a language, so effects are computed within each chunk and only then
averaged; texts of different languages are independent. Estimand: an effect over all text of these languages, each
language counting the same, for this model: another model may show another.

Each effect is a contrast against the first level of its factor, averaged over the levels of the factors it does not
name; an interaction is a difference of such differences. Contrasts against one level do not say how two others
differ, so `pairwise_contrasts` sets every two importance matrices against each other, in each language too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
    """Holm's, over all effects that were computed together."""
    within: str | None = None
    """The language in which it holds; None: as `factors` say."""


@dataclass(frozen=True)
class _Contrast:
    """An effect's weights on the levels of each factor, before anything is measured."""

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    baselines: tuple[str, ...]
    weights: tuple[Floats, ...]
    """By factor, in the order of FACTORS."""
    within: str | None = None


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
    contrasts = _contrasts((recipes, imatrices, list(losses)), relative=relative)
    return _adjusted([_effect(contrast, losses) for contrast in contrasts])


def pairwise_contrasts(losses: Mapping[str, Floats], recipes: Sequence[str], imatrices: Sequence[str]) -> list[Effect]:
    """Every two importance matrices against each other, averaged over the recipes; the earlier one is the baseline.

    For each pair: averaged over the languages, within each language, and, of several, by how much it differs between
    each further language and the first (an interaction). All of these are one family for Holm's adjustment.
    Arguments as in `factorial_effects`.
    """
    languages = list(losses)
    found = []
    for first, second in itertools.combinations(range(len(imatrices)), 2):
        for contrast in _of_pair(imatrices, first, second, languages):
            weights = (np.full(len(recipes), 1 / len(recipes)), *contrast.weights)
            found.append(_effect(replace(contrast, weights=weights), losses))
    return _adjusted(found)


def _of_pair(imatrices: Sequence[str], first: int, second: int, languages: Sequence[str]) -> list[_Contrast]:
    """Contrasts of one pair, their weights those of imatrix and language."""
    of_pair = _pick(imatrices, second) - _pick(imatrices, first)
    levels, baselines = (imatrices[second],), (imatrices[first],)
    mean = np.full(len(languages), 1 / len(languages))
    made = [_Contrast(("imatrix",), levels, baselines, (of_pair, mean))]
    if len(languages) == 1:
        return made
    for place, language in enumerate(languages):
        made.append(_Contrast(("imatrix",), levels, baselines, (of_pair, _pick(languages, place)), language))
    for place, language in enumerate(languages[1:], 1):
        weights = (of_pair, _pick(languages, place) - _pick(languages, 0))
        made.append(_Contrast(("imatrix", "language"), (*levels, language), (*baselines, languages[0]), weights))
    return made


def _pick(levels: Sequence[str], place: int) -> Floats:
    picked: Floats = np.zeros(len(levels))
    picked[place] = 1.0
    return picked


def _adjusted(found: list[Effect]) -> list[Effect]:
    """The same effects with p values adjusted by Holm over all of them that have one."""
    known = [place for place, effect in enumerate(found) if not isinstance(effect.p_value, Reason)]
    adjusted = holm(np.array([found[place].p_value for place in known], dtype=np.float64))
    by_place = dict(zip(known, adjusted.tolist(), strict=True))
    return [
        replace(effect, p_adjusted=by_place[place]) if place in by_place else effect
        for place, effect in enumerate(found)
    ]


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
        return Effect(*name, estimate, reason, reason, reason, contrast.within)
    df = variance**2 / sum(part**2 / free for part, free in zip(parts, freedoms, strict=True))
    error = variance**0.5
    half = t_quantile(df) * error
    p_value = 2 * float(special.stdtr(df, -abs(estimate) / error))
    interval = Interval(estimate - half, estimate + half, "t_welch")
    return Effect(*name, estimate, interval, p_value, Reason.NO_P_VALUE, contrast.within)
