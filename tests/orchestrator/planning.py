"""A small plan for tests: one quantized model, three arms, one sampled and one deterministic benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.make_plan import make_plan
from actors.orchestrator.sources.inputs import Inputs, PlannedBenchmark, SourceImatrix, SourceModel
from actors.orders import CalibrationText, Choose, Generate, Item, Message, Scorer
from actors.recipes import Recipe
from actors.store import RunDirectory
from conf.schema import PipelineConfig

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
    return PlannedBenchmark(
        "asked",
        1,
        "generate",
        "accuracy",
        True,
        items,
        total,
        "d1",
        Scorer("number"),
        8,
        {"en": "Asked"},
        {},
        True,
        4096,
        32,
        True,
        True,
    )


def deterministic(n_items: int = 40) -> PlannedBenchmark:
    items = tuple(
        Item(f"c{n:03}", Choose((Message("user", "x"),), False, (" a", " b")), 0, f"hash{n}") for n in range(n_items)
    )
    return PlannedBenchmark(
        "chosen",
        1,
        "choose",
        "accuracy",
        True,
        items,
        n_items,
        "d2",
        Scorer("choice_loglik"),
        0,
        {"en": "Chosen"},
        {},
        False,
        512,
        32,
        True,
        True,
    )


def make_inputs(**values: Any) -> Inputs:
    base: dict[str, Any] = {
        "models": (MODEL,),
        "arms": (),
        "imatrices": (SourceImatrix("default", texts=(CalibrationText("/text", "b" * 64, 1.0),)),),
        "recipes": {kind: (Recipe(kind, kind.upper(), kind),) for kind in KINDS},
        "benchmarks": {"tiny": (sampled(), deterministic())},
        "predicted_bytes": {("tiny", kind, weighted): 600 for kind in KINDS for weighted in (False, True)},
        "build": {"llama_cpp_python": "1", "cpu_features": "AVX"},
        "use_gpu": False,
    }
    return Inputs(**(base | values))


def make_small_plan(
    root: Path, known: dict[str, Any] | None = None, inputs: Inputs | None = None, **values: Any
) -> Plan:
    return make_plan(make_config(**values), "p", RunDirectory(root / "p"), inputs or make_inputs(), known or {})
