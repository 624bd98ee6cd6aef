"""The work of one order of the quantization worker in this process, for what it takes to be measured from outside.

`python -m tests.bench.worker ORDER.pickle`; the manifest comes back as JSON, the last line on stdout.
"""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import asdict
from pathlib import Path

from actors.quantization.imatrix import collect
from actors.quantization.quantize import make_arm
from actors.work import ImatrixOrder, QuantizeOrder


def main() -> None:
    order = pickle.loads(Path(sys.argv[1]).read_bytes())
    if isinstance(order, ImatrixOrder):
        manifest = asdict(collect(order, _nobody_listens))
    else:
        assert isinstance(order, QuantizeOrder)
        manifest = asdict(make_arm(order, _nobody_listens))
    print(json.dumps(manifest))


def _nobody_listens(tokens: int) -> None:
    """Progress is not measured."""


if __name__ == "__main__":
    main()
