"""Reading data sets, from a folder or from the hub: every fault with its file and line, so that it is mended at once.

A folder holds JSON lines. The hub's files (JSON lines or Parquet) have other fields, and often no ids: each data set
says how its rows become those of the folder, and from there on both are read alike. What the fields mean is left to
each benchmark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from actors.evaluation.contract import LoaderInputs, SourceFile
from actors.evaluation.hub_files import HubFile
from actors.store import file_sha256
from conf.faults import BadInput, Fault

FAULTS_SHOWN = 10
"""A file of another format is wrong in every line: the first few say it."""

T = TypeVar("T")
Row = dict[str, Any]


class BadLine(Exception):
    """What a line holds is not what the benchmark needs; the message says what it needs."""


def unchanged(number: int, row: Row) -> Row:
    """The hub's rows are those of the folder already."""
    return row


@dataclass(frozen=True)
class DataSet:
    """One data set of a benchmark: where it lies in a data folder, and which files of the hub make it."""

    benchmark: str
    name: str
    """In the data folder: `gsm8k/test.jsonl`."""
    hub: tuple[HubFile, ...] = ()
    """Read one after the other; empty: it is to be had in a data folder only."""
    adapt: Callable[[int, Row], Row] = unchanged
    """From a row of the hub, and its number over all files, to a row of the folder."""


@dataclass(frozen=True)
class Rows(Generic[T]):
    """What was read, and from which files."""

    values: list[T]
    files: tuple[SourceFile, ...]


def read_rows(inputs: LoaderInputs, data: DataSet, convert: Callable[[Row], T], *, id_field: str = "id") -> Rows[T]:
    """A data set's rows, each made a value by `convert`. Raises `BadInput` for all that is missing or broken."""
    if inputs.data_dir is not None:
        path = data_file(inputs.data_dir, data.benchmark, data.name)
        return Rows(read_lines(path, id_field, convert), (SourceFile(data.name, file_sha256(path)),))
    paths = hub_paths(inputs, data)
    rows = (row for path in paths for row in _hub_rows(path))
    lines = (_Line(f"{data.hub[0]}:{number}", str(row), data.adapt(number, row)) for number, row in enumerate(rows))
    files = tuple(SourceFile(str(file), file_sha256(path)) for file, path in zip(data.hub, paths, strict=True))
    return Rows(_converted(lines, data.name, id_field, convert), files)


def hub_paths(inputs: LoaderInputs, data: DataSet) -> list[Path]:
    """The hub's files of a data set, downloaded. Raises `BadInput`, also where the hub has none."""
    if not data.hub:
        allowed = f"a folder that holds {data.name} (for {data.benchmark})"
        raise BadInput(Fault("data_dir", None, allowed, "It is on no hub that we know of: give --data-dir."))
    return [inputs.hub.fetch(file, instead=f"{data.name} (for {data.benchmark})") for file in data.hub]


def read_text(inputs: LoaderInputs, data: DataSet) -> tuple[str, SourceFile]:
    """A text of the data folder, and what file it came from. Raises `BadInput`, also without a folder."""
    if inputs.data_dir is None:
        (path,) = hub_paths(inputs, data)
    else:
        path = data_file(inputs.data_dir, data.benchmark, data.name)
    return read_text_file(path), SourceFile(data.name, file_sha256(path))


def data_file(data_dir: Path, benchmark: str, name: str) -> Path:
    """The path of a file in the data folder. Raises `BadInput` where it is missing."""
    path = data_dir / name
    if not path.is_file():
        raise BadInput(Fault("data_dir", str(path), f"an existing file {name} (for {benchmark})", "Put it there."))
    return path


@dataclass(frozen=True)
class _Line:
    """One row, or the reason why there is none, and where it stands."""

    where: str
    text: str
    row: Row | BadLine


def read_lines(path: Path, id_field: str, convert: Callable[[Row], T]) -> list[T]:
    """One value a line, made by `convert`. Raises `BadInput` for broken lines, twice-used ids and empty files."""
    lines = (_Line(f"{path}:{number}", line, _object(line)) for number, line in enumerate(_text_lines(path), start=1))
    return _converted(lines, str(path), id_field, convert)


def _converted(lines: Iterable[_Line], name: str, id_field: str, convert: Callable[[Row], T]) -> list[T]:
    faults: list[Fault] = []
    values: list[T] = []
    first_seen: dict[Any, int] = {}
    for number, line in enumerate(lines, start=1):
        try:
            if isinstance(line.row, BadLine):
                raise line.row
            row_id = field(line.row, id_field, (str, int))
            if row_id in first_seen:
                raise BadLine(f"an {id_field} of its own: line {first_seen[row_id]} has the same")
            first_seen[row_id] = number
            values.append(convert(line.row))
        except BadLine as fault:
            faults.append(Fault(line.where, line.text[:80], str(fault), "Mend the line."))
    if faults:
        raise BadInput(faults[:FAULTS_SHOWN])
    if not values:
        raise BadInput(Fault(name, "an empty file", "one JSON object a line"))
    return values


def field(row: Row, name: str, kinds: type | tuple[type, ...] = str) -> Any:
    """A field of a line. Raises `BadLine` where it is missing or of another type."""
    if name not in row:
        raise BadLine(f"an object with the field '{name}'")
    if not isinstance(row[name], kinds) or isinstance(row[name], bool):
        wanted = kinds if isinstance(kinds, tuple) else (kinds,)
        raise BadLine(f"'{name}' of type {' or '.join(kind.__name__ for kind in wanted)}")
    return row[name]


def row_id(row: Row) -> str:
    """The id of a line, as a text."""
    return str(field(row, "id", (str, int)))


def _text_lines(path: Path) -> list[str]:
    text = read_text_file(path)
    return text.removesuffix("\n").split("\n") if text else []


def read_text_file(path: Path) -> str:
    """A whole UTF-8 text, line ends as they are. Raises `BadInput` for other bytes."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(Fault(str(path), f"bytes that are not UTF-8 at offset {error.start}", "UTF-8 text")) from error


def _object(line: str) -> Row | BadLine:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return BadLine(f"one JSON object ({error.msg} at column {error.colno})")
    return row if isinstance(row, dict) else BadLine("one JSON object")


def _hub_rows(path: Path) -> Iterator[Row]:
    """Rows of a Parquet or JSON lines file. Raises `BadInput` for a file that is neither."""
    try:
        table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path)
    except pl.exceptions.PolarsError as error:
        raise BadInput(Fault(str(path), "an unreadable file", "Parquet, or JSON lines", str(error)[:200])) from error
    yield from table.iter_rows(named=True)
