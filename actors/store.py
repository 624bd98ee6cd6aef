"""The run directory: the name and place of every file, and writes that survive a kill at any moment.

Every file is written under a temporary name beside its place and then renamed (`conf.files`), so a file that exists
is complete. The file that marks a piece of work as done is written last. No file is ever appended to.

No other module spells the names of these files, and no other module asks the file system whether one of them is
there: both go through here. Names that `reporting` also needs come from `reporting.file_names`.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from conf.files import (
    atomic_path,
    exists,
    files_below,
    folder_aside,
    is_file,
    is_folder,
    leftovers_below,
    read_json,
    read_object,
    remove,
    remove_leftovers,
    reserved_space,
    write_bytes,
    write_json,
    write_text,
    writing,
)
from reporting import file_names

__all__ = [
    "ArmFiles",
    "ImatrixFiles",
    "JudgementsFolder",
    "RecordsFolder",
    "RunDirectory",
    "atomic_path",
    "canonical_json",
    "content_hash",
    "exists",
    "file_hashes_path",
    "file_sha256",
    "files_below",
    "folder_aside",
    "gguf_name",
    "is_file",
    "is_folder",
    "is_of_mlflow",
    "is_whole_jsonl",
    "leftovers_below",
    "mlflow_artifacts_path",
    "mlflow_database_path",
    "read_json",
    "read_jsonl",
    "read_object",
    "records_file",
    "remove",
    "remove_leftovers",
    "reserved_space",
    "shared_errors_path",
    "timings_path",
    "verdict_path",
    "write_bytes",
    "write_json",
    "write_jsonl",
    "write_text",
    "writing",
]

_HASHED_BYTES = 2**20
"""Bytes that are read at a time for a hash."""
_RECORDS = "records"
_LOOKS = ".looks"
_JUDGEMENTS = "judgements"
_META = "meta.json"
_MANIFEST = "manifest.json"
_BLOCK_SUFFIX = ".jsonl"
_PARTS_SUFFIX = ".parts"
_FILE_SUFFIXES = {
    *(".json", _BLOCK_SUFFIX, ".parquet", ".yaml", ".gguf", ".npz", ".txt"),
    *(".md", ".html", ".pdf", ".png", ".svg"),
}
"""Ends of the names of files in a run directory. Names of folders there end with a hash, or have no dot."""


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises:
        TypeError, ValueError: the value has no stable JSON form.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """Return the sha256 of the canonical JSON of `value`, as 64 hexadecimal digits. File names carry the first 8."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: str | Path, report: Callable[[int], None] | None = None) -> str:
    """Return the sha256 of a file's content, as 64 hexadecimal digits.

    Args:
        path: the file.
        report: is called with the number of bytes that were read since its last call.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_HASHED_BYTES))
    with open(path, "rb", buffering=0) as file:
        while n_bytes := file.readinto(buffer):
            digest.update(buffer[:n_bytes])
            if report is not None:
                report(n_bytes)
    return digest.hexdigest()


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


class RunDirectory:
    """The files of one pipeline: `<storage>/<pipeline_id>` (design, section 3)."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        self.plan = self.root / "plan.json"
        self.progress = self.root / "progress.json"
        self.manifest = self.root / _MANIFEST
        self.failures = self.root / "failures.json"
        self.cache_limit = self.root / "kv_cache_limit.json"
        self.device_limit = self.root / "device_memory_limit.json"
        self.lock = self.root / "owner.lock"
        self.results = self.root / file_names.RESULTS_FOLDER
        self.comparison = self.results / file_names.COMPARISON
        self.analysis = self.results / file_names.ANALYSIS
        self.all_answers = self.root / file_names.ALL_ANSWERS
        self.charts = self.root / file_names.CHARTS
        self.methodology = self.root / file_names.METHODOLOGY
        self.report = self.root / file_names.REPORT
        self.side_by_side = self.root / file_names.SIDE_BY_SIDE
        self.scorecard = self.root / file_names.SCORECARD

    def folders_in_place_of_files(self) -> list[Path]:
        """Return the folders that stand where this pipeline will write a file."""
        found = (path for path in sorted(self.root.rglob("*")) if path.is_dir())
        return [path for path in found if path == self.lock or path.suffix in _FILE_SUFFIXES]

    def artifact(self, arm: str, key_hash: str) -> Path:
        """Return the folder of an arm's GGUF."""
        return self.root / file_names.ARTIFACTS / f"{arm}-{key_hash[:8]}"

    def imatrix(self, mix: str, key_hash: str) -> Path:
        """Return the path of an importance matrix."""
        return self.root / file_names.IMATRICES / f"{mix}-{key_hash[:8]}.gguf"

    def measured(self, key_hash: str) -> Path:
        """Return the file of quantization errors by tensor and type. All pipelines of the storage share it."""
        return self.root.parent / ".quantization_errors" / f"{key_hash[:16]}.json"

    def look(self, comparison_hash: str, name_hash: str) -> Path:
        """Return the file of one evaluation in the history of a comparison. All pipelines of the storage share it."""
        return self.root.parent / _LOOKS / comparison_hash[:16] / f"{name_hash[:16]}.json"

    def known_looks(self, comparison_hash: str) -> list[Path]:
        """Return the existing files in the history of a comparison."""
        return sorted((self.root.parent / _LOOKS / comparison_hash[:16]).glob("*.json"))

    def performance(self, arm: str, key_hash: str) -> Path:
        """Return the file with an arm's speed and memory."""
        return self.root / "performance" / f"{arm}-{key_hash[:8]}.json"

    def check(self, arm: str, key_hash: str) -> Path:
        """Return the file with the result of an arm's self-check."""
        return self.root / "checks" / f"{arm}-{key_hash[:8]}.json"

    def records(self, benchmark: str, arm: str, key_hash: str) -> Path:
        """Return the folder with the records of an arm on a benchmark."""
        return self.root / _RECORDS / f"{benchmark}.{arm}-{key_hash[:8]}"

    def judgements(self, judge: str, key_hash: str, records: RecordsFolder) -> JudgementsFolder:
        """Return the folder with what a judge said about the answers of a records folder."""
        return JudgementsFolder(self.root / _JUDGEMENTS / f"{judge}-{key_hash[:8]}" / records.path.name)

    def all_judgements(self, records: RecordsFolder) -> list[JudgementsFolder]:
        """Return the existing folders with what any judge said about the answers of a records folder."""
        found = (self.root / _JUDGEMENTS).glob(f"*/{glob.escape(records.path.name)}")
        return [JudgementsFolder(path) for path in sorted(found)]

    @property
    def verdicts(self) -> Path:
        """The folder of all verdicts by their keys. All pipelines of the storage share it."""
        return self.root.parent / f".{_JUDGEMENTS}"

    def table(self, name: str) -> Path:
        """Return the file of a table beside the results."""
        return self.results / file_names.table(name)

    def tables(self) -> list[Path]:
        """Return the files of the tables beside the results."""
        return sorted(self.table("*").parent.glob(self.table("*").name))

    def described_records(self) -> list[RecordsFolder]:
        """Return the records folders of this pipeline that have a `meta.json`."""
        return [RecordsFolder(meta.parent) for meta in sorted((self.root / _RECORDS).glob(f"*/{_META}"))]

    def matrices_with_groups(self) -> list[ImatrixFiles]:
        """Return the importance matrices of this pipeline that have a folder of groups."""
        folders = (self.root / file_names.IMATRICES).glob(f"*{_PARTS_SUFFIX}")
        return [ImatrixFiles(str(folder).removesuffix(_PARTS_SUFFIX)) for folder in folders]

    def arms_in_storage(self, key_hash: str, gguf: str) -> list[ArmFiles]:
        """Return the arms with this key and GGUF name in all pipelines of the storage, this pipeline included."""
        found = self.root.parent.glob(f"*/{file_names.ARTIFACTS}/*-{key_hash[:8]}/{gguf}")
        return [ArmFiles.in_own_folder(path) for path in sorted(found)]

    def matrices_in_storage(self, name: str) -> list[ImatrixFiles]:
        """Return the importance matrices of this name in all pipelines of the storage, this pipeline included."""
        return [ImatrixFiles(path) for path in sorted(self.root.parent.glob(f"*/{file_names.IMATRICES}/{name}"))]

    def records_in_storage(self, folder: RecordsFolder) -> list[RecordsFolder]:
        """Return the records folders of the same benchmark and key in all pipelines of the storage, with `meta.json`.

        The folder itself is among them, if it has one. The arm may have another name in another pipeline.
        """
        benchmark, _, named_hash = folder.path.name.partition(".")
        pattern = f"*/{_RECORDS}/{benchmark}.*-{named_hash.rpartition('-')[2]}/{_META}"
        return [RecordsFolder(meta.parent) for meta in sorted(self.root.parent.glob(pattern))]


