"""The quantization worker: collects importance matrices and makes arms, one order at a time.

A plain class; the orchestrator makes a Ray actor of it. The work itself is in `imatrix` and `quantize`.
"""

from __future__ import annotations

import os

from actors.quantization.imatrix import ImatrixManifest, collect
from actors.quantization.quantize import ArmManifest, make_arm
from actors.work import ImatrixOrder, QuantizeOrder, ReportTokens


class QuantizationWorker:
    """Works in a process of its own, so that a crash of native code takes nothing else with it."""

    def collect(self, order: ImatrixOrder, progress: ReportTokens) -> ImatrixManifest:
        """Collect an importance matrix. `progress` is told the tokens done since the last call."""
        return collect(order, progress)

    def make_arm(self, order: QuantizeOrder, progress: ReportTokens) -> ArmManifest:
        """Make one GGUF, verified, with its manifest."""
        return make_arm(order, progress)

    def pid(self) -> int:
        """Of the worker's process."""
        return os.getpid()
