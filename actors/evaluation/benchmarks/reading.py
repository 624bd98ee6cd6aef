"""Read data sets from a folder or from the hub. Every fault names its file and line, so that it can be fixed at once.

A folder holds JSON lines. The hub's files (JSON lines, CSV or Parquet) have other fields and often no ids. Each data
set says how to convert the hub's rows to those of the folder. From there on, both are read the same way. Each
benchmark decides what the fields mean.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from actors.evaluation.contract import LoaderInputs, SourceFile
from actors.evaluation.hub_files import HubFile
from actors.hashing import file_sha256
from conf.faults import BadInput, Fault, Faults
from conf.user_files import DATA_FILE_BYTES, read_user_text

FAULTS_SHOWN = 10
"""Most faults to show: a file of another format is wrong in every line."""

T = TypeVar("T")
Row = dict[str, Any]


class BadLine(Exception):
    """A line does not hold what the benchmark needs. The message says what it needs."""


def unchanged(number: int, row: Row) -> Row:
    """Return the row as it is: the hub's rows have the same form as the folder's."""
    return row


@dataclass(frozen=True)
class DataSet:
    """One data set of a benchmark: its file in a data folder, and its files on the hub."""

    benchmark: str
    name: str
    """Path in the data folder, such as `gsm8k/test.jsonl`."""
    hub: tuple[HubFile, ...] = ()
    """Files on the hub, read in this order. Empty: the data set exists only in a data folder."""
    adapt: Callable[[int, Row], Row] = unchanged
    """Converts a row of the hub to a row of the folder. Its first argument is the row's number over all files."""


@dataclass(frozen=True)
class Rows(Generic[T]):
    """The values that were read, and the files they came from."""

    values: list[T]
    files: tuple[SourceFile, ...]


def read_rows(inputs: LoaderInputs, data: DataSet, convert: Callable[[Row], T], *, id_field: str = "id") -> Rows[T]:
    """Read a data set and convert each row with `convert`. Raise `BadInput` for everything missing or broken."""
    if inputs.data_dir is not None:
        path = data_file(inputs.data_dir, data.benchmark, data.name)
        values = read_lines(path, id_field, convert, within=inputs.data_dir)
        return Rows(values, (SourceFile(data.name, file_sha256(path)),))
    paths = hub_paths(inputs, data)
    rows = (row for path in paths for row in _hub_rows(path))
    lines = (_Line(f"{data.hub[0]}:{number}", str(row), data.adapt(number, row)) for number, row in enumerate(rows))
    files = tuple(SourceFile(str(file), file_sha256(path)) for file, path in zip(data.hub, paths, strict=True))
    return Rows(_converted(lines, data.name, id_field, convert), files)


def hub_paths(inputs: LoaderInputs, data: DataSet) -> list[Path]:
    """Download a data set's files from the hub. Raise `BadInput` if that fails, or if the hub does not have it."""
    if not data.hub:
        allowed = f"a folder that holds {data.name} (for {data.benchmark})"
        raise BadInput(Fault("--data-dir", None, allowed, "No known hub has it. Give --data-dir."))
    return [inputs.hub.fetch(file, instead=f"{data.name} (for {data.benchmark})") for file in data.hub]


def read_text(inputs: LoaderInputs, data: DataSet) -> tuple[str, SourceFile]:
    """Read a text from the data folder or the hub, and return it with its file. Raise `BadInput` if that fails."""
    if inputs.data_dir is None:
        (path,) = hub_paths(inputs, data)  # a link into the hub's cache
    else:
        path = data_file(inputs.data_dir, data.benchmark, data.name)
    text = read_user_text(path, key="--data-dir", limit_bytes=DATA_FILE_BYTES, within=inputs.data_dir)
    return text, SourceFile(data.name, file_sha256(path))


def data_file(data_dir: Path, benchmark: str, name: str, *, key: str = "--data-dir") -> Path:
    """Return the path of a file in the data folder. Raise `BadInput`, naming `key`, if it is missing."""
    path = data_dir / name
    if "\0" in name or not os.path.lexists(path):
        raise BadInput(Fault(key, str(path), f"an existing file {name} (for {benchmark})", "Put it there."))
    return path