@dataclass(frozen=True)
class ArmFiles:
    """The files of one arm."""

    gguf: Path
    manifest: Path
    """This file is written last. It marks the arm as done."""
    log: Path
    allocation: Path
    """For an arm with a budget: each tensor with its type and its measured errors."""
    losses: Path
    """The error that quantization added to each tensor."""

    @classmethod
    def in_own_folder(cls, gguf: str | Path) -> ArmFiles:
        """Return the files of an arm that has a folder for itself, as in a run directory."""
        path = Path(gguf)
        return cls(path, *(path.parent / name for name in _BESIDE_GGUF))

    @classmethod
    def in_shared_folder(cls, gguf: str | Path) -> ArmFiles:
        """Return the files of an arm in a folder of several arms: each name begins with the GGUF's name."""
        path = Path(gguf)
        return cls(path, *(path.with_suffix(f".{name}") for name in _BESIDE_GGUF))

    def are_complete(self) -> bool:
        """Return whether the arm is done: its file is there, and its manifest can be read."""
        return exists(self.gguf) and _is_manifest(read_object(self.manifest), ())

    @property
    def extras(self) -> tuple[Path, ...]:
        """Log, allocation and losses. An arm from an earlier version may have only some of them."""
        return (self.log, self.allocation, self.losses)

    @property
    def all(self) -> tuple[Path, ...]:
        """All files, in the order in which they are written."""
        return (self.gguf, *self.extras, self.manifest)


