"""A made-up run of several models, each before and after quantization, some with one side only.

One judged benchmark (1 to 5) under two seeds, one of multiple choice, and one text. The numbers are not measurements of
any model.

    python -m tests.reporting.several_models_run FOLDER

writes the results of nine models to a folder.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from conf.files import write_json
from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from tests.reporting.results_folder import write_questions
from tests.reporting.sample_run import SampleRun, quiet_machine, sample_run

SEEDS = (0, 1)
BITS = {"f16": 16.0, "q4_k_m": 4.89}
BOTH = tuple(BITS)


class MadeModel(NamedTuple):
    """A model: how good its answers are, how much it loses, and which sides of it exist."""

    name: str
    billions: float
    level: float
    lost: float
    sides: tuple[str, ...] = BOTH
    labels: dict[str, Any] | None = None


NINE = (
    MadeModel("fictional-swallow-70b-instruct-hf-v0.1", 69.0, 1.9, 0.02, ("q4_k_m",)),
    MadeModel("fictional-elyza-japanese-llama-2-7b-inst", 6.7, 0.1, 0.15),
    MadeModel("fictional-calm2-7b-chat", 7.0, 0.3, 0.1, labels={"license": "apache-2.0", "languages": ["ja", "en"]}),
    MadeModel("fictional-stablelm-gamma-7b", 7.2, 0.2, 0.3),
    MadeModel("fictional-youri-7b-chat", 6.7, -0.1, 0.1),
    MadeModel("fictional-karakuri-70b-chat", 69.0, 1.7, 0.02, ("q4_k_m",)),
    MadeModel("fictional-nekomata-14b-instruction", 14.2, 0.4, 0.05),
    MadeModel("fictional-plamo-13b", 13.1, -0.4, 0.05, ("f16",)),
    MadeModel("fictional-houou-7b-v1", 6.7, 0.0, 0.6),
)
THREE = (
    MadeModel("large", 69.0, 1.9, 0.02, ("q4_k_m",)),
    MadeModel("middle", 7.0, 0.3, 0.1),
    MadeModel("small", 1.3, -0.5, 0.0, ("f16",)),
)


def several_models_run(models: Sequence[MadeModel] = NINE, n_items: int = 100) -> SampleRun:
    """Return the first three arguments of `build_results`."""
    draw = np.random.default_rng(47)
    tables = [table for model in models for table in _records(draw, model, n_items)]
    records = pl.concat([pl.DataFrame(schema=RECORD_SCHEMA), *tables], how="diagonal")
    return SampleRun(_described(models, n_items), records, pl.DataFrame(schema=TIMING_SCHEMA))


def several_models_results(models: Sequence[MadeModel] = NINE, n_items: int = 100) -> Results:
    """Return the results of the run."""
    return build_results(*several_models_run(models, n_items))


def write_several_models(run_dir: Path, models: Sequence[MadeModel] = NINE, n_items: int = 100) -> Path:
    """Write the results folder and return the path of the comparison file."""
    results = several_models_results(models, n_items)
    folder = run_dir / "evaluation_results"
    write_json(folder / "quantization_comparison.json", results.comparison)
    write_json(folder / "statistical_analysis.json", results.analysis)
    (folder / "report_data").mkdir()
    for name, table in results.tables.items():
        table.write_parquet(folder / "report_data" / f"{name}.parquet")
    write_questions(folder)
    return folder / "quantization_comparison.json"


def arm_names(models: Sequence[MadeModel]) -> list[str]:
    """Return the names of all arms, model by model."""
    return [f"{model.name}~{side}" for model in models for side in model.sides]


# --- records ------------------------------------------------------------------------------------


def _records(draw: np.random.Generator, model: MadeModel, n_items: int) -> list[pl.DataFrame]:
    hardness = np.random.default_rng(5).normal(0.0, 1.0, size=n_items)
    quality = model.level - hardness + draw.normal(0.0, 0.7, size=n_items)
    found = []
    for side in model.sides:
        own = quality - (model.lost if side != "f16" else 0.0)
        for seed in SEEDS:
            score = np.clip(np.round(3.0 + own + draw.normal(0.0, 0.4, size=n_items)), 1, 5)
            found.append(_table(model, side, "elyza", seed, score.tolist(), {"outcome": "judged", "score": score}))
        right = own + draw.normal(0.0, 0.1, size=n_items) > 0
        outcome = ["correct" if good else "wrong" for good in right]
        scored = {"outcome": outcome, "score": right.astype(float)}
        found.append(_table(model, side, "arc_challenge", SEEDS[0], right.tolist(), scored))
        loss = draw.normal(2.3 + (0.01 if side != "f16" else 0.0), 0.2, size=n_items)
        measured = {"outcome": "measured", "nll_sum": loss * 256, "n_tokens": 256, "divergence_reason": "no_reference"}
        found.append(_table(model, side, "perplexity_ja_wiki", SEEDS[0], loss.tolist(), measured))
    return found


def _table(
    model: MadeModel, side: str, benchmark: str, seed: int, values: Sequence[Any], fields: dict[str, Any]
) -> pl.DataFrame:
    columns: dict[str, Any] = {
        "arm": f"{model.name}~{side}",
        "benchmark": benchmark,
        "item_id": [f"{index:06d}" for index in range(len(values))],
        "seed": seed,
        "prompt_hash": [f"{index:064d}" for index in range(len(values))],
        "prompt_tokens": 60,
        "completion_tokens": 80 if benchmark == "elyza" else 0,
        **fields,
    }
    if benchmark == "elyza":
        columns |= {"text": [f"回答 {value}" for value in values], "finish_reason": "stop"}
    return pl.DataFrame(columns, schema_overrides={key: RECORD_SCHEMA[key] for key in columns})


# --- the run's description ----------------------------------------------------------------------


def _described(models: Sequence[MadeModel], n_items: int) -> dict[str, Any]:
    plain = sample_run().run
    return plain | {
        "pipeline_id": "20251126-101500-nine",
        "command": "python -m jobs.pipeline --config conf/studies/nine_models.yaml",
        "models": [_model(plain["models"][0], model) for model in models],
        "arms": [_arm(plain["arms"][1], model, side) for model in models for side in model.sides],
        "imatrices": [],
        "benchmarks": _benchmarks(plain["benchmarks"], n_items),
        "settings": plain["settings"] | {"runs": len(SEEDS), "limit": None},
        "failures": [],
        "notices": [],
    }


def _model(plain: dict[str, Any], model: MadeModel) -> dict[str, Any]:
    side = model.sides[0]
    return plain | {
        "name": model.name,
        "path": f"/models/{model.name}-{side.upper()}.gguf",
        "n_parameters": int(model.billions * 1e9),
        "source_type": side.upper(),
        "dequantized_from": None,
        "size_bytes": _size_bytes(model, side),
        "labels": model.labels or {},
    }


def _size_bytes(model: MadeModel, side: str) -> int:
    return int(BITS[side] * model.billions * 1e9 / 8)


def _arm(plain: dict[str, Any], model: MadeModel, side: str) -> dict[str, Any]:
    size, name = _size_bytes(model, side), f"{model.name}~{side}"
    seconds = size / 8e10
    rounds: dict[str, Any] = {"sequences": 1, "prompt_tokens": 256, "answer_tokens": 16}
    rounds |= {"prompt_s": [0.28, 0.29, 0.28], "decode_s": [16 * seconds, 16.1 * seconds, 15.9 * seconds]}
    memory = {"place": "CPU", "on_host": True, "weights_bytes": size, "kv_bytes": 2**29, "compute_bytes": 2**28}
    performance = {"load_s": 2.5, "worker_pid": 4, "file_bytes": size, "threads": 2, "n_ctx": 512, "memory": [memory]}
    performance |= {"batch_1": rounds, "batched": rounds | {"sequences": 32}, "machine": quiet_machine(size / 1e6, 6.0)}
    return plain | {
        "name": name,
        "model": model.name,
        "reference": f"{model.name}~f16" if side != "f16" and "f16" in model.sides else None,
        "recipe": side,
        "method": side,
        "imatrix": None,
        "size_bytes": size,
        "bits_per_weight": BITS[side],
        "dequantized_from": None,
        "file": f"artifacts/{name}-00000000/{model.name}-{side.upper()}.gguf",
        "fallbacks": None,
        "performance": performance,
    }


def _benchmarks(plain: Sequence[dict[str, Any]], n_items: int) -> list[dict[str, Any]]:
    common = {"n_items": n_items, "n_items_total": n_items, "chance": 0.0}
    gsm8k, arc, _, wiki = plain
    title = {"ja": "ELYZA-tasks-100(日本語の指示)", "en": "ELYZA-tasks-100 (Japanese instructions)"}
    judged = {"name": "elyza", "metric": "judge_score", "scale": [1.0, 5.0], "seeds": list(SEEDS), "title": title}
    return [gsm8k | common | judged | {"category": None}, arc | common, wiki | common]


if __name__ == "__main__":
    print(write_several_models(Path(sys.argv[1])))
