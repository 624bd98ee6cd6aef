"""The quantization worker: collects importance matrices and makes arms, one order at a time.

A plain class; the orchestrator makes a Ray actor of it. The work itself is in `decoder`, `imatrix` and `quantize`.
"""

from __future__ import annotations

import os

from actors.orders import ImatrixOrder, QuantizeOrder, ReportTokens
from actors.quantization.decoder import GroupDecoder
from actors.quantization.imatrix import ImatrixManifest, merge
from actors.quantization.quantize import ArmManifest, make_arm


class QuantizationWorker:
    """Works in a process of its own, so that a crash of native code takes nothing else with it."""

    def __init__(self) -> None:
        self._decoder = GroupDecoder()

    def collect_group(self, order: ImatrixOrder, number: int, progress: ReportTokens) -> None:
        """Decode and save one group of an importance matrix; the model stays loaded for the next.

        `progress` is told the tokens done since the last call.
        """
        self._decoder.decode(order, [number], progress)

    def merge(self, order: ImatrixOrder, progress: ReportTokens) -> ImatrixManifest:
        """Add the groups of an importance matrix up, and write it."""
        return merge(order, self._decoder, progress)

    def make_arm(self, order: QuantizeOrder) -> ArmManifest:
        """Make one GGUF, verified, with its manifest."""
        self._decoder.close()  # quantizing needs the memory
        return make_arm(order)

    def pid(self) -> int:
        """Of the worker's process."""
        return os.getpid()
