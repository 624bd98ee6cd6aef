"""Reading data files: every fault with its file and line, so that it can be mended at once.

Leaves to each benchmark what the fields mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from actors.evaluation.contract import Inputs, SourceFile
from actors.store import file_sha256
from conf.faults import BadInput, Fault

FAULTS_SHOWN = 10
"""A file of another format is wrong in every line: the first few say it."""

T = TypeVar("T")


class BadLine(Exception):
    """What a line holds is not what the benchmark needs; the message says what it needs."""


def data_file(inputs: Inputs, benchmark: str, name: str) -> Path:
    """The path of a file in the data folder. Raises `BadInput` without a folder, or where the file is missing."""
    if inputs.data_dir is None:
        raise BadInput(
            Fault(
                "data_dir",
                None,
                f"a folder that holds {name} (for {benchmark})",
                "Downloading from the hub is not there yet: give --data-dir.",
            )
        )
    path = inputs.data_dir / name
    if not path.is_file():
        raise BadInput(Fault("data_dir", str(path), f"an existing file {name} (for {benchmark})", "Put it there."))
    return path


def source_file(inputs: Inputs, path: Path) -> SourceFile:
    """A data file by its name in the data folder and its hash."""
    name = path.relative_to(inputs.data_dir) if inputs.data_dir else path
    return SourceFile(name.as_posix(), file_sha256(path))


def read_lines(path: Path, id_field: str, convert: Callable[[dict[str, Any]], T]) -> list[T]:
    """One value a line, made by `convert`. Raises `BadInput` for broken lines, twice-used ids and empty files."""
    faults: list[Fault] = []
    values: list[T] = []
    first_seen: dict[Any, int] = {}
    for number, line in enumerate(_text_lines(path), start=1):
        try:
            row = _object(line)
            row_id = field(row, id_field, (str, int))
            if row_id in first_seen:
                raise BadLine(f"an {id_field} of its own: line {first_seen[row_id]} has the same")
            first_seen[row_id] = number
            values.append(convert(row))
        except BadLine as fault:
            faults.append(Fault(f"{path}:{number}", line[:80], str(fault), "Mend the line."))
    if faults:
        raise BadInput(faults[:FAULTS_SHOWN])
    if not values:
        raise BadInput(Fault(str(path), "an empty file", "one JSON object a line"))
    return values


def field(row: dict[str, Any], name: str, kinds: type | tuple[type, ...] = str) -> Any:
    """A field of a line. Raises `BadLine` where it is missing or of another type."""
    if name not in row:
        raise BadLine(f"an object with the field '{name}'")
    if not isinstance(row[name], kinds) or isinstance(row[name], bool):
        wanted = kinds if isinstance(kinds, tuple) else (kinds,)
        raise BadLine(f"'{name}' of type {' or '.join(kind.__name__ for kind in wanted)}")
    return row[name]


def _text_lines(path: Path) -> list[str]:
    text = read_text_file(path)
    return text.removesuffix("\n").split("\n") if text else []


def read_text_file(path: Path) -> str:
    """A whole UTF-8 text, line ends as they are. Raises `BadInput` for other bytes."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(Fault(str(path), f"bytes that are not UTF-8 at offset {error.start}", "UTF-8 text")) from error


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadLine(f"one JSON object ({error.msg} at column {error.colno})") from error
    if not isinstance(row, dict):
        raise BadLine("one JSON object")
    return row
