"""The input of `build_results` at the end of a small pipeline, made up but realistic.

It has one model that was dequantized from Q4_1, three arms (f16 is the reference), GSM8K sampled under three seeds, and
ARC-Challenge and two perplexities without sampling. Some records are unscored, one block failed, and one arm has
fallback tensors. Everything is drawn from one seeded generator, so two calls return equal runs. The numbers are not
measurements of any model.
"""

from __future__ import annotations

import hashlib
import math
import random
from typing import Any, NamedTuple

import polars as pl

from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA

SEEDS = (0, 1, 2)
N_ITEMS = 40
N_CHUNKS = 24
BLOCK_ITEMS = 16
SCORED_TOKENS = 256
"""The second half of a 512-token chunk."""
PARAMETERS = 134_515_008
ARMS = ("f16", "q8_0", "q4_k_m")
SIZE_BYTES = {"f16": 270_885_408, "q8_0": 144_811_552, "q4_k_m": 105_454_432}
LOGIT_SHIFT = {"f16": 0.0, "q8_0": -0.02, "q4_k_m": -0.35}
"""Change of the logit of the probability of a right answer, for every question."""
NLL_SHIFT = {"f16": 0.0, "q8_0": 0.0006, "q4_k_m": 0.031}
"""Mean increase of the loss of an arm over f16, in nats per token."""
CATEGORIES = {"gsm8k": "mathematical_reasoning", "arc_challenge": "knowledge_qa"}
CATEGORIES |= {"perplexity_wikitext2": "language_modelling", "perplexity_ja_wiki": "language_modelling"}
DECODE_RATE = {"f16": 268.0, "q8_0": 441.0, "q4_k_m": 517.0}
"""Tokens per second."""


class SampleRun(NamedTuple):
    """The first three arguments of `build_results`, in order."""

    run: dict[str, Any]
    records: pl.DataFrame
    timings: pl.DataFrame


def sample_run() -> SampleRun:
    """Return the run's description, its planned records (failed ones as unscored rows), and its timings."""
    draw = random.Random(20_251)
    rows = [*_gsm8k(draw), *_arc_challenge(draw), *_perplexity(draw, "perplexity_wikitext2", 3.21)]
    rows += _perplexity(draw, "perplexity_ja_wiki", 4.87)
    records = pl.DataFrame(rows, schema=RECORD_SCHEMA)
    timings = pl.DataFrame(_timings(draw, rows), schema=TIMING_SCHEMA)
    return SampleRun(_run(), records, timings)


# --- records ------------------------------------------------------------------------------------


def _row(arm: str, benchmark: str, item_id: str, seed: int, **fields: Any) -> dict[str, Any]:
    row = dict.fromkeys(RECORD_SCHEMA)
    prompt_hash = _sha256(benchmark, item_id)
    row |= {"arm": arm, "benchmark": benchmark, "item_id": item_id, "seed": seed, "prompt_hash": prompt_hash}
    return row | fields


def _gsm8k(draw: random.Random) -> list[dict[str, Any]]:
    rows = []
    for index in range(N_ITEMS):
        ease = draw.gauss(0.3, 1.9)
        gold = draw.randrange(3, 400)
        words = draw.randrange(30, 90)
        for arm in ARMS:
            for seed in SEEDS:
                item_id = f"gsm8k-{index:04d}"
                if arm == "q4_k_m" and 16 <= index < 32 and seed == 2:
                    rows.append(_row(arm, "gsm8k", item_id, seed, outcome="unscored", reason="block_failed"))
                    continue
                rows.append(_answer(draw, arm, item_id, seed, ease=ease, gold=gold, words=words))
    return rows


