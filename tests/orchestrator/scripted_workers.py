"""Workers that sleep instead of computing, and write down when and where they did."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import ray

from actors.orders import BlockOrder, PerformanceOrder, ReportTokens
from actors.quantization_orders import ImatrixOrder, QuantizeOrder


class ScriptedMaker:
    """Takes the place of `QuantizationWorker`."""

    def collect_group(self, order: ImatrixOrder, number: int, progress: ReportTokens) -> None:
        time.sleep(0.02)

    def merge(self, order: ImatrixOrder, progress: ReportTokens) -> None:
        time.sleep(0.02)

    def make_arm(self, order: QuantizeOrder) -> None:
        time.sleep(0.2)

    def pid(self) -> int:
        return os.getpid()


class ScriptedEvaluator:
    """Takes the place of `EvaluationWorker`, with times like those of real models."""

    block_s = 20.0
    """Mean time of a block. Real ones take from ten seconds to minutes."""
    load_s = 10.0

    def __init__(self) -> None:
        self._loaded: str | None = None

    def evaluate(self, order: BlockOrder, progress: ReportTokens) -> None:
        """Sleep as long as the block takes, and write that into the place of its records."""
        self._work(order.arm, order.records_path)

    def measure_performance(self, order: PerformanceOrder, progress: ReportTokens) -> None:
        self._work(order.arm, order.output_path)

    def pid(self) -> int:
        return os.getpid()

    def _work(self, arm: str, path: str) -> None:
        begun = time.time()
        if self._loaded != arm:
            time.sleep(self.load_s)
            self._loaded = arm
        loaded = time.time()
        time.sleep(self.block_s * random.Random(path).uniform(0.5, 1.5))
        context: Any = ray.get_runtime_context()
        lines = {"arm": arm, "begun": begun, "loaded": loaded, "ended": time.time(), "node": context.get_node_id()}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        half = Path(f"{path}.half")
        half.write_text(json.dumps(lines | {"cards": ray.get_gpu_ids(), "pid": os.getpid()}), encoding="utf-8")
        half.rename(path)


class BriskEvaluator(ScriptedEvaluator):
    """One for tests that don't ask how busy it is."""

    block_s = 2.0
    load_s = 1.0
