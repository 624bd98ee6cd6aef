"""The evaluation worker: it keeps its GGUFs loaded (or an endpoint open) and evaluates the blocks it is given.

It is a plain class. `ray.remote` is applied where it is started.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from actors.engines import Engine
from actors.engines.llama import LlamaEngine
from actors.evaluation.evaluate import (
    BlockResult,
    BlockSummary,
    calls_function,
    evaluate_block,
    evaluate_call,
    summarize,
    write_block,
)
from actors.evaluation.evaluate_pass import evaluate_pass
from actors.evaluation.performance import measure_performance
from actors.evaluation.self_check import PartReport, run_check
from actors.items import TemplateUse
from actors.llama.layout import EngineLayout
from actors.llama.loaded import LoadedModels
from actors.orders import BlockOrder, CheckOrder, Endpoint, PassOrder, PerformanceOrder, ReportTokens
from conf.environment import read_endpoint_key

if TYPE_CHECKING:
    from actors.engines.openai import OpenAIEngine

_ModelKey = tuple[str, EngineLayout, TemplateUse | None]
"""A GGUF's path, how it is decoded, and how its chat template is used."""


class EvaluationWorker:
    """A worker that evaluates one block, or one pass, at a time."""

    def __init__(self) -> None:
        self._models = LoadedModels()
        """The loaded models: one, or the reference and the arms of a pass."""
        self._engines: dict[_ModelKey, LlamaEngine] = {}
        """Their contexts."""
        self._endpoint: tuple[tuple[Endpoint, TemplateUse | None], OpenAIEngine] | None = None

    def evaluate(self, order: BlockOrder, progress: ReportTokens) -> BlockSummary:
        """Decode, score and write one block.

        Raises `LlamaError`, `FunctionFailed` or `EndpointFailed`. After any error the next block loads its model anew.
        """
        with self._closed_by_errors():
            if calls_function(order):
                self.close()  # the function loads the model itself, and memory may not hold it twice
                result = evaluate_call(order)
            else:
                result = evaluate_block(order, self._engine_for(order), progress)
        write_block(order, result)
        return summarize(order, result)

    def evaluate_together(self, order: PassOrder, progress: Sequence[ReportTokens]) -> tuple[BlockSummary, ...]:
        """Decode blocks of several arms beside their reference, and write each. Raise the same errors as `evaluate`."""
        with self._closed_by_errors():
            results = self._evaluate_pass(order, progress)
        for block, result in zip(order.blocks, results, strict=True):
            write_block(block, result)
        return tuple(summarize(block, result) for block, result in zip(order.blocks, results, strict=True))

    @contextlib.contextmanager
    def _closed_by_errors(self) -> Iterator[None]:
        """Close the models after any error of the block: their state is unknown then."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _evaluate_pass(self, order: PassOrder, progress: Sequence[ReportTokens]) -> list[BlockResult]:
        common = order.blocks[0].reference
        if common is None:
            raise TypeError("the blocks of a pass must have a reference")
        # Text is decoded without a chat template, so the one in the file need not be replaced.
        wanted: list[_ModelKey] = [(block.gguf_path, block.layout, None) for block in order.blocks]
        reference, *engines = self._load([(common.gguf_path, common.layout, None), *wanted])
        return evaluate_pass(order, reference, engines, progress)

    def measure_performance(self, order: PerformanceOrder, progress: ReportTokens) -> None:
        """Measure load time, speed and memory of an arm, and write them. Raise `LlamaError` if the model fails."""
        self.close()  # anything else that is loaded would be measured too
        with self._closed_by_errors():
            measure_performance(order, progress, self._models)

    def check(self, order: CheckOrder, progress: ReportTokens) -> tuple[PartReport, ...]:
        """Compare batched decoding with decoding one sequence at a time. Raise `LlamaError` if they disagree."""
        self._close_engines()  # the check makes contexts of its own
        with self._closed_by_errors():
            return run_check(order, progress, self._models)

    def pid(self) -> int:
        """Return this worker's process id, so that its memory can be watched."""
        return os.getpid()

    def close(self) -> None:
        """Free all models and close the endpoint."""
        self._close_engines()
        self._models.close()
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint[1].close()

    def _close_engines(self) -> None:
        engines, self._engines = self._engines, {}
        for engine in engines.values():
            engine.close()

    def _engine_for(self, order: BlockOrder) -> Engine:
        if order.endpoint is None:
            (engine,) = self._load([_model_key(order)])
            return engine
        asked = order.endpoint, order.chat_template
        if self._endpoint is None or self._endpoint[0] != asked:
            # Imported here, because few runs have an endpoint and its client takes a second to import.
            from actors.engines.openai import OpenAIEngine

            self.close()
            self._endpoint = (asked, OpenAIEngine(order.endpoint, read_endpoint_key(), order.chat_template))
        return self._endpoint[1]

    def _load(self, wanted: Sequence[_ModelKey]) -> list[LlamaEngine]:
        """Return the engines of these models. Free all others first, and load each missing file once."""
        for loaded in [one for one in self._engines if one not in wanted]:
            self._engines.pop(loaded).close()
        models = self._models.open([(path, layout) for path, layout, _ in wanted])
        for one, model in zip(wanted, models, strict=True):
            if one not in self._engines:
                self._engines[one] = LlamaEngine(*one, model=model)
        return [self._engines[one] for one in wanted]


def _model_key(order: BlockOrder) -> _ModelKey:
    return order.gguf_path, order.layout, order.chat_template
