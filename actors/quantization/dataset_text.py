"""Turn rows of a hub data set into a calibration text: find the files by split, read them with polars, join the rows.

Rows are joined by blank lines. The text is kept as a plain file in the cache, so that the rest of the program reads it
like any other text. Its origin is recorded in the matrix's manifest. Only data files are read: programs in a data set's
repository are never run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from actors.hashing import content_hash
from actors.hub import Hub, ReportBytes, Snapshot
from conf.faults import BadInput, Fault, near_names
from conf.files import write_text
from conf.hub_ids import HubId
from conf.mixes import DatasetRows

FORMATS = (".parquet", ".jsonl", ".json", ".csv", ".txt")
"""File formats that can be read. If a split has several, the first one here is used: repositories often contain copies
of the same rows in several formats."""
TEXT_COLUMN = "text"
"""Name of the only column of a plain text file (one row per line), as in the hub's data viewer."""


@dataclass(frozen=True)
class DatasetText:
    """A text made from rows of a data set, and its origin."""

    path: Path
    source: dict[str, Any]


def dataset_text(
    wanted: DatasetRows, hub: Hub, cache: Path, *, key: str, report: ReportBytes = lambda _: None
) -> DatasetText:
    """Fetch the files that contain the rows, and write their text into the cache.

    Raises:
        BadInput: the data set, split or column does not exist, it has too few rows, or a file cannot be read.
    """
    snapshot = hub.snapshot(HubId(wanted.dataset, wanted.revision), kind="dataset", key=key)
    files = split_files(snapshot, wanted, key=key)
    asked = {name: value for name, value in asdict(wanted).items() if name != "dataset"}
    source = {**asked, **snapshot.origin, "files": list(files)}
    digest = content_hash({"rule": 1, **source})[:8]
    rows = wanted.rows or "all"
    path = (
        cache / "datasets" / f"{wanted.dataset.replace('/', '--')}-{wanted.split}-{wanted.column}-{rows}-{digest}.txt"
    )
    if not path.exists():
        texts = _first_rows(wanted, snapshot, files, hub, key=key, report=report)
        write_text(path, "\n\n".join(text for text in texts if text and text.strip()) + "\n")
    return DatasetText(path, source)


def split_files(snapshot: Snapshot, wanted: DatasetRows, *, key: str) -> tuple[str, ...]:
    """Return the files of a split, in order. Raise `BadInput` if there are none, or more than one configuration."""
    data = [name for name in sorted(snapshot.files) if PurePosixPath(name).suffix in FORMATS]
    if wanted.folder is not None:
        data = [name for name in data if name.startswith(f"{wanted.folder.strip('/')}/")]
    found = [name for name in data if wanted.split in _words(name)]
    got = f"{wanted.dataset}@{wanted.revision}, split {wanted.split}"
    if not found:
        known = sorted({word for name in data for word in _words(name)} & _USUAL_SPLITS)
        hint = f"Splits found: {', '.join(known)}." if known else "Look at its files on the hub."
        allowed = f"a split that appears in the names of data files ({', '.join(FORMATS)})"
        raise BadInput(Fault(key, got, allowed, hint))
    suffix = next(suffix for suffix in FORMATS if any(name.endswith(suffix) for name in found))
    found = [name for name in found if name.endswith(suffix)]
    folders = sorted({str(PurePosixPath(name).parent) for name in found})
    if len(folders) > 1:
        raise BadInput(
            Fault(key, got, f"one configuration; its folders: {', '.join(folders)}", "Name one as `folder`.")
        )
    return tuple(found)


_USUAL_SPLITS = {"train", "validation", "valid", "dev", "test"}


def _words(name: str) -> set[str]:
    """Return the words of a path that may name a split: its folders, and parts such as `train` of `train-00000`."""
    path = PurePosixPath(name)
    stem = path.name.removesuffix(path.suffix)
    return {*path.parts[:-1], stem, *re.split(r"[-.]", stem), *re.split(r"[-._]", stem)}


def _first_rows(
    wanted: DatasetRows, snapshot: Snapshot, files: Sequence[str], hub: Hub, *, key: str, report: ReportBytes
) -> list[str | None]:
    """Return the first rows of the column, file by file. Files that are not needed are not fetched."""
    texts: list[str | None] = []
    for name in files:
        folder = hub.fetch(snapshot, [name], key=key, report=report)
        still = None if wanted.rows is None else wanted.rows - len(texts)
        texts += _column(folder / name, wanted, still, key=key)
        if wanted.rows is not None and len(texts) >= wanted.rows:
            return texts
    if wanted.rows is not None:
        got = f"{wanted.rows} rows of {wanted.dataset}, split {wanted.split}"
        raise BadInput(Fault(key, got, f"at most {len(texts)}, all it has", "Leave out `rows` to take all of them."))
    return texts


def _column(path: Path, wanted: DatasetRows, rows: int | None, *, key: str) -> Iterable[str | None]:
    got = f"{wanted.dataset}: {path.name}, column {wanted.column}"
    try:
        frame = _read(path)
        schema = frame.collect_schema()
        if wanted.column not in schema:
            columns = list(schema)
            step = near_names(wanted.column, columns)
            raise BadInput(Fault(key, got, f"one of its columns ({', '.join(columns)})", step))
        if schema[wanted.column] != pl.String:
            raise BadInput(Fault(key, got, f"a column of text (this is {schema[wanted.column]})"))
        column = frame.select(wanted.column)
        return (column if rows is None else column.head(rows)).collect()[wanted.column].to_list()
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(Fault(key, got, f"a readable file ({reason[:200]})")) from error


def _read(path: Path) -> pl.LazyFrame:
    # Files in the cache are links to names without a suffix, and polars looks at the suffix. The link itself has one.
    match path.suffix:
        case ".parquet":
            return pl.scan_parquet(path)
        case ".jsonl":
            return pl.scan_ndjson(path)
        case ".csv":
            return pl.scan_csv(path)
        case ".txt":
            return pl.LazyFrame({TEXT_COLUMN: path.read_text(encoding="utf-8").splitlines()})
        case _:
            # Files named .json hold one array or, often, one row per line.
            content = path.read_bytes()
            is_array = content.lstrip()[:1] == b"["
            return (pl.read_json(content) if is_array else pl.read_ndjson(content)).lazy()
