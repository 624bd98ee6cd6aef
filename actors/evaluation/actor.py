"""The evaluation worker: keeps its GGUFs loaded, and writes the blocks that it is given.

A plain class: `ray.remote` is applied where it is started.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from actors.evaluation.engines.llama import LlamaEngine
from actors.evaluation.evaluate import BlockResult, BlockSummary, evaluate_block, summarize, write_block
from actors.evaluation.evaluate_pass import evaluate_pass
from actors.evaluation.performance import measure_performance
from actors.work import BlockOrder, EngineLayout, PassOrder, PerformanceOrder, ReportTokens


class EvaluationWorker:
    """Evaluates blocks, one at a time."""

    def __init__(self) -> None:
        self._engines: dict[tuple[str, EngineLayout], LlamaEngine] = {}
        """What is loaded: one model, or a reference and the arms of a pass."""

    def evaluate(self, order: BlockOrder, progress: ReportTokens) -> BlockSummary:
        """Decode, score and write one block. Raises `LlamaError`, after which the model is loaded afresh."""
        try:
            (engine,) = self._load([(order.gguf_path, order.layout)])
            result = evaluate_block(order, engine, progress)
        except BaseException:
            self.close()
            raise
        write_block(order, result)
        return summarize(order, result)

    def evaluate_together(self, order: PassOrder, progress: Sequence[ReportTokens]) -> tuple[BlockSummary, ...]:
        """Decode blocks of several arms beside their reference, and write each. Raises like `evaluate`."""
        try:
            results = self._evaluate_pass(order, progress)
        except BaseException:
            self.close()
            raise
        for block, result in zip(order.blocks, results, strict=True):
            write_block(block, result)
        return tuple(summarize(block, result) for block, result in zip(order.blocks, results, strict=True))

    def _evaluate_pass(self, order: PassOrder, progress: Sequence[ReportTokens]) -> list[BlockResult]:
        common = order.blocks[0].reference
        if common is None:
            raise TypeError("the blocks of a pass have a reference")
        wanted = [(block.gguf_path, block.layout) for block in order.blocks]
        reference, *engines = self._load([(common.gguf_path, common.layout), *wanted])
        return evaluate_pass(order, reference, engines, progress)

    def measure_performance(self, order: PerformanceOrder, progress: ReportTokens) -> None:
        """Measure load time, speed and memory of an arm, and write them. Raises `LlamaError`."""
        self.close()  # what else is loaded would count
        measure_performance(order, progress)

    def pid(self) -> int:
        """Process of this worker, for those who watch its memory."""
        return os.getpid()

    def close(self) -> None:
        """Free all models. The next block loads its own."""
        engines, self._engines = self._engines, {}
        for engine in engines.values():
            engine.close()

    def _load(self, wanted: Sequence[tuple[str, EngineLayout]]) -> list[LlamaEngine]:
        """The engines of these models, each loaded once; others make room first."""
        for loaded in [one for one in self._engines if one not in wanted]:
            self._engines.pop(loaded).close()
        for one in wanted:
            if one not in self._engines:
                self._engines[one] = LlamaEngine(*one)
        return [self._engines[one] for one in wanted]
