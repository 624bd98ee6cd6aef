"""Files of JSON lines: one record per line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from conf.files import write_text


def write_jsonl(path: str | Path, rows: Iterable[Any]) -> None:
    """Write dataclasses or mappings as JSON lines, atomically. The same rows give the same bytes."""
    lines = (json.dumps(_plain(row), ensure_ascii=False, allow_nan=False, separators=(",", ":")) for row in rows)
    write_text(path, "".join(line + "\n" for line in lines))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _plain(row: Any) -> Mapping[str, Any]:
    if is_dataclass(row) and not isinstance(row, type):
        return asdict(row)
    return dict(row)


def is_whole_jsonl(path: str | Path) -> bool:
    """Return whether a file of JSON lines begins and ends as one. Only its ends are read."""
    try:
        with open(path, "rb") as file:
            begins = file.read(1) == b"{"
            file.seek(-2, os.SEEK_END)
            return begins and file.read() == b"}\n"
    except OSError:
        return False
