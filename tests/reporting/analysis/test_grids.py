"""Grids of recipes and importance matrices: which arms belong to one, its effects, its contrasts."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import polars as pl
import pytest

from reporting.analysis.results import build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from reporting.validate import validate
from tests.reporting.sample_run import SampleRun, sample_run
from tests.reporting.study_run import ENGLISH, JAPANESE, LOSS, MATRICES, RECIPES, study_results, study_run


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


@pytest.fixture(scope="module")
def grid() -> dict[str, Any]:
    validate("statistical_analysis", study_results().analysis)
    found: dict[str, Any]
    (found,) = study_results().analysis["factorial"]
    return found


def _contrast(grid: dict[str, Any], level: str, baseline: str, within: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = [
        row
        for row in grid["contrasts"]
        if (row["levels"], row["baselines"], row["within"]) == ([level], [baseline], within)
    ]
    return found


def test_a_published_file_is_compared_but_does_not_belong_to_the_grid(grid: dict[str, Any]) -> None:
    assert len(grid["cells"]) == len(RECIPES) * len(MATRICES)
    assert "published" not in {cell["arm"] for cell in grid["cells"]}
    assert "published" in {row["arm"] for row in study_results().analysis["comparisons"]}


def test_recipes_that_make_the_same_weights_are_named(grid: dict[str, Any]) -> None:
    assert grid["equal_recipes"] == [["q4_k_m", "q4_k_l"]]
    (twin,) = [row for row in grid["effects"] if row["levels"] == ["q4_k_l"]]
    assert (twin["estimate"], twin["ci95"], twin["ci95_reason"]) == (0.0, None, "zero_variance")


@pytest.mark.parametrize(
    ("level", "baseline", "differs_in"),
    [
        ("en5", "en", ["amount"]),
        ("en1-ja4", "en5", ["text"]),
        ("en1-ja4", "en", ["amount", "text"]),
        ("en", "none", None),
    ],
)
def test_contrasts_find_the_known_effects_and_say_what_differs(
    grid: dict[str, Any], level: str, baseline: str, differs_in: list[str] | None
) -> None:
    for language in (ENGLISH, JAPANESE):
        row = _contrast(grid, level, baseline, language)
        assert row["differs_in"] == differs_in
        assert row["estimate"] == pytest.approx(LOSS[language][level] - LOSS[language][baseline], abs=0.004)


def test_contrasts_between_languages_are_included(grid: dict[str, Any]) -> None:
    (row,) = [
        one
        for one in grid["contrasts"]
        if one["levels"] == ["en1-ja4", JAPANESE] and one["baselines"] == ["en5", ENGLISH]
    ]
    inside = [_contrast(grid, "en1-ja4", "en5", language)["estimate"] for language in (JAPANESE, ENGLISH)]
    assert row["estimate"] == pytest.approx(inside[0] - inside[1])
    assert (row["within"], row["factors"]) == (None, ["imatrix", "language"])


def test_for_a_matrix_given_as_a_file_the_difference_is_unknown() -> None:
    run, records, timings = study_run()
    run = copy.deepcopy(run)
    run["imatrices"] = [one for one in run["imatrices"] if one["name"] != "en5"]
    (grid,) = build_results(run, records, timings).analysis["factorial"]
    assert _contrast(grid, "en5", "en", ENGLISH)["differs_in"] is None


def test_the_same_file_read_by_other_rules_counts_as_another_text() -> None:
    run, records, timings = study_run()
    run = copy.deepcopy(run)
    (control,) = [one for one in run["imatrices"] if one["name"] == "en5"]
    control["rules"] = control["rules"] | {"chat_template": not control["rules"]["chat_template"]}
    (grid,) = build_results(run, records, timings).analysis["factorial"]
    assert _contrast(grid, "en5", "en", ENGLISH)["differs_in"] == ["amount", "text"]


def test_a_grid_of_recipes_and_matrices_is_found_with_its_effects(sample: SampleRun) -> None:
    rng = np.random.default_rng(6)
    level = rng.normal(3.0, 0.3, size=(60, 1))
    names = [(recipe, mix) for recipe in ("q4_k_m", "q4_k_l") for mix in ("none", "en", "en-ja4")]
    loss = {"none": 0.03, "en": 0.02, "en-ja4": 0.02}
    plain = sample.run["arms"][2]
    arms = [plain | {"name": "f16", "reference": None, "recipe": "f16", "imatrix": None}]
    arms += [
        plain
        | {"name": f"{recipe}+{mix}", "recipe": recipe, "imatrix": None if mix == "none" else mix, "reference": "f16"}
        for recipe, mix in names
    ]
    benchmarks = sample.run["benchmarks"][2:]
    rows = []
    for benchmark in benchmarks:
        for arm in arms:
            added = loss[arm["imatrix"] or "none"] if arm["reference"] else 0.0
            for item in range(60):
                nll = level[item, 0] + added + (rng.normal(0, 0.004) if arm["reference"] else 0.0)
                row = {"arm": arm["name"], "benchmark": benchmark["name"], "item_id": f"{item:05d}", "seed": 0}
                row |= {"prompt_hash": str(item), "outcome": "measured", "nll_sum": nll * 256, "n_tokens": 256}
                rows.append(dict.fromkeys(RECORD_SCHEMA) | row)
    run = sample.run | {"arms": arms, "benchmarks": benchmarks, "failures": [], "notices": []}
    made = build_results(run, pl.DataFrame(rows, schema=RECORD_SCHEMA), pl.DataFrame(schema=TIMING_SCHEMA))
    validate("statistical_analysis", made.analysis)
    (grid,) = made.analysis["factorial"]
    assert (grid["recipes"], grid["imatrices"]) == (["q4_k_m", "q4_k_l"], ["none", "en", "en-ja4"])
    assert grid["n_chunks"] == {"perplexity_wikitext2": 60, "perplexity_ja_wiki": 60}
    effects = {tuple(effect["levels"]): effect for effect in grid["effects"]}
    assert effects[("en",)]["estimate"] == pytest.approx(-0.01, abs=0.002)
    assert effects[("en",)]["p_adjusted"] < 0.001
    assert effects[("en-ja4", "perplexity_ja_wiki")]["p_adjusted"] > 0.05


def test_arms_without_a_grid_have_no_factorial_analysis(sample: SampleRun) -> None:
    assert build_results(*sample).analysis["factorial"] == []