def _answer(
    draw: random.Random, arm: str, item_id: str, seed: int, *, ease: float, gold: int, words: int
) -> dict[str, Any]:
    tokens = max(4, int(words * draw.uniform(0.7, 1.4) * (0.85 if arm == "q4_k_m" else 1.0)))
    common = {"prompt_tokens": 540 + words, "completion_tokens": tokens}
    if item_id == "gsm8k-0007":
        return _row(arm, "gsm8k", item_id, seed, outcome="unscored", reason="context_too_long", prompt_tokens=9120)
    right = draw.random() < 1 / (1 + math.exp(-(ease + LOGIT_SHIFT[arm])))
    if right:
        text = f" She has {gold - 3} + 3 = {gold} of them in the end.\n#### {gold}"
        fields: dict[str, Any] = {"outcome": "correct", "score": 1.0, "answer": str(gold), "text": text}
        return _row(arm, "gsm8k", item_id, seed, finish_reason="stop", **fields, **common)
    if draw.random() < 0.15:
        text = " 答えを求めるには、まず <b>全部</b> を足して" + " それから" * 5
        fields = {
            "outcome": "wrong",
            "score": 0.0,
            "reason": "cut_at_token_limit",
            "text": text,
            "finish_reason": "length",
        }
        return _row(arm, "gsm8k", item_id, seed, **fields, **common | {"completion_tokens": 512})
    other = gold + draw.choice((-10, -2, 1, 5, 60))
    text = f" So the answer is {other}.\n#### {other}"
    fields = {"outcome": "wrong", "score": 0.0, "reason": None, "answer": str(other), "text": text}
    return _row(arm, "gsm8k", item_id, seed, finish_reason="stop", **fields, **common)


def _arc_challenge(draw: random.Random) -> list[dict[str, Any]]:
    rows = []
    for index in range(N_ITEMS):
        margin, gold = draw.gauss(0.1, 1.2), draw.choice("ABCD")
        for arm in ARMS:
            shifted = margin + LOGIT_SHIFT[arm] / 2 + draw.gauss(0, 0.02 if arm == "q8_0" else 0.22) * (arm != "f16")
            right = shifted > 0
            answer = gold if right else "ABCD"[("ABCD".index(gold) + 1) % 4]
            fields = {"outcome": "correct" if right else "wrong", "score": float(right), "answer": answer}
            tokens = {"prompt_tokens": 60 + index, "completion_tokens": 0}
            rows.append(_row(arm, "arc_challenge", f"arc-{index:04d}", SEEDS[0], **fields, **tokens))
    return rows


def _perplexity(draw: random.Random, benchmark: str, level: float) -> list[dict[str, Any]]:
    rows = []
    for index in range(N_CHUNKS):
        chunk = draw.gauss(level, 0.28)
        for arm in ARMS:
            nll = chunk + (draw.gauss(NLL_SHIFT[arm], 0.009) if arm != "f16" else 0.0)
            fields = {"outcome": "measured", "nll_sum": nll * SCORED_TOKENS, "n_tokens": SCORED_TOKENS}
            tokens = {"prompt_tokens": 512, "completion_tokens": 0}
            rows.append(_row(arm, benchmark, f"{index:06d}", SEEDS[0], **fields, **tokens))
    return rows


def quiet_machine(observed_from: float, observed_s: float) -> dict[str, Any]:
    """Return what is noticed of a machine with two CPUs on which a piece of work has one half for itself."""
    return {
        "machine": "ab12cd34",
        "observed_from": observed_from,
        "observed_s": observed_s,
        "cpus": 2,
        "own_cpu_s": observed_s,
        "all_cpu_s": 1.02 * observed_s,
        "memory_stall_s": 0.0,
    }


