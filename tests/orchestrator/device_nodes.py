"""Pretended machines with cards, and a plan of a large model on them, of which only the header exists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.evaluation.kv_cache import Cache
from actors.llama.devices import Device
from actors.llama.shape import ModelShape, Weights
from actors.nodes import NodeFacts
from actors.orchestrator.memory_limits import NO_LIMITS, MemoryLimits
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.inputs import KnownWeights, PlannedBenchmark
from tests.orchestrator.small_plan import KINDS, deterministic, make_inputs, make_small_plan, modified, sampled
from tests.orchestrator.test_passes import text
from tests.tiny_model import TinyShape

GIB = 2**30
SHAPES = {
    "8B": TinyShape(4096, 32, 14_336, 32, 8, 8192, n_vocab=128_256),  # Llama-3-8B
    "32B": TinyShape(5120, 64, 27_648, 40, 8, 32_768, n_vocab=152_064),  # Qwen2.5-32B
    "70B": TinyShape(8192, 80, 28_672, 64, 8, 8192, n_vocab=128_256),  # Llama-3-70B
    "8x7B": TinyShape(4096, 32, 14_336, 32, 8, 32_768, 8, 32_000),  # Mixtral-8x7B
}
BUILD = {"llama_cpp_python": "1", "cpu_features": "AVX"}


def node(
    cards: int,
    gib: float,
    *,
    name: str = "a",
    kind: str = "H100",
    label: str | None = None,
    memory_gib: float = 512,
    cpus: float = 64,
    backend: str = "CUDA",
) -> NodeFacts:
    devices = tuple(
        Device(f"{backend}{number}", kind, backend, round(gib * GIB), round(gib * GIB)) for number in range(cards)
    )
    return NodeFacts(name, name, cpus, memory_gib * GIB, float(cards), devices, BUILD, accelerator_type=label)


def known_of(model: str) -> tuple[ModelShape, dict[str, Weights]]:
    """Return the shape of a large model and the weights of its arms. Those of 4 bits are about right."""
    one = SHAPES[model]
    kv, matrix = one.n_embd * one.n_kv_heads // one.n_heads, 2 * one.n_embd * one.n_vocab
    experts = one.n_experts or 1
    attention = 2 * (2 * one.n_embd**2 + 2 * one.n_embd * kv) + 8 * one.n_embd
    router = 4 * one.n_experts * one.n_embd
    layer = attention + router + 2 * 3 * experts * one.n_embd * one.n_ff
    f16 = Weights(matrix, (layer,) * one.n_layers, matrix + 4 * one.n_embd, tied=False)
    columns = (4 + 2 * experts + bool(one.n_experts)) * one.n_embd + experts * one.n_ff
    width = one.n_ff * (2 if one.n_experts else 1)
    largest = max(one.n_vocab * one.n_embd, experts * one.n_embd * one.n_ff)
    kv_bytes = (4 * kv,) * one.n_layers
    shape = ModelShape(
        f16,
        kv_bytes,
        (0,) * one.n_layers,
        one.n_vocab,
        one.n_embd,
        width,
        one.n_heads,
        n_columns=columns * one.n_layers,
        largest_elements=largest,
    )
    sizes = {"q8_0": 8.5 / 16, "q4_k_m": 4.82 / 16}
    return shape, {"f16": f16} | {kind: f16.scaled_to(round(f16.total_bytes * part)) for kind, part in sizes.items()}


def asked(cells: int) -> PlannedBenchmark:
    return replace(sampled(), cache=Cache(32, cells, unified=True))


def device_plan(
    root: Path,
    nodes: tuple[NodeFacts, ...],
    known: tuple[ModelShape, dict[str, Weights]],
    *,
    cells: int = 8704,
    benchmarks: tuple[PlannedBenchmark, ...] | None = None,
    limits: MemoryLimits = NO_LIMITS,
    **values: Any,
) -> Plan:
    """Return the plan of f16, q8_0 and q4_k_m on these machines."""
    shape, weights = known
    made = {("tiny", kind, weighted): weights[kind] for kind in KINDS for weighted in (False, True)}
    chosen = benchmarks or (asked(cells), deterministic(), modified(text(), n_ctx=1024))
    inputs = make_inputs(
        nodes=nodes,
        known=KnownWeights(shapes={"tiny": shape}, made=made),
        predicted_bytes={name: one.total_bytes for name, one in made.items()},
        benchmarks={"tiny": chosen},
        limits=limits,
    )
    return make_small_plan(root, inputs=inputs, **values)