_BESIDE_GGUF = (_MANIFEST, "log.txt", "allocation.json", "losses.json")
"""Names of an arm's other files, in the order of the fields of `ArmFiles`."""


class ImatrixFiles:
    """The files of one importance matrix."""

    def __init__(self, matrix: str | Path) -> None:
        self.matrix = Path(matrix)
        self.manifest = self.matrix.with_name(f"{self.matrix.name}.{_MANIFEST}")
        """This file is written last. It marks the matrix as done."""
        self.parts = self.matrix.with_name(f"{self.matrix.name}{_PARTS_SUFFIX}")
        """The folder where groups of chunks wait until the matrix is complete."""

    def are_complete(self) -> bool:
        """Return whether the matrix is done: its file is there, and its manifest can be read."""
        return exists(self.matrix) and _is_manifest(read_object(self.manifest), ("texts", "rules", "n_tokens"))

    @property
    def all(self) -> tuple[Path, ...]:
        """All files of a finished matrix, in the order in which they are written."""
        return (self.matrix, self.manifest)

    def group(self, number: int) -> Path:
        """Return the file of one group of chunks."""
        return self.parts / f"group-{number:05d}.npz"


class RecordsFolder:
    """The records of one arm on one benchmark: `records/<benchmark>.<arm>-<hash8>`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.meta = self.path / _META
        """Names the arm, the benchmark, the key, the items and the seed groups. It is written before any block."""

    @classmethod
    def of(cls, records_path: str | Path) -> RecordsFolder:
        """Return the folder of a block's records file."""
        return cls(Path(records_path).parent)

    def unit(self, first: int, n_items: int, seed_group: int) -> str:
        """Return the unit that makes a block: `n_items` items from number `first` on, with one group of seeds."""
        return f"{_RECORDS}/{self.path.name}/{_block_name(first, n_items, seed_group)}"

    def block(self, first: int, n_items: int, seed_group: int) -> Path:
        """Return the records file of a block."""
        return self.path / f"{_block_name(first, n_items, seed_group)}{_BLOCK_SUFFIX}"

    def blocks(self, seed_group: int) -> list[Path]:
        """Return the existing records files of a seed group."""
        return sorted(self.path.glob(f"*.g{seed_group}{_BLOCK_SUFFIX}"))

    def same_items(self, block: Path, seed_group: int) -> Path:
        """Return the records file in this folder for the items of another folder's block, with one group of seeds."""
        return self.path / f"{block.name.split('.')[0]}.g{seed_group}{_BLOCK_SUFFIX}"


