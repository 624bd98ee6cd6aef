"""The program in which a custom `evaluate_custom_benchmark` runs. `custom_function` starts it in a process of its own.

It reads one JSON object (`file`, `model_path`, `config`, `result`) and writes what the function returns to the file
`result`, as JSON. Everything the function prints or raises goes to standard error, which `custom_function` keeps.
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
    # Have the kernel kill this process when its worker dies, because nothing else would stop it then.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    order = json.load(sys.stdin)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    path = Path(order["file"])
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    given = getattr(module, FUNCTION)(order["model_path"], order["config"])
    Path(order["result"]).write_text(json.dumps(given, default=_plain), encoding="utf-8")


def _plain(value: object) -> object:
    """Convert a number of numpy to one that `json` can write. A complex number becomes a text, which is no score."""
    if isinstance(value, complex):
        return str(value)
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{FUNCTION} returned a {type(value).__name__}; allowed: numbers, texts, lists and mappings")
    return item()


if __name__ == "__main__":
    main()
