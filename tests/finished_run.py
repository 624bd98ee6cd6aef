"""Write a small run directory of a finished pipeline by hand: two arms, two benchmarks, two seeds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from actors.json_lines import write_jsonl
from actors.llama.buffers import MemoryUse
from actors.machine_load import MachineLoad
from actors.records import Record, Timing
from actors.store import RunDirectory
from actors.stored_files import RecordsFolder, timings_path
from conf.files import write_json, write_text

ARMS = ("f16", "q4_k_m+en")
SEEDS = (0, 1)
GGUF_BYTES = 1000
MEMORY = MemoryUse(GGUF_BYTES, 0, 200, 0, 30, 0)
QUIET = MachineLoad("ab12cd34", 0.0, 4.0, 2, 7.5, 7.6, 0.0)


def write_finished_run(root: Path, state: str = "done") -> RunDirectory:
    """Write the directory. `state` goes into `progress.json`."""
    run = RunDirectory(root)
    plan = _plan()
    write_json(run.plan, plan)
    write_json(run.progress, {"schema_version": 1, "pipeline_id": "demo", "state": state, "phase": "done"})
    for imatrix in plan["imatrices"]:
        (root / imatrix["file"]).parent.mkdir(parents=True, exist_ok=True)
        (root / imatrix["file"]).write_bytes(b"i" * 100)
        write_json(root / imatrix["manifest"], {"tokens": 4096, "sha256": "ab" * 32, "key": {"ctx": 512}})
    for artifact in plan["artifacts"]:
        (root / artifact["dir"]).mkdir(parents=True)
        (root / artifact["file"]).write_bytes(b"g" * GGUF_BYTES)
        write_json(root / artifact["manifest"], _manifest())
    for block in plan["blocks"]:
        path = root / block["file"]
        write_jsonl(path, _records(block["benchmark"], tuple(block["seeds"])))
        write_jsonl(timings_path(path), [Timing(0.5, 100, 1.0, 50, 2.0, 4.0, 42, MEMORY, QUIET)])
        write_json(
            RecordsFolder(path.parent).meta, {"arm": block["arm"], "benchmark": block["benchmark"], "item_ids": []}
        )
    write_json(run.comparison, _comparison())
    write_json(run.analysis, _analysis())
    write_text(run.charts / "quantization_performance.svg", "<svg/>")
    write_text(run.report, "# Report\n")
    write_text(run.report.with_suffix(".html"), "<h1>Report</h1>\n")
    return run


def _plan() -> dict[str, Any]:
    blocks = [
        {
            "arm": arm,
            "benchmark": benchmark,
            "seeds": list(seeds),
            "n_items": 2,
            "file": f"records/{benchmark}.{arm}-12345678/00000-2.g0.jsonl",
        }
        for arm in ARMS
        for benchmark, seeds in (("gsm8k", SEEDS), ("perplexity_wikitext2", SEEDS[:1]))
    ]
    return {
        "schema_version": 1,
        "pipeline_id": "demo",
        "models": [{"name": "tiny"}],
        "imatrices": [
            {"mix": "en", "model": "tiny", "file": "imatrix/en-1.gguf", "manifest": "imatrix/en-1.gguf.manifest.json"}
        ],
        "artifacts": [
            {
                "arm": arm,
                "model": "tiny",
                "recipe": arm.partition("+")[0],
                "imatrix": None,
                "dir": f"artifacts/{arm}-12345678",
                "file": f"artifacts/{arm}-12345678/tiny.gguf",
                "manifest": f"artifacts/{arm}-12345678/manifest.json",
            }
            for arm in ARMS
        ],
        "blocks": blocks,
        "cells": [
            {
                "id": f"{block['arm']}/{block['benchmark']}/{seed}",
                "arm": block["arm"],
                "benchmark": block["benchmark"],
                "seed": seed,
                "records_dir": str(Path(block["file"]).parent),
                "blocks": [block["file"]],
            }
            for block in blocks
            for seed in block["seeds"]
        ],
        "versions": {"llama_cpp_python": "0.3.36"},
        "settings": {"runs": 2, "sampling": {"temperature": 0.7}},
    }


def _manifest() -> dict[str, Any]:
    return {
        "size_bytes": GGUF_BYTES,
        "bits_per_weight": 4.5,
        "sha256": "cd" * 32,
        "types": {"q4_k": 3, "q6_k": 1},
        "seconds": 2.5,
        "key": {"rule": 1},
        "nothing": None,
    }


def _records(benchmark: str, seeds: tuple[int, ...]) -> list[Record]:
    """Return records. Seed 0: one right, one wrong. Later seeds: one right, one unscored. Perplexity: exp(1.5)."""
    if benchmark.startswith("perplexity"):
        return [Record(str(item), 0, "h", None, "measured", nll_sum=30.0, n_tokens=20) for item in range(2)]
    second: dict[int, Any] = {0: ("wrong", 0.0)}
    return [
        record
        for seed in seeds
        for record in (
            Record("a", seed, "h", None, "correct", score=1.0),
            Record("b", seed, "h", None, *second.get(seed, ("unscored", None))),
        )
    ]


def _comparison() -> dict[str, Any]:
    row = {"benchmark": "gsm8k", "metric": "accuracy", "primary": True, "mean": 0.5, "ci95": [0.1, 0.9], "n_items": 2}
    kld = {"benchmark": "perplexity_wikitext2", "metric": "kld", "primary": False, "mean": 0.02, "ci95": [0.01, 0.03]}
    sizes = {"model": "tiny", "size_bytes": GGUF_BYTES, "bits_per_weight": 4.5}
    data = {"version": 1, "shots": 0, "n_items": 2, "n_items_total": 1319, "source": {"dataset": "openai/gsm8k"}}
    return {
        "schema_version": 1,
        "models": [{"name": "tiny"}],
        "arms": [{"name": arm, **sizes} for arm in ARMS],
        "benchmarks": [{"name": "gsm8k", "data_hash": "ef" * 32, **data}],
        "results": [*({"arm": arm, **row} for arm in ARMS), {"arm": ARMS[1], "n_tokens": 40, **kld}],
        "performance": [{"arm": ARMS[1], "decode_tokens_per_second": 25.0, "prompt_tokens_per_second": None}],
    }


def _analysis() -> dict[str, Any]:
    pair = {"arm": ARMS[1], "reference": ARMS[0]}
    row = {**pair, "benchmark": "gsm8k", "metric": "accuracy", "n_items": 2, "verdict": "undecided"}
    needed = {"items_to_decide": None, "items_to_decide_reason": "too_few_items"}
    claim = {**pair, "difference": -0.05, "ci95": [-0.2, 0.1], "verdict": "no_worse", "n_items": 2}
    on_average = {"tested": [ARMS[1]], "smallest_no_worse": ARMS[1], "stopped_at": None, "not_reached": []}
    sequence = {"tested": [ARMS[1]], "smallest_no_worse": None, "stopped_at": ARMS[1], "not_reached": []}
    selection = {"reference": ARMS[0], **sequence, "on_average": on_average}
    verdict = {**pair, "verdict": "undecided", "on_average": "no_worse", "n_records": 4, "n_unscored": 1}
    return {
        "schema_version": 1,
        "comparisons": [{**row, "difference": -0.1, "ci95": [-0.3, 0.1], **needed}],
        "pooled": [{**claim, "decides": False, "benchmarks": [{"benchmark": "gsm8k", "weight": 1.0}]}],
        "verdicts": [verdict],
        "selections": [selection],
    }


PERPLEXITY = math.exp(1.5)
