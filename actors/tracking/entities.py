"""What MLflow shows of a run directory: runs with their parameters, metrics, files, data sets and models.

`actors.tracking.runs` makes them from the files of a run directory; `actors.tracking.mirror` writes them into a store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from actors.hashing import file_sha256

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
Kind = Literal["pipeline", "imatrix", "arm", "cell"]
PARENT_UNIT = "pipeline"
DESCRIPTION_TAG = "mlflow.note.content"
"""MLflow shows this tag, as Markdown, as the description of a run."""
_DIGEST_CHARS = 36
"""The longest digest of a data set in MLflow."""


@dataclass(frozen=True)
class TrackedFile:
    """A file that becomes an MLflow artifact: either a file on disk, or bytes collected from several files."""

    name: str
    """Path among the run's artifacts, with `/`."""
    sha256: str
    path: Path | None = None
    """The file on disk, if there is one."""
    content: bytes | None = None
    """The content, if there is no such file on disk."""


@dataclass(frozen=True)
class TrackedDataset:
    """The items of a benchmark, or a calibration text."""

    name: str
    sha256: str
    context: Literal["evaluation", "calibration"]
    source: Mapping[str, object]
    """Where it comes from, and how much of it was used."""

    @property
    def digest(self) -> str:
        """The part of the hash that MLflow has room for."""
        return self.sha256[:_DIGEST_CHARS]


@dataclass(frozen=True)
class TrackedRun:
    """Everything that one MLflow run shows."""

    unit: str
    """Identifies the run in the store: `pipeline`, `imatrix/<file>`, `artifacts/<arm>` or
    `cells/<arm>/<benchmark>/<seed>`."""
    name: str
    kind: Kind
    status: RunStatus
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    files: tuple[TrackedFile, ...]
    start_ms: int | None
    end_ms: int | None
    parent: str | None = PARENT_UNIT
    """Unit of the run that it stands below; None for the pipeline."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Tags that may change from one update to the next."""
    datasets: tuple[TrackedDataset, ...] = ()
    model: str | None = None
    """Name of the model that it made, which MLflow lists with the run's parameters and metrics. None: it made none."""


@dataclass(frozen=True)
class TrackedPipeline:
    """Everything that MLflow shows of a run directory."""

    pipeline_id: str
    experiment: str
    parent: TrackedRun
    children: tuple[TrackedRun, ...]
    """Each stands behind the run that it is below."""


def tracked_file(path: Path, name: str, known_sha256: str | None = None) -> TrackedFile:
    """Return a file on disk. Its hash is computed unless it is known."""
    return TrackedFile(name, known_sha256 or file_sha256(path), path=path)


def tracked_bytes(content: bytes, name: str) -> TrackedFile:
    """Return a file that is not on disk as such."""
    return TrackedFile(name, hashlib.sha256(content).hexdigest(), content=content)
