"""The run directory: where each file lies, and writing that survives any kill.

Every file is written under a temporary name beside its place and renamed (`conf.files`), so that a file that
exists is whole; what says that a thing is done is written last. Nothing is ever appended to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from conf.files import (
    atomic_path,
    folder_aside,
    read_json,
    remove,
    remove_leftovers,
    write_bytes,
    write_json,
    write_text,
)

__all__ = [
    "RunDirectory",
    "atomic_path",
    "canonical_json",
    "content_hash",
    "file_sha256",
    "folder_aside",
    "group_path",
    "read_json",
    "read_jsonl",
    "remove",
    "remove_leftovers",
    "timings_path",
    "write_bytes",
    "write_json",
    "write_jsonl",
    "write_text",
]


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN. Raises TypeError on what has no stable form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """sha256 over the canonical JSON of `value`, 64 hexadecimal digits. Names carry the first 8."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    """sha256 of a file's content, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_jsonl(path: str | Path, rows: Iterable[Any]) -> None:
    """Write dataclasses or mappings as JSON lines, atomically; the same rows give the same bytes."""
    lines = (json.dumps(_plain(row), ensure_ascii=False, allow_nan=False, separators=(",", ":")) for row in rows)
    write_text(path, "".join(line + "\n" for line in lines))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _plain(row: Any) -> Mapping[str, Any]:
    if is_dataclass(row) and not isinstance(row, type):
        return asdict(row)
    return dict(row)


class RunDirectory:
    """`<storage>/<pipeline_id>`: the place of each file (design, section 3)."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        self.plan = self.root / "plan.json"
        self.progress = self.root / "progress.json"
        self.manifest = self.root / "manifest.json"
        self.failures = self.root / "failures.json"
        self.cache_limit = self.root / "kv_cache_limit.json"
        self.lock = self.root / "owner.lock"
        self.comparison = self.root / "evaluation_results" / "quantization_comparison.json"
        self.analysis = self.root / "evaluation_results" / "statistical_analysis.json"
        self.report_data = self.root / "evaluation_results" / "report_data"
        self.charts = self.root / "charts"
        self.methodology = self.root / "methodology" / "quantization_methodology.md"
        self.report = self.root / "reports" / "quantization_analysis_report.md"
        self.scorecard = self.root / "scorecards" / "quantization_evaluation.pdf"

    def artifact(self, arm: str, key_hash: str) -> Path:
        return self.root / "artifacts" / f"{arm}-{key_hash[:8]}"

    def imatrix(self, mix: str, key_hash: str) -> Path:
        return self.root / "imatrix" / f"{mix}-{key_hash[:8]}.gguf"

    def measured(self, key_hash: str) -> Path:
        """Quantization errors by tensor and type; of the storage, so that its pipelines share them."""
        return self.root.parent / ".quantization_errors" / f"{key_hash[:16]}.json"

    def performance(self, arm: str, key_hash: str) -> Path:
        return self.root / "performance" / f"{arm}-{key_hash[:8]}.json"

    def records(self, benchmark: str, arm: str, key_hash: str) -> Path:
        return self.root / "records" / f"{benchmark}.{arm}-{key_hash[:8]}"

    def check(self, arm: str, key_hash: str) -> Path:
        return self.root / "checks" / f"{arm}-{key_hash[:8]}.json"


def timings_path(records_path: str | Path) -> Path:
    """The timings file that belongs to a block's records file."""
    return Path(records_path).with_suffix(".timings.jsonl")


def group_path(imatrix_path: str | Path, number: int) -> Path:
    """Where a group of chunks waits until its importance matrix is whole."""
    path = Path(imatrix_path)
    return path.with_name(f"{path.name}.parts") / f"group-{number:05d}.npz"


LOSSES = "losses.json"


@dataclass(frozen=True)
class ArmFiles:
    """Where an arm's files lie."""

    gguf: Path
    manifest: Path
    log: Path
    allocation: Path
    """Of an arm with a budget: each tensor with its type and its measured errors."""
    losses: Path
    """What each quantized tensor lost of its source."""

    @classmethod
    def in_own_folder(cls, gguf: str | Path) -> ArmFiles:
        """As in a run directory: one folder an arm."""
        path = Path(gguf)
        return cls(path, *(path.parent / name for name in ("manifest.json", "log.txt", "allocation.json", LOSSES)))

    @classmethod
    def in_shared_folder(cls, gguf: str | Path) -> ArmFiles:
        """Several arms in one folder: the other files carry the GGUF's name."""
        path = Path(gguf)
        ends = (".manifest.json", ".log.txt", ".allocation.json", f".{LOSSES}")
        return cls(path, *(path.with_suffix(end) for end in ends))
