"""The MLflow mirror: write a run directory into an MLflow store, and keep the store up to date.

The run directory is the source (`actors.tracking.runs` reads it). The job never reads anything back from MLflow. Each
MLflow run has tags that identify it and digests of what it shows. So a second update from an unchanged directory
writes nothing, and the next update rebuilds a deleted store. Only the job that owns the run directory writes.

    experiment  the models' names
    └── run     the pipeline: settings, versions, every number of the results, documents and charts
        ├── one run per importance matrix
        ├── one run per arm's GGUF
        └── one run per cell (arm x benchmark x seed)
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.environment_variables import (
    MLFLOW_DISABLE_TELEMETRY,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
)
from mlflow.telemetry import set_telemetry_client

from actors.store import content_hash, exists, folder_aside, remove_leftovers
from actors.tracking.addresses import mask_secrets, sqlite_path
from actors.tracking.runs import TrackedFile, TrackedPipeline, TrackedRun, read_pipeline

PIPELINE_TAG = "quant_assay.pipeline_id"
UNIT_TAG = "quant_assay.unit"
KIND_TAG = "quant_assay.kind"
VALUES_TAG = "quant_assay.values_digest"
FILES_TAG = "quant_assay.files_digest"
PARENT_TAG = "mlflow.parentRunId"
EXPERIMENT_KIND_TAG = "mlflow.experimentKind"
"""Makes MLflow open the experiment on its pages for runs. Without this tag MLflow 3 opens its pages for chat traces."""

T = TypeVar("T")

_REQUEST_TIMEOUT_S, _RETRIES = 20, 2
"""MLflow's own values are 120 and 7: one update would try for hours if a server hangs. The next update tries again."""
_PARAMS_PER_BATCH = 100  # MLflow's limit. It takes at most 1000 parameters, metrics and tags together per call.
_METRICS_PER_BATCH = 500


@dataclass(frozen=True)
class MirrorReport:
    """What one update changed in the store."""

    changed: int
    """Number of MLflow runs that were created or changed. 0 if the store was up to date."""
    runs: int
    """Number of this pipeline's MLflow runs in the store."""
    experiment: str
    experiment_id: str
    parent_run_id: str
    url: str | None
    """Page of the parent run. None if the store is not a server."""


