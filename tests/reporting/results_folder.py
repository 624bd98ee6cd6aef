"""Results folders for tests: the results of the sample run on disk, with changes that a test asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from conf.files import read_json, write_json
from reporting.analysis.performance import performance_rows
from reporting.analysis.results import build_results
from reporting.frames import QUESTION_SCHEMA, TIMING_SCHEMA
from tests.reporting.sample_run import quiet_machine, sample_run

HOSTILE = (
    "<script>alert(1)</script><img src='file:///etc/passwd'> [click](http://evil.example) ![](file:///etc/passwd)\n"
    "# heading\n| a | b |\n```\n*bold* **very** _so_ https://evil.example \x1b[31mred\x07 \u202eright to left"
)
"""A hostile answer of a model: HTML, Markdown, terminal escapes, a bidirectional override."""

Change = Callable[[dict[str, Any], dict[str, Any]], None]


def write_results(run_dir: Path, change: Change | None = None, answer: str | None = None) -> Path:
    """Write the results of the sample run below `run_dir`.

    Args:
        run_dir: the run directory.
        change: a function that changes the comparison and the analysis in place, before they are written.
        answer: if given, it replaces the text of every answer.

    Returns:
        The path of the comparison file.
    """
    results = build_results(*sample_run())
    if change is not None:
        change(results.comparison, results.analysis)
    folder = run_dir / "evaluation_results"
    write_json(folder / "quantization_comparison.json", results.comparison)
    write_json(folder / "statistical_analysis.json", results.analysis)
    (folder / "report_data").mkdir()
    for name, table in results.tables.items():
        if answer is not None and name == "answers":
            texts = pl.when(pl.col("text").is_not_null()).then(pl.lit(answer))
            table = table.with_columns(text=texts, answer=texts, reason=texts)
        table.write_parquet(folder / "report_data" / f"{name}.parquet")
    write_questions(folder, answer)
    return folder / "quantization_comparison.json"


def write_questions(folder: Path, text: str | None = None) -> None:
    """Write the questions of all items with generated answers, made up or all `text`, beside the results."""
    comparison = read_json(folder / "quantization_comparison.json")
    answers = pl.read_parquet(folder / "report_data" / "answers.parquet").cast({pl.Categorical: pl.String})
    correct = answers.filter(pl.col("outcome") == "correct")
    expected = {(row["benchmark"], row["item_id"]): row["answer"] for row in correct.iter_rows(named=True)}
    generated = [one["name"] for one in comparison["benchmarks"] if one["kind"] == "generate"]
    asked = answers.filter(pl.col("benchmark").is_in(generated)).select("benchmark", "item_id").unique().sort(pl.all())
    rows = [
        {
            "benchmark": benchmark,
            "item_id": item_id,
            "question": text or f"Question {item_id}: she has some of them and gets 3 more. How many has she?",
            "expected": text or expected.get((benchmark, item_id), "unknown"),
        }
        for benchmark, item_id in asked.iter_rows()
    ]
    pl.DataFrame(rows, schema=QUESTION_SCHEMA).write_parquet(folder / "report_data" / "questions.parquet")


def only_arms(names: set[str]) -> Change:
    """Return a change that keeps only the named arms and their results."""

    def change(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        comparison["arms"] = [arm for arm in comparison["arms"] if arm["name"] in names]
        for name in ("results", "performance"):
            comparison[name] = [row for row in comparison[name] if row["arm"] in names]
        for name in ("comparisons", "verdicts", "pooled"):
            analysis[name] = [row for row in analysis[name] if {row["arm"], row["reference"]} <= names]
        compared = {row["reference"] for row in analysis["verdicts"]}
        analysis["selections"] = [row for row in analysis["selections"] if row["reference"] in compared]

    return change


def without_intervals(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
    """Make every interval undefined, as with one item."""
    for row in [*comparison["results"], *analysis["comparisons"]]:
        row["ci95"], row["ci95_reason"], row["ci_method"] = None, "one_item", None


def without_margins(_comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
    """Leave only what no margin is set for, as where nothing but judged scores were compared."""
    analysis["pooled"] = []
    for row in analysis["comparisons"]:
        row |= {"margin": None, "verdict": "undecided", "verdict_grounds": ["no_margin"]}


def failed(names: set[str]) -> Change:
    """Return a change after which the named arms could not be made: they are listed but have no results."""

    def change(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
        for arm in comparison["arms"]:
            if arm["name"] in names:
                arm |= {"failed": "LlamaError: cannot load", "size_bytes": None, "bits_per_weight": None}
        for row in comparison["results"]:
            if row["arm"] in names:
                row |= {"mean": None, "mean_reason": "no_scored_items", "ci95": None, "ci95_reason": "no_scored_items"}
                row |= {"sigma_items": None, "sigma_runs": None, "error_bar_runs": None, "ci_method": None}
        for row in analysis["comparisons"]:
            if {row["arm"], row["reference"]} & names:
                row |= {"difference": None, "difference_reason": "no_paired_items", "ci95": None, "p_value": None}
                row |= {"cohens_d": None, "test": None, "ci_method": None, "ci95_reason": "no_paired_items"}

    return change


one_arm_failed = failed({"q4_k_m"})
all_arms_failed = failed({"f16", "q8_0", "q4_k_m"})


def many_arms(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
    """Add ten arms with long names. They belong to a second model, are several GiB large and have no reference."""
    comparison["models"].append(comparison["models"][0] | {"name": "large", "dequantized_from": None})
    plain = next(arm for arm in comparison["arms"] if arm["name"] == "q4_k_m")
    for number in range(10):
        name = f"large~iq4_xs+en-ja4+phigh{number}"
        size = (4 + 0.05 * number) * 2**30
        comparison["arms"].append(plain | {"name": name, "model": "large", "reference": None, "size_bytes": int(size)})
        for row in [row for row in comparison["results"] if row["arm"] == "q4_k_m"]:
            comparison["results"].append(row | {"arm": name})
        for row in [row for row in comparison["performance"] if row["arm"] == "q4_k_m"]:
            comparison["performance"].append(row | {"arm": name})


def with_performance(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
    """Add the measurements of speed and memory. The machine was busy when the first arm was timed."""
    for place, arm in enumerate(comparison["arms"]):
        raw = {"load_s": 0.1, "worker_pid": 4, "file_bytes": 1, "threads": 2, "n_ctx": 512}
        rounds = {"sequences": 1, "prompt_tokens": 256, "answer_tokens": 16}
        rounds |= {"prompt_s": [2.56, 2.6], "decode_s": [0.016 * (20 - 3 * place), 0.0161 * (20 - 3 * place)]}
        sizes = {"weights_bytes": arm["size_bytes"], "kv_bytes": 2**24, "compute_bytes": 2**25}
        raw |= {"batch_1": rounds, "batched": rounds, "memory": [{"place": "CPU", "on_host": True, **sizes}]}
        machine = quiet_machine(1000.0 * place, 6.0)
        raw["machine"] = machine if place else machine | {"all_cpu_s": 12.0}
        _, by_workload = performance_rows([arm | {"performance": raw}], pl.DataFrame(schema=TIMING_SCHEMA))
        arm["performance"] = by_workload[0]


def with_grid_without_contrasts(comparison: dict[str, Any], analysis: dict[str, Any]) -> None:
    """Add a grid as older results have it: without its arms and without contrasts."""
    plain = comparison["arms"][2]
    arms = {"q4_k_m": "none", "q8_0": "en"}
    for arm in comparison["arms"]:
        if arm["name"] in arms:
            arm |= {"recipe": "q4_k_m", "imatrix": None if arms[arm["name"]] == "none" else "en"}
    assert plain["recipe"] == "q4_k_m"
    languages = ["perplexity_wikitext2", "perplexity_ja_wiki"]
    grid = {"reference": "f16", "metric": "nll", "recipes": ["q4_k_m"], "imatrices": ["none", "en"], "effects": []}
    analysis["factorial"] = [grid | {"languages": languages, "n_chunks": dict.fromkeys(languages, 24)}]


def with_hostile_names(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
    """Replace names, notices, errors and log lines by hostile text."""
    comparison["models"][0]["name"] = HOSTILE
    comparison["notices"] = [HOSTILE]
    comparison["failures"][0] |= {"error": HOSTILE, "unit": HOSTILE, "log_tail": [HOSTILE]}
    comparison["benchmarks"][0]["title"] = {"ja": HOSTILE, "en": HOSTILE}
    comparison["command"] = HOSTILE
    comparison["versions"]["cpu_features"] = HOSTILE
    comparison["settings"]["imatrix"] = HOSTILE
    comparison["models"][0] |= {"architecture": HOSTILE, "source_type": HOSTILE, "dequantized_from": HOSTILE}
    comparison["arms"][1] |= {"recipe": HOSTILE, "imatrix": HOSTILE, "failed": HOSTILE}
    comparison["imatrices"][0] |= {"name": HOSTILE, "file": HOSTILE}
    comparison["imatrices"][0]["texts"][0]["name"] = HOSTILE
    comparison["results"][0]["unscored_reasons"] = {HOSTILE: 3}
