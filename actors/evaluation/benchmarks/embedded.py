"""Read the demo's items, which are part of the project (`conf/demo/*.jsonl`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import conf
from actors.evaluation.benchmarks.reading import read_lines
from actors.evaluation.contract import SourceFile
from actors.hashing import file_sha256

FOLDER = Path(conf.__file__).parent / "demo"
T = TypeVar("T")


def read_embedded(name: str, convert: Callable[[dict[str, Any]], T]) -> tuple[list[T], SourceFile]:
    """Return the rows of `conf/demo/<name>`, and the file they came from."""
    path = FOLDER / name
    return read_lines(path, "id", convert), SourceFile(f"conf/demo/{name}", file_sha256(path))
