"""All benches by name. To add one, write a file in this folder and add a line here."""

from __future__ import annotations

from tests.bench import divergence, evaluation, imatrix, memory, own_share, quantization, statistics_speed
from tests.bench.frame import Bench

BENCHES: dict[str, Bench] = {
    "imatrix": imatrix.BENCH,
    "quantization": quantization.BENCH,
    "divergence": divergence.BENCH,
    "evaluation": evaluation.BENCH,
    "own-share": own_share.BENCH,
    "statistics": statistics_speed.BENCH,
    "memory": memory.BENCH,
}