class JudgementsFolder:
    """What one judge said about the records in one folder: `judgements/<judge>-<hash8>/<folder of the records>`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def of(cls, judgements_path: str | Path) -> JudgementsFolder:
        """Return the folder of a block's file of judgements."""
        return cls(Path(judgements_path).parent)

    @property
    def judge(self) -> str:
        """Name of the judge, with the hash of what decides its verdicts."""
        return self.path.parent.name

    def unit(self, records_path: str | Path) -> str:
        """Return the unit that judges the records of a block."""
        return f"{_JUDGEMENTS}/{self.judge}/{self.path.name}/{Path(records_path).stem}"

    def file(self, records_path: str | Path) -> Path:
        """Return the file with the judgements of a block. It marks the block as judged."""
        return self.path / Path(records_path).name


def _is_manifest(manifest: Mapping[str, Any] | None, more: tuple[str, ...]) -> bool:
    """Return whether a manifest has what every manifest has, and the fields `more`. A damaged one has not."""
    if manifest is None or not isinstance(manifest.get("key"), dict) or not isinstance(manifest.get("sha256"), str):
        return False
    return all(name in manifest for name in more)


def is_whole_jsonl(path: str | Path) -> bool:
    """Return whether a file of JSON lines begins and ends as one. Only its ends are read."""
    try:
        with open(path, "rb") as file:
            begins = file.read(1) == b"{"
            file.seek(-2, os.SEEK_END)
            return begins and file.read() == b"}\n"
    except OSError:
        return False


def _block_name(first: int, n_items: int, seed_group: int) -> str:
    return f"{first:05d}-{n_items}.g{seed_group}"


def records_file(unit: str) -> str:
    """Return the records file of a block's unit, relative to the run directory."""
    return unit + _BLOCK_SUFFIX


def timings_path(records_path: str | Path) -> Path:
    """Return the timings file that belongs to a block's records file."""
    return Path(records_path).with_suffix(f".timings{_BLOCK_SUFFIX}")


def gguf_name(model: str, label: str) -> str:
    """Return the file name of a model's GGUF, quantized by the recipe with this label."""
    return f"{model}-{label}.gguf"


def shared_errors_path(folder: Path, key_hash: str) -> Path:
    """Return the file of measured quantization errors in a folder of several arms."""
    return folder / f".errors-{key_hash[:16]}.json"


def file_hashes_path(storage: Path) -> Path:
    """Return the file in a storage that keeps the hashes of model files."""
    return storage / ".file_hashes.json"


def mlflow_database_path(home: Path) -> Path:
    """Return the SQLite file of the MLflow store in a folder."""
    return home / "mlflow.db"


def mlflow_artifacts_path(home: Path) -> Path:
    """Return the folder of the artifacts of that store."""
    return home / "mlartifacts"


def is_of_mlflow(path: Path) -> bool:
    """Return whether a path in a storage is, or lies beside, a file of its MLflow store (`mlflow.db-wal`)."""
    own = (mlflow_database_path(path.parent), mlflow_artifacts_path(path.parent))
    return path.name.lower().startswith(tuple(one.name for one in own))


def verdict_path(folder: str | Path, key: str) -> Path:
    """Return the file of one verdict of a judge in the folder of all verdicts of a storage."""
    return Path(folder) / key[:2] / f"{key}.json"
