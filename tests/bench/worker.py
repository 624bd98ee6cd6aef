"""The work of one order of a worker in this process, for what it takes to be measured from outside.

`python -m tests.bench.worker ORDER.pickle`; the manifest comes back as JSON, the last line on stdout.
"""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import asdict
from pathlib import Path

from actors.evaluation.actor import EvaluationWorker
from actors.orders import ImatrixOrder, PassOrder, QuantizeOrder
from actors.quantization.imatrix import collect
from actors.quantization.quantize import make_arm


def main() -> None:
    order = pickle.loads(Path(sys.argv[1]).read_bytes())
    if isinstance(order, PassOrder):
        summaries = EvaluationWorker().evaluate_together(order, [_nobody_listens] * len(order.blocks))
        manifest = {summary.records_path: asdict(summary) for summary in summaries}
    elif isinstance(order, ImatrixOrder):
        manifest = asdict(collect(order, _nobody_listens))
    else:
        assert isinstance(order, QuantizeOrder)
        manifest = asdict(make_arm(order))
    print(json.dumps(manifest))


def _nobody_listens(tokens: int) -> None:
    """Progress is not measured."""


if __name__ == "__main__":
    main()
