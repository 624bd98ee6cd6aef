"""The quantization worker: collects importance matrices and makes arms, one order at a time.

A plain class; the orchestrator turns it into a Ray actor. The work itself is in `decoder`, `imatrix` and `quantize`.
"""

from __future__ import annotations

import os

from actors.orders import ReportTokens
from actors.quantization.decoder import GroupDecoder
from actors.quantization.imatrix import ImatrixManifest, merge
from actors.quantization.quantize import ArmManifest, make_arm
from actors.quantization_orders import ImatrixOrder, QuantizeOrder


class QuantizationWorker:
    """The quantization role. It runs in its own process, so that a crash in native code takes down nothing else."""

    def __init__(self) -> None:
        self._decoder = GroupDecoder()

    def collect_group(self, order: ImatrixOrder, number: int, progress: ReportTokens) -> None:
        """Decode one group of an importance matrix and save it. The model stays loaded for the next group.

        `progress` is called with the number of tokens done since the last call.
        """
        self._decoder.decode(order, [number], progress)

    def merge(self, order: ImatrixOrder, progress: ReportTokens) -> ImatrixManifest:
        """Add up the groups of an importance matrix and write the file and its manifest."""
        return merge(order, self._decoder, progress)

    def make_arm(self, order: QuantizeOrder) -> ArmManifest:
        """Make one GGUF, verify it, and write its manifest."""
        self._decoder.close()  # quantizing needs the memory
        return make_arm(order)

    def pid(self) -> int:
        """Return the process id of the worker."""
        return os.getpid()
