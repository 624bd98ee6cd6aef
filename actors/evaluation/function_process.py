"""The program in which a custom `evaluate_custom_benchmark` runs. `custom_function` runs it in an `OwnProcess`.

A question holds `file`, `model_path` and `config`; the answer is what the function returns. Everything the function
prints or raises goes to standard error, which `custom_function` shows.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FUNCTION = "evaluate_custom_benchmark"


def start() -> Callable[[Mapping[str, Any]], str]:
    """Return the function that answers."""
    return _call


def _call(question: Mapping[str, Any]) -> str:
    """Import the file and call its function."""
    path = Path(question["file"])
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    given = getattr(module, FUNCTION)(question["model_path"], question["config"])
    return json.dumps(given, default=_plain)


def _plain(value: object) -> object:
    """Convert a number of numpy to one that `json` can write. A complex number becomes a text, which is no score."""
    if isinstance(value, complex):
        return str(value)
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{FUNCTION} returned a {type(value).__name__}; allowed: numbers, texts, lists and mappings")
    return item()