@dataclass(frozen=True)
class _Line:
    """One row, or what is wrong with it, and its place in the file."""

    where: str
    text: str
    row: Row | BadLine


def read_lines(
    path: Path, id_field: str, convert: Callable[[Row], T], *, key: str = "--data-dir", within: Path | None = None
) -> list[T]:
    """Convert each line of a file with `convert`. Raise `BadInput` for broken lines, repeated ids and empty files.

    `key` and `within` are those of `conf.user_files`.
    """
    text = read_user_text(path, key=key, what="file of JSON lines", limit_bytes=DATA_FILE_BYTES, within=within)
    found = text.removesuffix("\n").split("\n") if text else []
    lines = (_Line(f"{path}:{number}", line, _object(line)) for number, line in enumerate(found, start=1))
    return _converted(lines, str(path), id_field, convert)


def _converted(lines: Iterable[_Line], name: str, id_field: str, convert: Callable[[Row], T]) -> list[T]:
    faults = Faults()
    values: list[T] = []
    first_seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        try:
            if isinstance(line.row, BadLine):
                raise line.row
            row_id = str(field(line.row, id_field, (str, int)))  # so 1 and "1" are one id
            if row_id in first_seen:
                raise BadLine(f"a unique {id_field}; line {first_seen[row_id]} has the same")
            first_seen[row_id] = number
            values.append(convert(line.row))
        except BadLine as fault:
            faults.add(Fault(line.where, line.text[:80], str(fault), "Fix the line."))
            if len(faults.found) == FAULTS_SHOWN:
                break
    faults.stop_if_any()
    if not values:
        raise BadInput(Fault(name, "an empty file", "one JSON object per line"))
    return values


def field(row: Row, name: str, kinds: type | tuple[type, ...] = str) -> Any:
    """Return a field of a row. Raise `BadLine` if it is missing or of another type."""
    if name not in row:
        raise BadLine(f"an object with the field '{name}'")
    if not isinstance(row[name], kinds) or isinstance(row[name], bool):
        wanted = kinds if isinstance(kinds, tuple) else (kinds,)
        raise BadLine(f"'{name}' of type {' or '.join(kind.__name__ for kind in wanted)}")
    return row[name]


def row_id(row: Row) -> str:
    """Return the id of a row as text."""
    return str(field(row, "id", (str, int)))


def _object(line: str) -> Row | BadLine:
    try:
        row = json.loads(line, object_pairs_hook=_each_once, parse_constant=_no_number, parse_float=_finite)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except BadLine as fault:
        return fault
    except json.JSONDecodeError as error:
        return BadLine(f"one JSON object ({error.msg} at column {error.colno})")
    except UnicodeEncodeError:
        return BadLine("text (there is half of a surrogate pair, such as \\ud83d without \\ude00)")
    except RecursionError:
        return BadLine("one JSON object with less nesting")
    except ValueError:
        return BadLine("one JSON object (one of its numbers has thousands of digits)")
    return row if isinstance(row, dict) else BadLine("one JSON object")


def _each_once(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(name for place, (name, _) in enumerate(pairs) if name in dict(pairs[:place]))
        raise BadLine(f"each field once ({twice[:80]!r} is given twice)")
    return row


def _no_number(name: str) -> float:
    raise BadLine(f"one JSON object ({name} is no number of JSON)")


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise BadLine(f"numbers that fit into a float ({digits[:40]} does not)")
    return number


def _hub_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet, CSV or JSON lines file. Raise `BadInput` for any other file."""
    try:
        table = _hub_table(path)
    except pl.exceptions.PolarsError as error:
        allowed = "Parquet, CSV or JSON lines"
        raise BadInput(Fault(str(path), "an unreadable file", allowed, str(error)[:200])) from error
    yield from table.iter_rows(named=True)


def _hub_table(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path, infer_schema=False) if path.suffix == ".csv" else pl.read_ndjson(path)
