"""A small plan with a judged benchmark, and records for it, for tests of judging without Ray and without models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.evaluation.contract import BenchmarkData, BenchmarkSpec
from actors.evaluation.kv_cache import Cache
from actors.items import Generate, Item, Message, Scorer
from actors.json_lines import write_jsonl
from actors.judging.orders import JudgeModel
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.orders import Endpoint
from actors.records import Record
from conf.schema.pipeline import PipelineConfig
from tests.orchestrator.small_plan import make_config, make_inputs, make_small_plan

VALUES = {"benchmarks": ["elyza"], "quantizations": ("f16", "q8_0"), "runs": 2, "imatrix": ["none"]}


def endpoint_judge(name: str, url: str = "http://127.0.0.1:9/v1") -> JudgeModel:
    return JudgeModel(name, Endpoint(url, name, 2, 10.0, 1))


def gguf_judge(name: str) -> JudgeModel:
    return JudgeModel(name, None, gguf_path=f"/{name}.gguf", gguf_sha256="c" * 64, worker_bytes=1000)


def judged_benchmark(n_items: int = 4, then: tuple[str, ...] = ()) -> PlannedBenchmark:
    target = {"criteria": "- 正しい", "references": ["手本"], "category": None}
    items = tuple(
        Item(f"t{n}", Generate((Message("user", f"課題{n}"),), True, (), 16, then=then), target, f"hash{n}")
        for n in range(n_items)
    )
    spec = BenchmarkSpec(
        name="elyza",
        version=1,
        kind="generate",
        metric="judge_score",
        higher_is_better=True,
        shots=0,
        title={"en": "Elyza", "ja": "Elyza"},
        url="",
        licence="",
        revision="",
        scorer=Scorer("judged"),
        scale=(1.0, 5.0),
        rubrics=("elyza_2023", "elyza_strict"),
    )
    data = BenchmarkData(spec, items, n_items_total=n_items, data_hash="d", shots=0, source={})
    return PlannedBenchmark(data, sampled=True, cache=Cache(32, 4096, unified=True), share_prefixes=True)


def judged_plan(
    root: Path, judges: Sequence[JudgeModel], benchmark: PlannedBenchmark | None = None, **values: Any
) -> tuple[Plan, PipelineConfig]:
    """Return a plan in blocks of two items, and its configuration."""
    settings = {**VALUES, "execution": {"block_items": 2, "self_check": False, "attempts": 1}, **values}
    inputs = make_inputs(benchmarks={"tiny": (benchmark or judged_benchmark(),)}, judges=tuple(judges))
    return make_small_plan(root, inputs=inputs, **settings), make_config(**settings)


def write_answers(plan: Plan) -> None:
    """Write the records of all blocks. Every answer has a text of its own."""
    for block in plan.blocks:
        items = plan.benchmark(block.model, block.benchmark).items[block.first : block.first + block.n_items]
        Path(block.records_path).parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(
            block.records_path,
            [
                Record(
                    *(item.item_id, seed, item.prompt_hash, None, "unscored"),
                    reason="no_judge",
                    text=f"{block.arm}の答え{item.item_id}/{seed}",
                    earlier_texts=tuple(f"先の答え{n}" for n in range(len(getattr(item.task, "then", ())))) or None,
                )
                for item in items
                for seed in block.seeds
            ],
        )
