"""A made-up run of one model with eight arms and six benchmarks: about what a publisher compares before a release.

Two benchmarks with generated answers under two seeds, two of multiple choice, and two texts. The verdicts differ: some
arms are no worse, some are worse, some stay undecided. Divergence, errors of the tensors, statistics of the matrix,
speed and memory are there too, so that every chart and table is made. The numbers are not measurements of any model.

    python -m tests.reporting.eight_arms_run FOLDER

writes the run's results to a folder.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conf.files import write_json
from reporting.analysis.results import Results, build_results
from reporting.frames import IMPORTANCE_SCHEMA, LOSS_SCHEMA, RECORD_SCHEMA, TIMING_SCHEMA
from tests.reporting.results_folder import write_questions
from tests.reporting.sample_run import SampleRun, quiet_machine, sample_run

MODEL = "Fictional-Ja-8B-Instruct"
PARAMETERS = 8_030_261_248
SEEDS = (0, 1)
SCORED_TOKENS = 256
MIX = "en-ja4"
LAYERS = 32


class _Arm(NamedTuple):
    """What is put into an arm. A lost logit lowers the chance of a right answer, a lost nat raises the perplexity."""

    recipe: str
    bits_per_weight: float
    imatrix: str | None
    lost_logit: float
    noise_logit: float
    lost_nats: float
    error: float
    """Mean relative squared error of the weights."""
    milliseconds: float
    """Time for a token."""


ARMS = {
    "bf16": _Arm("bf16", 16.0, None, 0.0, 0.0, 0.0, 0.0, 61.0),
    "q8_0": _Arm("q8_0", 8.5, None, 0.0, 0.02, 0.0004, 3e-5, 34.0),
    "q6_k": _Arm("q6_k", 6.56, MIX, 0.005, 0.04, 0.0016, 4e-4, 28.0),
    "q5_k_m": _Arm("q5_k_m", 5.70, MIX, 0.02, 0.08, 0.0055, 1.5e-3, 25.0),
    "q4_k_m": _Arm("q4_k_m", 4.89, MIX, 0.05, 0.14, 0.0125, 5e-3, 22.0),
    "q4_k_m+none": _Arm("q4_k_m", 4.89, None, 0.09, 0.18, 0.0210, 7e-3, 22.0),
    "iq4_xs": _Arm("iq4_xs", 4.46, MIX, 0.08, 0.17, 0.0180, 6e-3, 24.0),
    "q3_k_m": _Arm("q3_k_m", 4.00, MIX, 0.35, 0.35, 0.0720, 2e-2, 20.0),
}
REFERENCE = "bf16"


class _Benchmark(NamedTuple):
    kind: str
    n_items: int
    ease: float
    ja: str
    en: str
    category: str


BENCHMARKS = {
    "gsm8k": _Benchmark(
        "generate", 1319, 1.1, "GSM8K(小学校算数)", "GSM8K (grade-school mathematics)", "mathematical_reasoning"
    ),
    "math": _Benchmark(
        "generate", 500, -0.3, "MATH-500(競技数学)", "MATH-500 (competition mathematics)", "mathematical_reasoning"
    ),
    "arc_challenge": _Benchmark(
        "choose", 1172, 0.9, "ARC-Challenge(理科・多肢選択)", "ARC-Challenge (science, multiple choice)", "knowledge_qa"
    ),
    "jcommonsenseqa": _Benchmark(
        "choose",
        1119,
        2.0,
        "JCommonsenseQA(日本語の常識)",
        "JCommonsenseQA (common sense, Japanese)",
        "knowledge_qa",
    ),
    "perplexity_wikitext2": _Benchmark(
        "measure",
        64,
        1.9,
        "パープレキシティ(WikiText-2、英語)",
        "Perplexity (WikiText-2, English)",
        "language_modelling",
    ),
    "perplexity_ja_wiki": _Benchmark(
        "measure",
        64,
        2.3,
        "パープレキシティ(日本語Wikipedia)",
        "Perplexity (Japanese Wikipedia)",
        "language_modelling",
    ),
}


def eight_arms_run() -> SampleRun:
    """Return the first three arguments of `build_results`."""
    draw = np.random.default_rng(83)
    tables = []
    for name, benchmark in BENCHMARKS.items():
        tables += _texts(draw, name, benchmark) if benchmark.kind == "measure" else _answers(draw, name, benchmark)
    records = pl.concat([pl.DataFrame(schema=RECORD_SCHEMA), *tables], how="diagonal")
    return SampleRun(_described(), records, pl.DataFrame(schema=TIMING_SCHEMA))


@cache
def eight_arms_results() -> Results:
    """Return the results of the run. Do not change them: they are cached."""
    return build_results(*eight_arms_run())


def write_eight_arms(run_dir: Path) -> Path:
    """Write the results folder and return the path of the comparison file."""
    results = eight_arms_results()
    folder = run_dir / "evaluation_results"
    write_json(folder / "quantization_comparison.json", results.comparison)
    write_json(folder / "statistical_analysis.json", results.analysis)
    (folder / "report_data").mkdir()
    for name, table in (results.tables | {"importance": _importance(), "losses": _losses()}).items():
        table.write_parquet(folder / "report_data" / f"{name}.parquet")
    write_questions(folder)
    return folder / "quantization_comparison.json"


# --- records ------------------------------------------------------------------------------------


def _answers(draw: np.random.Generator, name: str, benchmark: _Benchmark) -> list[pl.DataFrame]:
    """Return the answers of all arms. The arms share the luck of sampling, so few answers differ."""
    n, seeds = benchmark.n_items, SEEDS if benchmark.kind == "generate" else SEEDS[:1]
    ease = draw.normal(benchmark.ease, 1.8, size=n)
    luck = draw.random((n, len(seeds)))
    golds = draw.integers(3, 400, size=n)
    words = draw.integers(60, 240, size=(n, len(seeds)))
    found = []
    for arm, own in ARMS.items():
        logit = ease - own.lost_logit + draw.normal(0.0, own.noise_logit, size=n)
        right = luck < 1 / (1 + np.exp(-logit[:, None]))
        if benchmark.kind == "choose":
            right = (logit > 0)[:, None]
        for place, seed in enumerate(seeds):
            found.append(_answer_table(name, arm, seed, right[:, place], golds, words[:, place], benchmark.kind))
    return found


def _answer_table(
    name: str,
    arm: str,
    seed: int,
    right: NDArray[np.bool_],
    golds: NDArray[np.int64],
    words: NDArray[np.int64],
    kind: str,
) -> pl.DataFrame:
    shorter = 0.8 if arm == "q3_k_m" else 1.0
    said = [int(gold) if good else int(gold) + 10 for gold, good in zip(golds, right, strict=True)]
    if kind == "choose":
        answers, texts = ["ABCD"[number % 4] for number in said], None
        tokens, ends = [0] * len(said), None
    else:
        answers = [str(number) for number in said]
        texts = [f" 合わせて {number - 3} + 3 = {number} になります。\n#### {number}" for number in said]
        tokens, ends = [int(shorter * count) for count in words], "stop"
    columns = {
        "arm": arm,
        "benchmark": name,
        "item_id": [f"{name}-{index:04d}" for index in range(len(said))],
        "seed": seed,
        "prompt_hash": [f"{index:064d}" for index in range(len(said))],
        "outcome": ["correct" if good else "wrong" for good in right],
        "score": right.astype(float),
        "answer": answers,
        "text": texts,
        "prompt_tokens": 540,
        "completion_tokens": tokens,
        "finish_reason": ends,
    }
    return pl.DataFrame(columns, schema_overrides={key: RECORD_SCHEMA[key] for key in columns})


def _texts(draw: np.random.Generator, name: str, benchmark: _Benchmark) -> list[pl.DataFrame]:
    n = benchmark.n_items
    level = draw.normal(benchmark.ease, 0.25, size=n)
    found = []
    for arm, own in ARMS.items():
        loss = own.lost_nats * (0.0 if arm == REFERENCE else 1.0)
        nll = level + draw.normal(loss, 0.2 * loss + 0.0005, size=n) * (arm != REFERENCE)
        columns: dict[str, Any] = {
            "arm": arm,
            "benchmark": name,
            "item_id": [f"{index:06d}" for index in range(n)],
            "seed": SEEDS[0],
            "prompt_hash": [f"{index:064d}" for index in range(n)],
            "outcome": "measured",
            "nll_sum": nll * SCORED_TOKENS,
            "n_tokens": SCORED_TOKENS,
            "prompt_tokens": 512,
            "completion_tokens": 0,
        }
        columns |= {"divergence_reason": "no_reference"} if arm == REFERENCE else _divergence(draw, own, n)
        found.append(pl.DataFrame(columns, schema_overrides={key: RECORD_SCHEMA[key] for key in columns}))
    return found


def _divergence(draw: np.random.Generator, arm: _Arm, n: int) -> dict[str, Any]:
    kld = 1.3 * arm.lost_nats * draw.gamma(20.0, 1 / 20.0, size=n)
    return {
        "kld_sum": kld * SCORED_TOKENS,
        "top_agree": np.round(SCORED_TOKENS * (1 - 0.6 * np.sqrt(kld))).astype(int),
        "p_change_sum": -0.05 * kld * SCORED_TOKENS,
        "p_change_squares": 0.12 * kld * SCORED_TOKENS,
    }


# --- the run's description ----------------------------------------------------------------------


def _described() -> dict[str, Any]:
    plain = sample_run().run
    model = plain["models"][0] | {"name": MODEL, "path": f"/models/{MODEL}-BF16.gguf", "n_parameters": PARAMETERS}
    model |= {"source_type": "BF16", "dequantized_from": None, "size_bytes": _size_bytes(ARMS[REFERENCE])}
    command = f"python -m jobs.pipeline --model {MODEL}-BF16.gguf --quantizations {','.join(ARMS)} --runs 2"
    return plain | {
        "pipeline_id": f"20251125-091500-{MODEL}",
        "command": command,
        "models": [model],
        "arms": [_arm(plain["arms"][1], name, own) for name, own in ARMS.items()],
        "imatrices": [plain["imatrices"][0] | {"name": MIX}],
        "benchmarks": [_benchmark(plain["benchmarks"], name, own) for name, own in BENCHMARKS.items()],
        "settings": plain["settings"] | {"runs": len(SEEDS), "limit": None},
        "failures": [],
        "notices": [],
    }


def _size_bytes(arm: _Arm) -> int:
    return int(arm.bits_per_weight * PARAMETERS / 8)


def _arm(plain: dict[str, Any], name: str, own: _Arm) -> dict[str, Any]:
    size = _size_bytes(own)
    seconds = own.milliseconds / 1000
    rounds = {"sequences": 1, "prompt_tokens": 256, "answer_tokens": 16}
    rounds |= {"prompt_s": [0.28, 0.29, 0.28], "decode_s": [16 * seconds, 16.1 * seconds, 15.9 * seconds]}
    memory = {"place": "CPU", "on_host": True, "weights_bytes": size, "kv_bytes": 2**29, "compute_bytes": 2**28}
    performance = {"load_s": 2.5, "worker_pid": 4, "file_bytes": size, "threads": 2, "n_ctx": 512, "memory": [memory]}
    performance |= {"batch_1": rounds, "batched": rounds | {"sequences": 32}}
    performance |= {"machine": quiet_machine(1000.0 * list(ARMS).index(name), 6.0)}
    return plain | {
        "name": name,
        "model": MODEL,
        "reference": None if name == REFERENCE else REFERENCE,
        "recipe": own.recipe,
        "method": own.recipe,
        "imatrix": own.imatrix,
        "size_bytes": size,
        "bits_per_weight": own.bits_per_weight,
        "dequantized_from": None,
        "file": f"artifacts/{name}-00000000/{MODEL}-{own.recipe.upper()}.gguf",
        "fallbacks": None,
        "performance": performance,
    }


def _benchmark(plain: list[dict[str, Any]], name: str, own: _Benchmark) -> dict[str, Any]:
    described = next(one for one in plain if one["kind"] == own.kind)
    sampled = own.kind == "generate"
    return described | {
        "name": name,
        "n_items": own.n_items,
        "n_items_total": own.n_items,
        "seeds": list(SEEDS if sampled else SEEDS[:1]),
        "deterministic": not sampled,
        "title": {"ja": own.ja, "en": own.en},
        "source": {"dataset": name, "license": "MIT"},
        "category": own.category,
    }


# --- tables beside the results ------------------------------------------------------------------


def _losses() -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for name, arm in ARMS.items():
        for layer in range(LAYERS):
            for kind, n_elements in (("attn_q", 16_777_216), ("ffn_down", 58_720_256)):
                error = arm.error * (1.5 - layer / LAYERS) * (1.4 if kind == "ffn_down" else 1.0)
                row: dict[str, Any] = {
                    "tensor": f"blk.{layer}.{kind}.weight",
                    "layer": layer,
                    "kind": kind,
                    "error": error,
                }
                rows.append(row | {"arm": name, "type": arm.recipe, "n_elements": n_elements})
        outside: dict[str, Any] = {"tensor": "output.weight", "layer": None, "kind": "output", "error": arm.error / 4}
        rows.append(outside | {"arm": name, "type": arm.recipe, "n_elements": 525_336_576})
    common = {"rows": 4096, "rows_measured": 256, "weighted": True, "energy": 1.0}
    return pl.DataFrame([row | common for row in rows], schema=LOSS_SCHEMA)


def _importance() -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for layer in range(LAYERS):
        for place, kind in enumerate(("attn_q", "attn_output", "ffn_up", "ffn_down")):
            figures = dict.fromkeys(IMPORTANCE_SCHEMA, 0.5) | {"n_columns": 4096, "total": 10.0 ** (place + layer / 16)}
            figures |= {"entropy_share": 0.9 - 0.01 * layer, "outliers": 0.02 + 0.001 * place * layer}
            figures |= {"cosine": None if layer == 0 else 1 - 0.3 / (layer + place)}
            named = {"matrix": MIX, "name": f"blk.{layer}.{kind}.weight", "layer": layer, "kind": kind}
            rows.append(figures | named)
    return pl.DataFrame(rows, schema=IMPORTANCE_SCHEMA)


if __name__ == "__main__":
    print(write_eight_arms(Path(sys.argv[1])))
