"""Carry out one order of a worker in this process, so that its time and memory can be measured from outside.

`python -m tests.bench.worker ORDER.pickle` prints the manifest as JSON, in the last line of stdout.
"""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import asdict
from pathlib import Path

from actors.evaluation.actor import EvaluationWorker
from actors.orders import PassOrder
from actors.quantization.imatrix import collect
from actors.quantization.quantize import make_arm
from actors.quantization_orders import ImatrixOrder, QuantizeOrder


def main() -> None:
    order = pickle.loads(Path(sys.argv[1]).read_bytes())
    if isinstance(order, PassOrder):
        summaries = EvaluationWorker().evaluate_together(order, [_ignore] * len(order.blocks))
        manifest = {summary.records_path: asdict(summary) for summary in summaries}
    elif isinstance(order, ImatrixOrder):
        manifest = asdict(collect(order, _ignore))
    else:
        assert isinstance(order, QuantizeOrder)
        manifest = asdict(make_arm(order))
    print(json.dumps(manifest))


def _ignore(tokens: int) -> None:
    """Ignore the progress."""


if __name__ == "__main__":
    main()
