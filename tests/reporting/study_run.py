"""A made-up multilingual study: three recipes, four matrices, two languages, and a published file outside the grid.

The effects are known, see LOSS. q4_k_l equals q4_k_m, as in a model whose output and token embedding are one tensor
that is q8_0 in both. The numbers are not measurements of any model.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from conf.files import write_json
from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from tests.reporting.results_folder import write_questions
from tests.reporting.sample_run import SampleRun, sample_run

RECIPES = ("q4_k_m", "q4_k_l", "q4_k_m-fp16")
TEXTS = {"en": {"english": 16}, "en5": {"english": 80}, "en1-ja4": {"english": 16, "leads": 32, "works": 32}}
"""Mix -> text -> number of chunks."""
MATRICES = ("none", *TEXTS)
ENGLISH, JAPANESE = "perplexity_wikitext2", "perplexity_ja_wiki"
LOSS = {
    ENGLISH: {"none": 0.035, "en": 0.025, "en5": 0.023, "en1-ja4": 0.027},
    JAPANESE: {"none": 0.050, "en": 0.046, "en5": 0.045, "en1-ja4": 0.030},
}
"""Loss of q4_k_m in ln PPL. q4_k_m-fp16 loses 0.002 less."""
CHUNKS = 40


def study_run() -> SampleRun:
    """Return the first three arguments of `build_results`."""
    rng = np.random.default_rng(11)
    plain = sample_run().run
    arms = [_arm(plain, "f16", None, None)]
    arms += [_arm(plain, f"{recipe}+{mix}", recipe, mix) for recipe in RECIPES for mix in MATRICES]
    published = {"method": None, "fallbacks": None, "imatrix": None}
    arms.append(_arm(plain, "published", "q4_k_m", "none") | published)
    benchmarks = [one for one in plain["benchmarks"] if one["name"] in (ENGLISH, JAPANESE)]
    rows = [row for one in benchmarks for row in _records(rng, arms, one["name"])]
    run = plain | {"arms": arms, "benchmarks": benchmarks, "failures": [], "notices": []}
    run["imatrices"] = [_matrix(plain["imatrices"][0], mix) for mix in TEXTS]
    return SampleRun(run, pl.DataFrame(rows, schema=RECORD_SCHEMA), pl.DataFrame(schema=TIMING_SCHEMA))


@cache
def study_results() -> Results:
    """Return the results of the study. Do not change them: they are cached."""
    return build_results(*study_run())


def write_study(run_dir: Path) -> Path:
    """Write the results folder and return the path of the comparison file."""
    results = study_results()
    folder = run_dir / "evaluation_results"
    write_json(folder / "quantization_comparison.json", results.comparison)
    write_json(folder / "statistical_analysis.json", results.analysis)
    (folder / "report_data").mkdir()
    for name, table in results.tables.items():
        table.write_parquet(folder / "report_data" / f"{name}.parquet")
    write_questions(folder)
    return folder / "quantization_comparison.json"


def _arm(plain: dict[str, Any], name: str, recipe: str | None, mix: str | None) -> dict[str, Any]:
    levels = {"recipe": recipe or "f16", "imatrix": None if mix == "none" else mix, "method": "q4_k_m"}
    arm: dict[str, Any] = plain["arms"][0 if recipe is None else 2]
    return arm | levels | {"name": name, "reference": None if recipe is None else "f16"}


def _matrix(plain: dict[str, Any], mix: str) -> dict[str, Any]:
    digests = {"english": "1" * 64, "leads": "2" * 64, "works": "3" * 64}
    chunks = sum(TEXTS[mix].values())
    texts = [{"name": f"{text}.txt", "sha256": digests[text], "n_chunks": n} for text, n in TEXTS[mix].items()]
    return plain | {"name": mix, "texts": texts, "n_chunks": chunks, "n_tokens": 512 * chunks}


def _records(rng: np.random.Generator, arms: list[dict[str, Any]], benchmark: str) -> list[dict[str, Any]]:
    level = rng.normal(3.0, 0.3, size=CHUNKS)
    noise = {mix: rng.normal(0, 0.008, size=CHUNKS) for mix in MATRICES}
    rows = []
    for arm in arms:
        loss = np.zeros(CHUNKS)
        if arm["reference"] is not None:
            mix = arm["imatrix"] or "none"
            loss = (
                LOSS[benchmark][mix]
                + noise[mix]
                - (rng.normal(0.002, 0.001, CHUNKS) if arm["recipe"] == "q4_k_m-fp16" else 0.0)
            )
        for chunk, nll in enumerate((level + loss).tolist()):
            row = {"arm": arm["name"], "benchmark": benchmark, "item_id": f"{chunk:05d}", "seed": 0}
            row |= {"prompt_hash": str(chunk), "outcome": "measured", "nll_sum": nll * 255, "n_tokens": 255}
            rows.append(dict.fromkeys(RECORD_SCHEMA) | row)
    return rows
