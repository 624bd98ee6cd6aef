"""The process in which a user's `evaluate_custom_benchmark` runs; `custom_function` starts it as a program of its own.

Reads one JSON object (`file`, `model_path`, `config`, `result`) and writes what the function gave back to `result`, as
JSON. Whatever the function prints or raises goes to the standard error, which the other side keeps.
"""

import ctypes
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

FUNCTION = "evaluate_custom_benchmark"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Import the file and call its function."""
    # Killed with the worker that started it: nobody would be left to stop it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    order = json.load(sys.stdin)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    path = Path(order["file"])
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    given = getattr(module, FUNCTION)(order["model_path"], order["config"])
    Path(order["result"]).write_text(json.dumps(given, allow_nan=False, default=_number), encoding="utf-8")


def _number(value: object) -> object:
    """numpy's numbers are not json's."""
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{FUNCTION} gave back a {type(value).__name__}; allowed: numbers, texts, lists and mappings")
    return item()


if __name__ == "__main__":
    main()