def _timings(draw: random.Random, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    blocks: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["reason"] != "block_failed":
            start = int(row["item_id"][-4:]) // BLOCK_ITEMS * BLOCK_ITEMS
            blocks.setdefault((row["arm"], row["benchmark"], f"{start:06d}-{BLOCK_ITEMS}.g0"), []).append(row)
    timings = []
    loaded: set[str] = set()
    for (arm, benchmark, block), members in blocks.items():
        prompt_tokens = sum(row["prompt_tokens"] or 0 for row in members if row["outcome"] != "unscored")
        completion_tokens = sum(row["completion_tokens"] or 0 for row in members)
        prompt_s = prompt_tokens / (DECODE_RATE[arm] * draw.uniform(2.1, 2.6))
        decode_s = completion_tokens / (DECODE_RATE[arm] * draw.uniform(0.94, 1.06))
        timings.append(
            {
                "arm": arm,
                "benchmark": benchmark,
                "block": block,
                "load_s": 0.0 if arm in loaded else round(draw.uniform(0.2, 0.6), 4),
                "prompt_tokens": prompt_tokens,
                "prompt_s": prompt_s,
                "completion_tokens": completion_tokens,
                "decode_s": decode_s,
                "wall_s": prompt_s + decode_s + 0.05,
                "worker_pid": 4000 + ARMS.index(arm),
                "memory": {
                    **dict.fromkeys(("weights_device_bytes", "kv_device_bytes", "compute_device_bytes"), 0),
                    "weights_host_bytes": SIZE_BYTES[arm] - 2**20,
                    "kv_host_bytes": 22_500 * (1024 if benchmark == "gsm8k" else 512),
                    "compute_host_bytes": draw.randrange(20, 30) * 2**20,
                },
                "machine": quiet_machine(len(timings) * 1000.0, prompt_s + decode_s + 0.05),
            }
        )
        loaded.add(arm)
    return timings


# --- the run's description ----------------------------------------------------------------------


def _sha256(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def _run() -> dict[str, Any]:
    return {
        "pipeline_id": "20251122-043000-SmolLM2-135M-Instruct",
        "created_at": "2025-11-22T04:30:00+00:00",
        "command": "python -m jobs.pipeline --model SmolLM2-135M-Instruct.Q4_1.gguf --quantizations f16,q8_0,q4_k_m"
        " --benchmarks gsm8k,arc_challenge,perplexity --runs 3 --limit 40",
        "models": [_model()],
        "arms": [_arm(name) for name in ARMS],
        "imatrices": [_imatrix()],
        "benchmarks": _benchmarks(),
        "settings": _settings(),
        "versions": _versions(),
        "failures": [_failure()],
        "notices": ["The model was given as Q4_1: the reference arm is f16 dequantized from it."],
    }


def _model() -> dict[str, Any]:
    return {
        "name": "SmolLM2-135M-Instruct",
        "path": "/models/SmolLM2-135M-Instruct.Q4_1.gguf",
        "sha256": _sha256("model"),
        "architecture": "llama",
        "n_parameters": PARAMETERS,
        "source_type": "Q4_1",
        "dequantized_from": "Q4_1",
        "size_bytes": 98_088_384,
    }


def _arm(name: str) -> dict[str, Any]:
    quantized = name != "f16"
    fallbacks = {"count": 180, "tensors_quantized": 211, "by_type": {"q5_0": 150, "q8_0": 30}}
    return {
        "name": name,
        "model": "SmolLM2-135M-Instruct",
        "reference": "f16" if quantized else None,
        "recipe": name,
        "method": name,
        "overrides": [],
        "imatrix": "default" if quantized else None,
        "size_bytes": SIZE_BYTES[name],
        "bits_per_weight": SIZE_BYTES[name] * 8 / PARAMETERS,
        "sha256": _sha256("arm", name),
        "dequantized_from": "Q4_1",
        "file": f"artifacts/{name}-{_sha256('arm', name)[:8]}/SmolLM2-135M-Instruct-{name.upper()}.gguf",
        "fallbacks": fallbacks if name == "q4_k_m" else None,
        "quantize_seconds": {"f16": 1.1, "q8_0": 1.9, "q4_k_m": 9.4}[name],
        "failed": None,
    }


def _imatrix() -> dict[str, Any]:
    texts = ["calibration_en.txt", "calibration_ja.txt"]
    return {
        "name": "default",
        "file": f"imatrix/default-{_sha256('imatrix')[:8]}.gguf",
        "sha256": _sha256("imatrix"),
        "n_tokens": 65_536,
        "n_chunks": 128,
        "ctx": 512,
        "group_chunks": 8,
        "rules": {"chunk_shuffle_seed": 7, "parse_special": False, "chat_template": True},
        "texts": [{"name": text, "sha256": _sha256(text), "n_chunks": 64} for text in texts],
        "n_tensors": 210,
        "tokens_per_second": 567.0,
        "seconds": 115.6,
        "n_processes": 2,
    }


def _benchmarks() -> list[dict[str, Any]]:
    gsm8k = {"name": "gsm8k", "kind": "generate", "metric": "accuracy", "n_items_total": 1319, "n_items": N_ITEMS}
    arc = {"name": "arc_challenge", "kind": "choose", "metric": "accuracy", "n_items_total": 1172, "n_items": N_ITEMS}
    measure = {"kind": "measure", "metric": "nll", "n_items_total": 560, "n_items": N_CHUNKS}
    wiki = measure | {"name": "perplexity_wikitext2"}
    ja_wiki = measure | {"name": "perplexity_ja_wiki"}
    titles = {
        "gsm8k": {"ja": "GSM8K(小学校算数)", "en": "GSM8K (grade-school mathematics)"},
        "arc_challenge": {"ja": "ARC-Challenge(理科・多肢選択)", "en": "ARC-Challenge (science, multiple choice)"},
        "perplexity_wikitext2": {"ja": "パープレキシティ(WikiText-2、英語)", "en": "Perplexity (WikiText-2, English)"},
        "perplexity_ja_wiki": {"ja": "パープレキシティ(日本語Wikipedia)", "en": "Perplexity (Japanese Wikipedia)"},
    }
    return [
        benchmark
        | {
            "higher_is_better": benchmark["metric"] == "accuracy",
            "scale": [0.0, 1.0] if benchmark["metric"] == "accuracy" else None,
            "version": 1,
            "shots": 5 if benchmark["name"] == "gsm8k" else 0,
            "seeds": list(SEEDS) if benchmark["name"] == "gsm8k" else [SEEDS[0]],
            "deterministic": benchmark["name"] != "gsm8k",
            "data_hash": _sha256(str(benchmark["name"]), "data"),
            "title": titles[str(benchmark["name"])],
            "source": {"dataset": benchmark["name"], "license": "MIT"},
            "category": CATEGORIES[str(benchmark["name"])],
            "language": "en" if benchmark["kind"] == "generate" else None,
        }
        for benchmark in (gsm8k, arc, wiki, ja_wiki)
    ]


def _settings() -> dict[str, Any]:
    return {
        "runs": len(SEEDS),
        "seed": SEEDS[0],
        "limit": N_ITEMS,
        "sampling": {"temperature": 0.7, "top_p": 0.95, "top_k": 40, "min_p": 0.05, "max_tokens": 512},
        "layout": {"threads": 2, "sequences": 32, "n_batch": 2048, "n_ubatch": 512, "flash_attention": False},
        "calibration": {"mix": "default", "texts": [], "dataset_size": 65_536, "ctx": 512},
        "lang": "both",
    }


def _versions() -> dict[str, Any]:
    packages = {"ray": "2.60.0", "mlflow": "3.17.0", "numpy": "2.4.6", "scipy": "1.17.1", "polars": "2.1.0"}
    own = {"quant_assay": "0.1.0", "python": "3.11.9", "llama_cpp_python": "0.3.36", "cpu_features": "AVX2 FMA F16C"}
    return own | packages | {"altair": "6.3.0"}


def _failure() -> dict[str, Any]:
    return {
        "unit": "gsm8k.q4_k_m 000016-16.g0",
        "phase": "evaluate",
        "arm": "q4_k_m",
        "benchmark": "gsm8k",
        "attempts": 2,
        "error": "LlamaError: llama_decode returned 1: no room in the KV cache",
        "log_tail": ["decode: failed to find a memory slot for batch of size 512"],
    }
