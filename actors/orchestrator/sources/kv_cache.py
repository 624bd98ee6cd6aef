"""The KV cache of each benchmark: how many cells the memory budget allows.

`actors.evaluation.kv_cache` then chooses a cache with at most that many cells.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import psutil

from actors.evaluation.contract import BenchmarkData
from actors.evaluation.kv_cache import Cache, CacheNeed, cache_need, choose_cache
from actors.llama.model import Model
from actors.orchestrator.sources.inputs import SourceModel
from actors.orders import TemplateUse
from conf.faults import BadInput, Fault
from conf.schema import PipelineConfig

CACHE_SHARE = 0.25
"""Share of the machine's memory for a worker's KV cache if `layout.kv_cache_mib` is not set."""


def cache_for(
    config: PipelineConfig,
    data: BenchmarkData,
    model: SourceModel,
    vocabulary: Model,
    uses: Sequence[TemplateUse | None],
    *,
    share: bool,
    use_gpu: bool,
) -> Cache:
    """Choose the KV cache for a benchmark's blocks.

    Args:
        uses: how the arms of the model use its chat template. One cache is right for all of them.
        share: True if sequences can share a prefix, that is, if the model's memory can be forked.
        use_gpu: True if the model runs on a GPU. The cache then has no limit unless the configuration sets one.

    Raises:
        BadInput: the memory does not even hold the sequences of one question.
    """
    needs = [cache_need(data, sampling=config.sampling, vocabulary=vocabulary, chat_template=use) for use in uses]
    need = functools.reduce(CacheNeed.or_more, needs)
    budget_bytes = cache_bytes(config, use_gpu=use_gpu)
    most_cells = None
    if budget_bytes is not None and model.kv_bytes_per_cell:
        most_cells = budget_bytes // model.kv_bytes_per_cell
    if need.at_once > config.layout.sequences:
        allowed = f"at least {need.at_once}, the number of choices per question of {data.spec.name}"
        raise BadInput(Fault("layout.sequences", config.layout.sequences, allowed))
    cache = choose_cache(need, config.layout.sequences, share=share, most_cells=most_cells)
    if cache is None:
        # Without a budget there always is a cache.
        got_mib = (budget_bytes or 0) // 2**20
        least = need.unified_cells(need.at_once) if share else need.cells_by_sequence(need.at_once)
        least_mib = -(-least * model.kv_bytes_per_cell // 2**20)
        raise BadInput(
            Fault(
                "layout.kv_cache_mib",
                got_mib,
                f"at least {least_mib} MiB, for the longest sequence of {data.spec.name} with {model.name}",
                "Raise it, use a machine with more memory, or lower --max-tokens (or chat.NAME.thinking_tokens).",
            )
        )
    return cache


def cache_bytes(config: PipelineConfig, *, use_gpu: bool) -> int | None:
    """Return the memory for a worker's KV cache. None: no limit."""
    if config.layout.kv_cache_mib is not None:
        return config.layout.kv_cache_mib * 2**20
    return None if use_gpu else int(psutil.virtual_memory().total * CACHE_SHARE)
