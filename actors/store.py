"""The run directory: the name and place of every file of a pipeline.

Every file is written under a temporary name beside its place and then renamed (`conf.files`), so a file that exists
is complete. The file that marks a piece of work as done is written last. No file is ever appended to.

The files of one arm, matrix or benchmark are in `actors.stored_files`, names that `reporting` also needs in
`reporting.file_names`. No other module spells the names of these files, and none asks the file system whether one of
them is there: `conf.files` tells it.
"""

from __future__ import annotations

import glob
from pathlib import Path

from actors.stored_files import (
    BLOCK_SUFFIX,
    JUDGEMENTS,
    MANIFEST,
    META,
    PARTS_SUFFIX,
    RECORDS,
    ArmFiles,
    ImatrixFiles,
    JudgementsFolder,
    RecordsFolder,
)
from reporting import file_names

_LOOKS = ".looks"
_FILE_SUFFIXES = {
    *(".json", BLOCK_SUFFIX, ".parquet", ".yaml", ".gguf", ".npz", ".txt"),
    *(".md", ".html", ".pdf", ".png", ".svg"),
}
"""Ends of the names of files in a run directory. Names of folders there end with a hash, or have no dot."""


class RunDirectory:
    """The files of one pipeline: `<storage>/<pipeline_id>` (design, section 3)."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        self.plan = self.root / "plan.json"
        self.progress = self.root / "progress.json"
        self.manifest = self.root / MANIFEST
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
        return self.root / RECORDS / f"{benchmark}.{arm}-{key_hash[:8]}"

    def judgements(self, judge: str, key_hash: str, records: RecordsFolder) -> JudgementsFolder:
        """Return the folder with what a judge said about the answers of a records folder."""
        return JudgementsFolder(self.root / JUDGEMENTS / f"{judge}-{key_hash[:8]}" / records.path.name)

    def all_judgements(self, records: RecordsFolder) -> list[JudgementsFolder]:
        """Return the existing folders with what any judge said about the answers of a records folder."""
        found = (self.root / JUDGEMENTS).glob(f"*/{glob.escape(records.path.name)}")
        return [JudgementsFolder(path) for path in sorted(found)]

    @property
    def verdicts(self) -> Path:
        """The folder of all verdicts by their keys. All pipelines of the storage share it."""
        return self.root.parent / f".{JUDGEMENTS}"

    def table(self, name: str) -> Path:
        """Return the file of a table beside the results."""
        return self.results / file_names.table(name)

    def tables(self) -> list[Path]:
        """Return the files of the tables beside the results."""
        return sorted(self.table("*").parent.glob(self.table("*").name))

    def described_records(self) -> list[RecordsFolder]:
        """Return the records folders of this pipeline that have a `meta.json`."""
        return [RecordsFolder(meta.parent) for meta in sorted((self.root / RECORDS).glob(f"*/{META}"))]

    def matrices_with_groups(self) -> list[ImatrixFiles]:
        """Return the importance matrices of this pipeline that have a folder of groups."""
        folders = (self.root / file_names.IMATRICES).glob(f"*{PARTS_SUFFIX}")
        return [ImatrixFiles(str(folder).removesuffix(PARTS_SUFFIX)) for folder in folders]

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
        pattern = f"*/{RECORDS}/{benchmark}.*-{named_hash.rpartition('-')[2]}/{META}"
        return [RecordsFolder(meta.parent) for meta in sorted(self.root.parent.glob(pattern))]


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
