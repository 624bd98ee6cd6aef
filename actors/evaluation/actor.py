"""The evaluation worker: keeps one GGUF loaded (or an endpoint open), and writes the blocks that it is given.

A plain class: `ray.remote` is applied where it is started.
"""

from __future__ import annotations

import os

from actors.evaluation.engines import Engine
from actors.evaluation.engines.llama import LlamaEngine
from actors.evaluation.engines.openai import OpenAIEngine
from actors.evaluation.evaluate import (
    BlockSummary,
    calls_function,
    evaluate_block,
    evaluate_call,
    summarize,
    write_block,
)
from actors.evaluation.self_check import PartReport, run_check
from actors.work import BlockOrder, CheckOrder, Endpoint, EngineLayout, ReportTokens
from conf.load import read_endpoint_key


class EvaluationWorker:
    """Evaluates blocks, one at a time."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._loaded: tuple[str, EngineLayout, str | None, Endpoint | None] | None = None

    def evaluate(self, order: BlockOrder, progress: ReportTokens) -> BlockSummary:
        """Decode, score and write one block.

        Raises `LlamaError`, after which the model is loaded afresh, `FunctionFailed` or `EndpointFailed`.
        """
        try:
            if calls_function(order):
                self.close()  # the function loads the model itself: twice might be too much
                result = evaluate_call(order)
            else:
                result = evaluate_block(order, self._engine_for(order), progress)
        except BaseException:
            self.close()
            raise
        write_block(order, result)
        return summarize(order, result)

    def check(self, order: CheckOrder, progress: ReportTokens) -> tuple[PartReport, ...]:
        """Compare an arm with decoding one sequence at a time. Raises `LlamaError` where they disagree."""
        self.close()  # the check loads the model twice over
        return run_check(order, progress)

    def pid(self) -> int:
        """Process of this worker, for those who watch its memory."""
        return os.getpid()

    def close(self) -> None:
        """Free the model. The next block loads its own."""
        engine, self._engine, self._loaded = self._engine, None, None
        if engine is not None:
            engine.close()

    def _engine_for(self, order: BlockOrder) -> Engine:
        wanted = (order.gguf_path, order.layout, order.chat_template, order.endpoint)
        if self._engine is None or self._loaded != wanted:
            self.close()
            if order.endpoint is not None:
                self._engine = OpenAIEngine(order.endpoint, read_endpoint_key())
            else:
                self._engine = LlamaEngine(order.gguf_path, order.layout, order.chat_template)
            self._loaded = wanted
        return self._engine
