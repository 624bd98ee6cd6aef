"""The KV cache of each benchmark, by the work there is and the memory that this machine has.

How a cache is chosen within a number of cells stands in `actors.evaluation.context_need`; here it is said how many
there may be, and what to do where they are too few. A GPU's memory is not known beforehand: where llama.cpp gets none,
the pipeline is planned anew with half of the largest cache, and its run directory remembers that.
"""

from __future__ import annotations

import psutil

from actors.evaluation.benchmarks import cache_need
from actors.evaluation.context_need import Cache, choose_cache
from actors.evaluation.contract import BenchmarkData
from actors.llama.model import Model
from actors.orchestrator.inputs import SourceModel
from actors.orchestrator.plan import Plan
from actors.store import RunDirectory, read_json
from conf.faults import BadInput, Fault
from conf.schema import PipelineConfig

CACHE_SHARE = 0.25
"""Of the machine's memory, for a worker's KV cache where `layout.kv_cache_mib` says nothing."""


def limited(config: PipelineConfig, run: RunDirectory) -> PipelineConfig:
    """The configuration with the limit that a run has found for itself, unless a smaller one is given."""
    if not run.cache_limit.exists():
        return config
    found, given = int(read_json(run.cache_limit)["kv_cache_mib"]), config.layout.kv_cache_mib
    return config if given is not None and given <= found else _with_limit(config, found)


def halved(config: PipelineConfig, plan: Plan) -> PipelineConfig | None:
    """The configuration with half of the plan's largest cache as its limit; None where that is nothing any more."""
    per_cell = {model.name: model.kv_bytes_per_cell for model in plan.models}
    largest = max((block.layout.n_ctx * per_cell[block.model] for block in plan.blocks), default=0)
    mib = largest // 2 // 2**20
    return _with_limit(config, mib) if mib else None


def _with_limit(config: PipelineConfig, mib: int) -> PipelineConfig:
    return config.model_copy(update={"layout": config.layout.model_copy(update={"kv_cache_mib": mib})})


def cache_for(
    config: PipelineConfig,
    data: BenchmarkData,
    model: SourceModel,
    vocabulary: Model,
    chat_template: str | None,
    *,
    share: bool,
    use_gpu: bool,
) -> Cache:
    """The KV cache of a benchmark's blocks. Raises `BadInput` where not even one sequence has room."""
    need = cache_need(data, sampling=config.sampling, vocabulary=vocabulary, chat_template=chat_template)
    budget_bytes = _cache_bytes(config, use_gpu=use_gpu)
    most_cells = None
    if budget_bytes is not None and model.kv_bytes_per_cell:
        most_cells = budget_bytes // model.kv_bytes_per_cell
    if need.at_once > config.layout.sequences:
        raise BadInput(
            Fault("layout.sequences", config.layout.sequences, f"at least {need.at_once}, the choices of {data.name}")
        )
    cache = choose_cache(need, config.layout.sequences, share=share, most_cells=most_cells)
    if cache is None:
        # There is no cache only where there is a budget.
        got_mib = (budget_bytes or 0) // 2**20
        least = need.unified_cells(need.at_once) if share else need.cells_by_sequence(need.at_once)
        least_mib = -(-least * model.kv_bytes_per_cell // 2**20)
        raise BadInput(
            Fault(
                "layout.kv_cache_mib",
                got_mib,
                f"at least {least_mib} MiB, for the longest sequence of {data.name} with {model.name}",
                "Raise it, use a machine with more memory, or lower --max-tokens.",
            )
        )
    return cache


def _cache_bytes(config: PipelineConfig, *, use_gpu: bool) -> int | None:
    if config.layout.kv_cache_mib is not None:
        return config.layout.kv_cache_mib * 2**20
    return None if use_gpu else int(psutil.virtual_memory().total * CACHE_SHARE)