class Mirror:
    """Writes the run directory of one pipeline into one MLflow store."""

    def __init__(self, uri: str, artifact_root: Path | None, gguf_limit_bytes: int) -> None:
        """Open the store. Create it if it is a missing SQLite file.

        Args:
            uri: tracking URI.
            artifact_root: folder for the artifacts of a new experiment. A server ignores it and uses its own place.
                None: MLflow's default.
            gguf_limit_bytes: GGUFs up to this size become artifacts.
        """
        _create_sqlite_store(uri)
        self._uri = uri
        self._artifact_root = artifact_root
        self._gguf_limit_bytes = gguf_limit_bytes
        self._client = open_client(uri)

    def sync(self, run_dir: Path) -> MirrorReport:
        """Bring the store up to date with `run_dir`. Raise `MlflowException` if the store refuses."""
        pipeline = read_pipeline(run_dir, self._gguf_limit_bytes)
        experiment_id = self._experiment_id(pipeline.experiment)
        known = {run.data.tags[UNIT_TAG]: run for run in self._known_runs(experiment_id, pipeline.pipeline_id)}
        parent_id, is_parent_changed = self._update(
            pipeline, pipeline.parent, known.get(pipeline.parent.unit), experiment_id, None
        )
        changed = int(is_parent_changed)
        for child in pipeline.children:
            _, is_changed = self._update(pipeline, child, known.get(child.unit), experiment_id, parent_id)
            changed += is_changed
        is_server = self._uri.startswith(("http://", "https://"))
        base = mask_secrets(self._uri).rstrip("/")
        return MirrorReport(
            changed=changed,
            runs=1 + len(pipeline.children),
            experiment=pipeline.experiment,
            experiment_id=experiment_id,
            parent_run_id=parent_id,
            url=f"{base}/#/experiments/{experiment_id}/runs/{parent_id}" if is_server else None,
        )

    def _experiment_id(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            is_server = self._uri.startswith(("http://", "https://"))
            root = None if is_server or self._artifact_root is None else self._artifact_root.absolute().as_uri()
            made = self._client.create_experiment(
                name, artifact_location=root, tags={EXPERIMENT_KIND_TAG: "custom_model_development"}
            )
            return str(made)
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def _known_runs(self, experiment_id: str, pipeline_id: str) -> Iterator[Run]:
        token = None
        while True:
            # A pipeline id holds no quotes (conf.schema.PIPELINE_ID).
            page = self._client.search_runs(
                [experiment_id], f"tags.`{PIPELINE_TAG}` = '{pipeline_id}'", page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _update(
        self, pipeline: TrackedPipeline, run: TrackedRun, known: Run | None, experiment_id: str, parent_id: str | None
    ) -> tuple[str, bool]:
        """Create `run`, or bring `known` up to date. Return the run's id and whether anything was written."""
        if known is not None and _has_other_params(known, run):
            # MLflow cannot change a parameter, so a run with other parameters must be made again.
            self._client.delete_run(known.info.run_id)
            known = None
        values = content_hash(
            [run.name, run.status, dict(run.params), dict(run.metrics), dict(run.notes), run.end_ms, parent_id]
        )
        files = content_hash([[file.name, file.sha256] for file in run.files])
        tags = {} if known is None else known.data.tags
        if tags.get(VALUES_TAG) == values and tags.get(FILES_TAG) == files:
            return str(known.info.run_id if known else ""), False
        run_id = known.info.run_id if known else self._create(pipeline, run, experiment_id)
        ended_badly = run.status in {"FAILED", "KILLED"}
        if ended_badly:
            self._set_status(run_id, run)  # first, because what stopped the run, a full disk say, may stop this as well
        if tags.get(FILES_TAG) != files:
            self._log_files(run_id, run.files)
        self._log_values(run_id, run, known)
        if not ended_badly:
            self._set_status(run_id, run)
        # The digests come last, so an update that was interrupted is repeated.
        parent = {PARENT_TAG: parent_id} if parent_id else {}
        self._log_tags(run_id, {**run.notes, **parent, VALUES_TAG: values, FILES_TAG: files})
        return str(run_id), True

    def _create(self, pipeline: TrackedPipeline, run: TrackedRun, experiment_id: str) -> str:
        tags = {PIPELINE_TAG: pipeline.pipeline_id, UNIT_TAG: run.unit, KIND_TAG: run.kind}
        made = self._client.create_run(experiment_id, start_time=run.start_ms, tags=tags, run_name=run.name)
        return str(made.info.run_id)

    def _log_values(self, run_id: str, run: TrackedRun, known: Run | None) -> None:
        """Log the values that the store does not show yet. Logging a metric again would only lengthen its history."""
        old_params = known.data.params if known else {}
        old_metrics = known.data.metrics if known else {}
        now_ms = int(time.time() * 1000)
        params = [Param(key, value) for key, value in run.params.items() if key not in old_params]
        metrics = [Metric(key, value, now_ms, 0) for key, value in run.metrics.items() if old_metrics.get(key) != value]
        batches = itertools.zip_longest(
            _batches(params, _PARAMS_PER_BATCH), _batches(metrics, _METRICS_PER_BATCH), fillvalue=()
        )
        for some_params, some_metrics in batches:
            self._client.log_batch(run_id, metrics=some_metrics, params=some_params, synchronous=True)

    def _log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()], synchronous=True)

    def _set_status(self, run_id: str, run: TrackedRun) -> None:
        if run.status == "RUNNING":
            self._client.update_run(run_id, status="RUNNING")
        else:
            self._client.set_terminated(run_id, status=run.status, end_time=run.end_ms)

    def _log_files(self, run_id: str, files: Sequence[TrackedFile]) -> None:
        with tempfile.TemporaryDirectory() as staging:
            for file in files:
                place = PurePosixPath(file.name)
                folder = None if place.parent == PurePosixPath(".") else place.parent.as_posix()
                path = file.path
                if path is None:
                    path = Path(staging) / place.name
                    path.write_bytes(file.content or b"")
                self._client.log_artifact(run_id, str(path), artifact_path=folder)


def open_client(uri: str) -> MlflowClient:
    """Return MLflow's client of a store, which stays silent and gives up soon."""
    _silence_mlflow()
    return MlflowClient(tracking_uri=uri)


def _create_sqlite_store(uri: str) -> None:
    """Create the SQLite store with its tables, if the file is missing.

    MLflow creates the tables in about fifty migrations, and SQLite commits each one. A job that is killed between two
    of them would leave a store that no MLflow can open. So the store is made elsewhere and then linked to its place.
    """
    path = sqlite_path(uri)
    if path is None or exists(path):
        return
    remove_leftovers(path.parent)
    with folder_aside(path) as aside:
        made = aside / path.name
        open_client(f"sqlite:///{made}").search_experiments(max_results=1)
        # A link never replaces a store that another job has created and filled in the meantime.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(made)


def _batches(entries: Sequence[T], size: int) -> list[Sequence[T]]:
    return [entries[start : start + size] for start in range(0, len(entries), size)]


def _has_other_params(known: Run, run: TrackedRun) -> bool:
    return any(known.data.params.get(key, value) != value for key, value in run.params.items())


def _silence_mlflow() -> None:
    """Keep messages of MLflow and alembic out of the job's output, and stop MLflow from sending usage reports.

    Also let its client give up sooner, unless the user has set how long it tries.
    """
    if not MLFLOW_HTTP_REQUEST_TIMEOUT.is_set():  # type: ignore[no-untyped-call]
        MLFLOW_HTTP_REQUEST_TIMEOUT.set(_REQUEST_TIMEOUT_S)  # type: ignore[no-untyped-call]
    if not MLFLOW_HTTP_REQUEST_MAX_RETRIES.is_set():  # type: ignore[no-untyped-call]
        MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(_RETRIES)  # type: ignore[no-untyped-call]
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)  # type: ignore[no-untyped-call]
    MLFLOW_DISABLE_TELEMETRY.set(True)  # type: ignore[no-untyped-call]
    set_telemetry_client()  # type: ignore[no-untyped-call]
    for name in ("mlflow", "alembic", "git", "urllib3"):
        # Not even errors: what matters is raised as well, and is told once, in one line.
        logging.getLogger(name).setLevel(logging.CRITICAL)
