"""A small plan for tests: one quantized model, three arms, one sampled benchmark and one deterministic benchmark."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from actors.evaluation.contract import BenchmarkData, BenchmarkSpec, Kind
from actors.evaluation.kv_cache import Cache
from actors.items import Choose, Generate, Item, Message, Scorer
from actors.nodes import NodeFacts
from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.make_plan import make_plan
from actors.orchestrator.sources.inputs import Inputs, PlannedBenchmark, SourceImatrix, SourceModel
from actors.quantization_orders import CalibrationText
from actors.recipes import Recipe
from actors.store import RunDirectory
from conf.schema.pipeline import PipelineConfig

MODEL = SourceModel("tiny", "/models/tiny.Q4_1.gguf", "a" * 64, "llama", 1000, 600, 10, "Q4_1", "Q4_1")
KINDS = ("f16", "q8_0", "q4_k_m")


def make_config(**values: Any) -> PipelineConfig:
    base: dict[str, Any] = {
        "models": [{"name": "tiny", "path": MODEL.path}],
        "quantizations": KINDS,
        "benchmarks": ["asked", "chosen"],
        "runs": 3,
    }
    return PipelineConfig.model_validate(base | values)


def sampled(n_items: int = 40, total: int = 100) -> PlannedBenchmark:
    items = tuple(
        Item(f"q{n:03}", Generate((Message("user", "2+2?"),), False, (), 16), "4", f"hash{n}") for n in range(n_items)
    )
    spec = _spec("asked", "generate", shots=8, scorer="number")
    data = BenchmarkData(spec, items, n_items_total=total, data_hash="d1", shots=8, source={})
    return PlannedBenchmark(data, sampled=True, cache=Cache(32, 4096, unified=True), share_prefixes=True)


def deterministic(n_items: int = 40) -> PlannedBenchmark:
    items = tuple(
        Item(f"c{n:03}", Choose((Message("user", "x"),), False, (" a", " b")), 0, f"hash{n}") for n in range(n_items)
    )
    spec = _spec("chosen", "choose", shots=0, scorer="choice_loglik")
    data = BenchmarkData(spec, items, n_items_total=n_items, data_hash="d2", shots=0, source={})
    return PlannedBenchmark(data, sampled=False, cache=Cache(32, 512, unified=True), share_prefixes=True)


def _spec(name: str, kind: Kind, *, shots: int, scorer: str) -> BenchmarkSpec:
    return BenchmarkSpec(
        name=name,
        version=1,
        kind=kind,
        metric="accuracy",
        higher_is_better=True,
        shots=shots,
        title={"en": name.capitalize()},
        url="",
        licence="",
        revision="",
        scorer=Scorer(scorer),
    )


def modified(benchmark: PlannedBenchmark, **values: Any) -> PlannedBenchmark:
    """Return the benchmark with some values replaced, whichever of its parts holds them."""
    spec, data, cache = benchmark.spec, benchmark.data, benchmark.cache
    spec = replace(spec, **{one.name: values.pop(one.name) for one in fields(spec) if one.name in values})
    data = replace(data, spec=spec, **{one.name: values.pop(one.name) for one in fields(data) if one.name in values})
    cache = replace(cache, **{one.name: values.pop(one.name) for one in fields(cache) if one.name in values})
    return replace(benchmark, data=data, cache=cache, **values)


def make_inputs(**values: Any) -> Inputs:
    base: dict[str, Any] = {
        "models": (MODEL,),
        "arms": (),
        "imatrices": (SourceImatrix("default", texts=(CalibrationText("/text", "b" * 64, 1.0),)),),
        "recipes": {kind: (Recipe(kind, kind.upper(), kind),) for kind in KINDS},
        "benchmarks": {"tiny": (sampled(), deterministic())},
        "predicted_bytes": {("tiny", kind, weighted): 600 for kind in KINDS for weighted in (False, True)},
        "nodes": (NodeFacts("", "here", 2.0, 2.0**34, 0.0, (), {"llama_cpp_python": "1", "cpu_features": "AVX"}),),
    }
    return Inputs(**(base | values))


def make_small_plan(
    root: Path, known: dict[str, Any] | None = None, inputs: Inputs | None = None, **values: Any
) -> Plan:
    return make_plan(make_config(**values), "p", RunDirectory(root / "p"), inputs or make_inputs(), known or {})
