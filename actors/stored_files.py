"""The files of one arm, of one importance matrix, and of the records and judgements of a benchmark.

What they are called is decided here; where the folders of a pipeline are, in `actors.store`. The file that marks a
piece of work as done is written last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.files import exists, read_object

RECORDS = "records"
JUDGEMENTS = "judgements"
META = "meta.json"
MANIFEST = "manifest.json"
BLOCK_SUFFIX = ".jsonl"
PARTS_SUFFIX = ".parts"


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


_BESIDE_GGUF = (MANIFEST, "log.txt", "allocation.json", "losses.json")
"""Names of an arm's other files, in the order of the fields of `ArmFiles`."""


class ImatrixFiles:
    """The files of one importance matrix."""

    def __init__(self, matrix: str | Path) -> None:
        self.matrix = Path(matrix)
        self.manifest = self.matrix.with_name(f"{self.matrix.name}.{MANIFEST}")
        """This file is written last. It marks the matrix as done."""
        self.parts = self.matrix.with_name(f"{self.matrix.name}{PARTS_SUFFIX}")
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
        self.meta = self.path / META
        """Names the arm, the benchmark, the key, the items and the seed groups. It is written before any block."""

    @classmethod
    def of(cls, records_path: str | Path) -> RecordsFolder:
        """Return the folder of a block's records file."""
        return cls(Path(records_path).parent)

    def unit(self, first: int, n_items: int, seed_group: int) -> str:
        """Return the unit that makes a block: `n_items` items from number `first` on, with one group of seeds."""
        return f"{RECORDS}/{self.path.name}/{_block_name(first, n_items, seed_group)}"

    def block(self, first: int, n_items: int, seed_group: int) -> Path:
        """Return the records file of a block."""
        return self.path / f"{_block_name(first, n_items, seed_group)}{BLOCK_SUFFIX}"

    def blocks(self, seed_group: int) -> list[Path]:
        """Return the existing records files of a seed group."""
        return sorted(self.path.glob(f"*.g{seed_group}{BLOCK_SUFFIX}"))

    def same_items(self, block: Path, seed_group: int) -> Path:
        """Return the records file in this folder for the items of another folder's block, with one group of seeds."""
        return self.path / f"{block.name.split('.')[0]}.g{seed_group}{BLOCK_SUFFIX}"


class JudgementsFolder:
    """What one judge said about the records in one folder: `judgements/<judge>-<hash8>/<folder of the records>`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.meta = self.path / META
        """Names the judge and its rules. It is written before any block: a judge that finishes none is known, too."""

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
        return f"{JUDGEMENTS}/{self.judge}/{self.path.name}/{Path(records_path).stem}"

    def file(self, records_path: str | Path) -> Path:
        """Return the file with the judgements of a block. It marks the block as judged."""
        return self.path / Path(records_path).name


def _is_manifest(manifest: Mapping[str, Any] | None, more: tuple[str, ...]) -> bool:
    """Return whether a manifest has what every manifest has, and the fields `more`. A damaged one has not."""
    if manifest is None or not isinstance(manifest.get("key"), dict) or not isinstance(manifest.get("sha256"), str):
        return False
    return all(name in manifest for name in more)


def _block_name(first: int, n_items: int, seed_group: int) -> str:
    return f"{first:05d}-{n_items}.g{seed_group}"


def records_file(unit: str) -> str:
    """Return the records file of a block's unit, relative to the run directory."""
    return unit + BLOCK_SUFFIX


def timings_path(records_path: str | Path) -> Path:
    """Return the timings file that belongs to a block's records file."""
    return Path(records_path).with_suffix(f".timings{BLOCK_SUFFIX}")


def gguf_name(model: str, label: str) -> str:
    """Return the file name of a model's GGUF, quantized by the recipe with this label."""
    return f"{model}-{label}.gguf"


def shared_errors_path(folder: Path, key_hash: str) -> Path:
    """Return the file of measured quantization errors in a folder of several arms."""
    return folder / f".errors-{key_hash[:16]}.json"


def verdict_path(folder: str | Path, key: str) -> Path:
    """Return the file of one verdict of a judge in the folder of all verdicts of a storage."""
    return Path(folder) / key[:2] / f"{key}.json"
