"""Effects of a grid: a design with known effects, a case by hand, coverage, degenerate data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from stats.factorial import Effect, factorial_effects, pairwise_contrasts
from stats.intervals import Interval
from stats.reasons import Reason

RECIPES, IMATRICES = ("q4_k_m", "q4_k_l"), ("none", "en", "en-ja4")


def _losses(rng: np.random.Generator, chunks: int = 80, help_ja: float = 0.01) -> dict[str, np.ndarray]:
    """Return losses: q4_k_l adds -.004, imatrices help by .006 and .008, en-ja4 helps Japanese by `help_ja` more."""
    found = {}
    for language, level in (("en", 0.03), ("ja", 0.05)):
        values = level + np.zeros((chunks, 2, 3)) + rng.normal(0, 0.01, size=(chunks, 1, 1))
        values += rng.normal(0, 0.004, size=(chunks, 2, 3))
        values[:, 1, :] -= 0.004
        values[:, :, 1] -= 0.006
        values[:, :, 2] -= 0.008 + (help_ja if language == "ja" else 0.0)
        found[language] = values
    return found


def _named(effects: list[Effect], *levels: str) -> Effect:
    (found,) = [effect for effect in effects if effect.levels == levels]
    return found


def test_every_main_effect_and_interaction_is_there_once() -> None:
    effects = factorial_effects(_losses(np.random.default_rng(1)), RECIPES, IMATRICES)
    # 1 + 2 + 1 main, 2 + 1 + 2 of two factors, 2 of three.
    assert len(effects) == len({(effect.factors, effect.levels) for effect in effects}) == 11
    assert [len(effect.factors) for effect in effects] == [1] * 4 + [2] * 5 + [3] * 2


def test_known_effects_are_found_and_absent_ones_are_not() -> None:
    effects = factorial_effects(_losses(np.random.default_rng(2)), RECIPES, IMATRICES)
    expected = {("q4_k_l",): -0.004, ("en",): -0.006, ("en-ja4",): -0.013, ("en-ja4", "ja"): -0.01}
    for levels, value in expected.items():
        effect = _named(effects, *levels)
        assert effect.estimate == pytest.approx(value, abs=0.002)
        assert isinstance(effect.interval, Interval)
        assert effect.interval.low <= value <= effect.interval.high
        assert isinstance(effect.p_adjusted, float)
        assert effect.p_adjusted < 0.001
    for levels in (("q4_k_l", "en"), ("q4_k_l", "ja"), ("q4_k_l", "en-ja4", "ja")):
        absent = _named(effects, *levels).p_adjusted
        assert isinstance(absent, float)
        assert absent > 0.05


def test_a_case_worked_by_hand() -> None:
    # One recipe, two matrices, one language: differences -1, -3: mean -2, sd sqrt 2, SE 1, t(1) = 12.7062.
    losses = {"en": np.array([[[2.0, 1.0]], [[4.0, 1.0]]])}
    (effect,) = factorial_effects(losses, ("q4_k_m",), ("none", "en"))
    assert (effect.factors, effect.levels, effect.baselines) == (("imatrix",), ("en",), ("none",))
    assert effect.estimate == -2.0
    assert isinstance(effect.interval, Interval)
    assert effect.interval.high == pytest.approx(-2.0 + 12.7062, abs=1e-3)


def test_without_a_reference_languages_are_not_compared() -> None:
    losses = _losses(np.random.default_rng(3))
    effects = factorial_effects(losses, RECIPES, IMATRICES, relative=False)
    assert ("language",) not in {effect.factors for effect in effects}
    assert ("imatrix", "language") in {effect.factors for effect in effects}


def test_noise_common_to_a_chunk_does_not_widen_the_intervals() -> None:
    rng = np.random.default_rng(4)
    losses = _losses(rng)
    shifted = {name: values + rng.normal(0, 5.0, size=(80, 1, 1)) for name, values in losses.items()}
    for one, other in zip(*(factorial_effects(some, RECIPES, IMATRICES) for some in (losses, shifted)), strict=True):
        if "language" not in one.factors or len(one.factors) > 1:
            assert one.estimate == pytest.approx(other.estimate)


def test_intervals_of_an_interaction_cover_it() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        effect = _named(factorial_effects(_losses(rng, chunks=20), RECIPES, IMATRICES), "en-ja4", "ja")
        assert isinstance(effect.interval, Interval)
        covered += effect.interval.low <= -0.01 <= effect.interval.high
    assert 0.92 <= covered / 400 <= 0.98


def test_one_chunk_or_no_spread_has_estimates_without_intervals() -> None:
    one = factorial_effects({"en": np.array([[[2.0, 1.0]]])}, ("q4_k_m",), ("none", "en"))[0]
    assert (one.estimate, one.interval, one.p_value, one.p_adjusted) == (-1.0, *[Reason.ONE_ITEM] * 3)
    same = factorial_effects({"en": np.ones((5, 1, 2))}, ("q4_k_m",), ("none", "en"))[0]
    assert (same.estimate, same.interval) == (0.0, Reason.ZERO_VARIANCE)


def _pair(effects: list[Effect], level: str, baseline: str, within: str | None = None) -> Effect:
    (found,) = [
        effect
        for effect in effects
        if (effect.levels, effect.baselines, effect.within) == ((level,), (baseline,), within)
    ]
    return found


def test_a_pair_worked_by_hand() -> None:
    # Two recipes, three matrices, one language, two chunks. c against b, mean of the recipes: (-1 - 3)/2 = -2 on chunk
    # 1, (-2 - 6)/2 = -4 on chunk 2. Mean -3, sd sqrt 2, SE 1; t(1): 97.5% at 12.7062, p = 2 atan(1/3)/pi = .204833.
    losses = {"en": np.array([[[0.0, 2.0, 1.0], [0.0, 5.0, 2.0]], [[0.0, 3.0, 1.0], [0.0, 7.0, 1.0]]])}
    effects = pairwise_contrasts(losses, ("q4_k_m", "q4_k_l"), ("a", "b", "c"))
    assert [(effect.levels, effect.baselines) for effect in effects] == [
        (("b",), ("a",)),
        (("c",), ("a",)),
        (("c",), ("b",)),
    ]
    pair = effects[2]
    assert pair.estimate == -3.0
    assert isinstance(pair.interval, Interval)
    assert (pair.interval.low, pair.interval.high) == pytest.approx((-3 - 12.7062, -3 + 12.7062), abs=1e-3)
    assert pair.p_value == pytest.approx(2 * np.arctan(1 / 3) / np.pi)
    assert pair.p_value == pytest.approx(0.204833, abs=1e-6)


def test_pairs_within_a_language_are_paired_t_tests_and_differences_between_languages_welch_tests() -> None:
    losses = _losses(np.random.default_rng(7), chunks=25)
    losses["ja"] = losses["ja"][:18]
    effects = pairwise_contrasts(losses, RECIPES, IMATRICES)
    # Per pair: the mean, one in each of two languages, one difference between them.
    assert len(effects) == 3 * 4
    means = {name: values.mean(axis=1) for name, values in losses.items()}  # (chunks, imatrices)
    for language, values in means.items():
        within = _pair(effects, "en-ja4", "en", language)
        assert within.p_value == pytest.approx(scipy_stats.ttest_rel(values[:, 2], values[:, 1]).pvalue)
    (between,) = [effect for effect in effects if effect.levels == ("en-ja4", "ja") and effect.baselines[0] == "en"]
    welch = scipy_stats.ttest_ind(*(means[name][:, 2] - means[name][:, 1] for name in ("ja", "en")), equal_var=False)
    assert between.p_value == pytest.approx(welch.pvalue)
    interval = welch.confidence_interval()
    assert isinstance(between.interval, Interval)
    assert (between.interval.low, between.interval.high) == pytest.approx((interval.low, interval.high))


def test_pairs_show_differences_that_contrasts_against_one_baseline_do_not() -> None:
    losses = _losses(np.random.default_rng(8))
    effects = pairwise_contrasts(losses, RECIPES, IMATRICES)
    main = factorial_effects(losses, RECIPES, IMATRICES)
    against_none = {mix: _named(main, mix).estimate for mix in IMATRICES[1:]}
    pair = _pair(effects, "en-ja4", "en")
    assert pair.estimate == pytest.approx(against_none["en-ja4"] - against_none["en"])
    # Known: -.002 in English, -.012 in Japanese.
    for language, value in (("en", -0.002), ("ja", -0.012)):
        within = _pair(effects, "en-ja4", "en", language)
        assert within.estimate == pytest.approx(value, abs=0.0015)


def test_equal_matrices_rarely_differ_anywhere_in_the_family() -> None:
    rng = np.random.default_rng(9)
    alarms = 0
    for _ in range(300):
        losses = {name: rng.normal(0.03, 0.01, size=(20, 2, 4)) for name in ("en", "ja")}
        effects = pairwise_contrasts(losses, RECIPES, ("none", "en", "en5", "en1-ja4"))
        adjusted = [effect.p_adjusted for effect in effects]
        assert len(adjusted) == 24
        alarms += any(isinstance(value, float) and value < 0.05 for value in adjusted)
    assert alarms / 300 <= 0.08


def test_swapping_two_matrices_reverses_the_sign() -> None:
    losses = _losses(np.random.default_rng(10), chunks=12)
    turned = {name: values[:, :, ::-1] for name, values in losses.items()}
    forward = pairwise_contrasts(losses, RECIPES, IMATRICES)
    backward = pairwise_contrasts(turned, RECIPES, IMATRICES[::-1])
    for first, second in itertools.combinations(IMATRICES, 2):
        for language in (None, "en", "ja"):
            one, other = _pair(forward, second, first, language), _pair(backward, first, second, language)
            assert one.estimate == pytest.approx(-other.estimate)
            assert one.p_adjusted == pytest.approx(other.p_adjusted)
