"""Arms that form a grid: main effects and interactions of recipe, importance matrix and language of the test.

The values are losses against the reference, one per chunk of text (ln PPL difference, nats per token). Every cell of
the grid was measured on the same chunks of a language, so each effect is computed within each chunk and then averaged.
Texts of different languages are independent. Estimand: an effect over all text of these languages, each language with
the same weight, for this model. Another model may show another effect.

Each effect is a contrast against the first level of its factor, averaged over the levels of the factors that it does
not name. An interaction is a difference of such differences. Contrasts against one level do not show how two other
levels differ, so `pairwise_contrasts` compares every two importance matrices, also within each language.
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
    """The level of each factor that is compared."""
    baselines: tuple[str, ...]
    """The first level of each factor, which `levels` is compared with."""
    estimate: float
    interval: Interval | Reason
    p_value: float | Reason
    p_adjusted: float | Reason
    """Adjusted by Holm's method over all effects that were computed together."""
    within: str | None = None
    """The language to which the effect is limited. None: no limit."""


@dataclass(frozen=True)
class _Contrast:
    """An effect before anything is measured: its weights on the levels of each factor."""

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    baselines: tuple[str, ...]
    weights: tuple[Floats, ...]
    """One array per factor, in the order of FACTORS."""
    within: str | None = None


def factorial_effects(
    losses: Mapping[str, Floats], recipes: Sequence[str], imatrices: Sequence[str], *, relative: bool = True
) -> list[Effect]:
    """Return all effects of a grid, main effects first.

    Args:
        losses: by language, shape (chunks, recipes, imatrices), no NaN. Languages may have different numbers of chunks.
        recipes: names of the levels, the baseline first.
        imatrices: names of the levels, the baseline first.
        relative: False if the values are not relative to a reference. Main effects of the language are then left out,
            because they would compare texts and not arms.
    """
    contrasts = _contrasts((recipes, imatrices, list(losses)), relative=relative)
    return _adjust_p_values([_effect(contrast, losses) for contrast in contrasts])


def pairwise_contrasts(losses: Mapping[str, Floats], recipes: Sequence[str], imatrices: Sequence[str]) -> list[Effect]:
    """Compare every two importance matrices, averaged over the recipes. The earlier one is the baseline.

    There are these contrasts per pair: averaged over the languages; within each language; and, with several languages,
    how much the difference in each further language differs from that in the first one (an interaction). All of them
    together are one family for Holm's adjustment.

    Args: as in `factorial_effects`.
    """
    languages = list(losses)
    found = []
    for first, second in itertools.combinations(range(len(imatrices)), 2):
        for contrast in _pair_contrasts(imatrices, first, second, languages):
            weights = (np.full(len(recipes), 1 / len(recipes)), *contrast.weights)
            found.append(_effect(replace(contrast, weights=weights), losses))
    return _adjust_p_values(found)


def _pair_contrasts(imatrices: Sequence[str], first: int, second: int, languages: Sequence[str]) -> list[_Contrast]:
    """Return the contrasts of one pair. Their weights are those of imatrix and language only."""
    of_pair = _indicator(imatrices, second) - _indicator(imatrices, first)
    levels, baselines = (imatrices[second],), (imatrices[first],)
    mean = np.full(len(languages), 1 / len(languages))
    made = [_Contrast(("imatrix",), levels, baselines, (of_pair, mean))]
    if len(languages) == 1:
        return made
    for place, language in enumerate(languages):
        made.append(_Contrast(("imatrix",), levels, baselines, (of_pair, _indicator(languages, place)), language))
    for place, language in enumerate(languages[1:], 1):
        weights = (of_pair, _indicator(languages, place) - _indicator(languages, 0))
        made.append(_Contrast(("imatrix", "language"), (*levels, language), (*baselines, languages[0]), weights))
    return made


def _indicator(levels: Sequence[str], place: int) -> Floats:
    picked: Floats = np.zeros(len(levels))
    picked[place] = 1.0
    return picked


def _adjust_p_values(found: list[Effect]) -> list[Effect]:
    """Return the same effects, with the p values adjusted by Holm's method over all effects that have one."""
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
    """Estimate one effect: Σ_l w_l·mean(chunk contrasts of language l).

    SE² = Σ_l w_l²·sd²_l/n_l, with degrees of freedom by Welch and Satterthwaite.
    """
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
