"""The MLflow mirror: write a run directory into an MLflow store, and keep the store up to date.

The run directory is the source (`actors.tracking.runs` reads it). The job never reads anything back from MLflow. Each
MLflow run has tags that identify it and digests of what it shows. So a second update from an unchanged directory
writes nothing, and the next update rebuilds a deleted store. Only the job that owns the run directory writes.

    experiment  the models' names
    └── run     the pipeline: settings, versions, counts, verdict, data sets, report, documents and charts
        ├── one run per importance matrix
        └── one run per arm: what people compare; it is a logged model, too
            └── one run per cell (arm x benchmark x seed)
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from actors.hashing import content_hash
from actors.tracking.addresses import runs_address
from actors.tracking.client import create_sqlite_store, open_client
from actors.tracking.entities import TrackedDataset, TrackedFile, TrackedPipeline, TrackedRun
from actors.tracking.runs import read_pipeline

PIPELINE_TAG = "quant_assay.pipeline_id"
UNIT_TAG = "quant_assay.unit"
KIND_TAG = "quant_assay.kind"
VALUES_TAG = "quant_assay.values_digest"
FILES_TAG = "quant_assay.files_digest"
MODEL_TAG = "quant_assay.model_id"
LAYOUT_TAG = "quant_assay.layout"
LAYOUT = "3"
"""Grows if some run no longer shows a metric or parameter that it showed before: MLflow can only forget it with the
whole run."""
PARENT_TAG = "mlflow.parentRunId"
CONTEXT_TAG = "mlflow.data.context"
EXTERNAL_TAG = "mlflow.model.isExternal"
"""Tells MLflow that the files of a model are not in its store."""
EXPERIMENT_KIND_TAG = "mlflow.experimentKind"
EXPERIMENT_KIND = "custom_model_development"
"""Makes MLflow open the experiment on its runs. Without this tag MLflow 3 opens its pages for chat traces."""

_PARAMS_PER_BATCH = 100  # MLflow's limit. It takes at most 1000 parameters, metrics and tags together per call.
_METRICS_PER_BATCH = 500
_TAGS_PER_BATCH = 100


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
    """The page with the runs; None if the store is neither a server nor an SQLite file."""


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
        create_sqlite_store(uri)
        self._uri = uri
        self._artifact_root = artifact_root
        self._gguf_limit_bytes = gguf_limit_bytes
        self._client = open_client(uri)

    def sync(self, run_dir: Path) -> MirrorReport:
        """Bring the store up to date with `run_dir`. Raise `MlflowException` if the store refuses."""
        pipeline = read_pipeline(run_dir, self._gguf_limit_bytes)
        experiment_id = self._experiment_id(pipeline.experiment)
        known = {run.data.tags[UNIT_TAG]: run for run in self._known_runs(experiment_id, pipeline.pipeline_id)}
        ids: dict[str, str] = {}
        changed = 0
        for run in (pipeline.parent, *pipeline.children):
            # A cell may be done although its arm's run is missing. It then stands below the pipeline.
            above = None if run.parent is None else ids.get(run.parent, ids[pipeline.parent.unit])
            ids[run.unit], is_changed = self._update(pipeline, run, known.get(run.unit), experiment_id, above)
            changed += is_changed
        parent_id = ids[pipeline.parent.unit]
        return MirrorReport(
            changed=changed,
            runs=len(ids),
            experiment=pipeline.experiment,
            experiment_id=experiment_id,
            parent_run_id=parent_id,
            url=runs_address(self._uri, experiment_id),
        )

    def _experiment_id(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            is_server = self._uri.startswith(("http://", "https://"))
            root = None if is_server or self._artifact_root is None else self._artifact_root.absolute().as_uri()
            made = self._client.create_experiment(
                name, artifact_location=root, tags={EXPERIMENT_KIND_TAG: EXPERIMENT_KIND}
            )
            return str(made)
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        if EXPERIMENT_KIND_TAG not in experiment.tags:
            self._client.set_experiment_tag(experiment.experiment_id, EXPERIMENT_KIND_TAG, EXPERIMENT_KIND)
        return str(experiment.experiment_id)

    def _known_runs(self, experiment_id: str, pipeline_id: str) -> Iterator[Run]:
        token = None
        while True:
            # A pipeline id holds no quotes (conf.schema.base.PIPELINE_ID).
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
        if known is not None and _must_be_made_again(known, run):
            self._delete(known)
            known = None
        values, files = _digests(run, parent_id)
        tags = {} if known is None else known.data.tags
        if known is not None and tags.get(VALUES_TAG) == values and tags.get(FILES_TAG) == files:
            return str(known.info.run_id), False
        shown = known or self._create(pipeline, run, experiment_id, parent_id)
        run_id = str(shown.info.run_id)
        ended_badly = run.status in {"FAILED", "KILLED"}
        if ended_badly:
            self._set_status(run_id, run)  # first, because what stopped the run, a full disk say, may stop this as well
        if tags.get(FILES_TAG) != files:
            self._log_files(str(shown.info.artifact_uri), run.files)
        model_id = tags.get(MODEL_TAG) or self._create_model(pipeline, run, experiment_id, run_id)
        if run.datasets:
            self._client.log_inputs(run_id, [_dataset_input(one) for one in run.datasets])
        if not ended_badly and (run.status, run.end_ms) != (shown.info.status, shown.info.end_time):
            self._set_status(run_id, run)
        # The digests come last, so an update that was interrupted is repeated.
        parent = {PARENT_TAG: parent_id} if parent_id else {}
        model = {MODEL_TAG: model_id} if model_id else {}
        written = {**run.notes, **parent, **model, LAYOUT_TAG: LAYOUT, VALUES_TAG: values, FILES_TAG: files}
        self._log_values(run_id, run, known, model_id, written)
        return run_id, True

    def _delete(self, known: Run) -> None:
        """Delete a run and its model, because MLflow cannot change a parameter and cannot forget a metric."""
        if MODEL_TAG in known.data.tags:
            self._client.delete_logged_model(known.data.tags[MODEL_TAG])
        self._client.delete_run(known.info.run_id)

    def _create(self, pipeline: TrackedPipeline, run: TrackedRun, experiment_id: str, parent_id: str | None) -> Run:
        tags = {PIPELINE_TAG: pipeline.pipeline_id, UNIT_TAG: run.unit, KIND_TAG: run.kind, LAYOUT_TAG: LAYOUT}
        tags |= {PARENT_TAG: parent_id} if parent_id else {}
        return self._client.create_run(experiment_id, start_time=run.start_ms, tags=tags, run_name=run.name)

    def _create_model(self, pipeline: TrackedPipeline, run: TrackedRun, experiment_id: str, run_id: str) -> str | None:
        """List the arm among MLflow's models and return the model's id. None: the run made no model.

        The id is noted at once, so that an update that was interrupted makes no second model.
        """
        if run.model is None:
            return None
        tags = {PIPELINE_TAG: pipeline.pipeline_id, EXTERNAL_TAG: "true"}
        made = self._client.create_logged_model(
            experiment_id, run.model, run_id, tags=tags, params=dict(run.params), model_type="gguf"
        )
        model_id = str(made.model_id)
        self._client.set_tag(run_id, MODEL_TAG, model_id)
        self._client.finalize_logged_model(model_id, LoggedModelStatus.READY)
        self._client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])
        return model_id

    def _log_values(
        self, run_id: str, run: TrackedRun, known: Run | None, model_id: str | None, tags: Mapping[str, str]
    ) -> None:
        """Log the values that the store does not show yet, and at last the tags.

        Logging a metric again would only lengthen its history.
        """
        old_params = known.data.params if known else {}
        old_metrics = known.data.metrics if known else {}
        now_ms = int(time.time() * 1000)
        params = [Param(key, value) for key, value in run.params.items() if key not in old_params]
        metrics = [
            Metric(key, value, now_ms, 0, model_id=model_id)
            for key, value in run.metrics.items()
            if old_metrics.get(key) != value
        ]
        labels = [RunTag(key, value) for key, value in tags.items()]
        while len(params) > _PARAMS_PER_BATCH or len(metrics) > _METRICS_PER_BATCH:
            some = metrics[:_METRICS_PER_BATCH], params[:_PARAMS_PER_BATCH]
            metrics, params = metrics[_METRICS_PER_BATCH:], params[_PARAMS_PER_BATCH:]
            self._client.log_batch(run_id, *some, synchronous=True)
        while len(labels) > _TAGS_PER_BATCH:
            some_labels, labels = labels[:_TAGS_PER_BATCH], labels[_TAGS_PER_BATCH:]
            self._client.log_batch(run_id, tags=some_labels, synchronous=True)
        self._client.log_batch(run_id, metrics, params, labels, synchronous=True)

    def _set_status(self, run_id: str, run: TrackedRun) -> None:
        if run.status == "RUNNING":
            self._client.update_run(run_id, status="RUNNING")
        else:
            self._client.set_terminated(run_id, status=run.status, end_time=run.end_ms)

    def _log_files(self, artifact_uri: str, files: Sequence[TrackedFile]) -> None:
        repository = get_artifact_repository(artifact_uri, tracking_uri=self._uri)
        with tempfile.TemporaryDirectory() as staging:
            for file in files:
                place = PurePosixPath(file.name)
                folder = None if place.parent == PurePosixPath(".") else place.parent.as_posix()
                path = file.path
                if path is None or path.name != place.name:
                    path = Path(staging) / place.name
                    path.write_bytes(file.path.read_bytes() if file.path else file.content or b"")
                repository.log_artifact(str(path), folder)  # type: ignore[no-untyped-call]


def _must_be_made_again(known: Run, run: TrackedRun) -> bool:
    """Return whether a parameter has changed, or whether an older version logged what is no longer shown."""
    if any(known.data.params.get(key, value) != value for key, value in run.params.items()):
        return True
    shown, now = (*known.data.metrics, *known.data.params), {*run.metrics, *run.params}
    return known.data.tags.get(LAYOUT_TAG) != LAYOUT and not now.issuperset(shown)


def _digests(run: TrackedRun, parent_id: str | None) -> tuple[str, str]:
    """Return a hash of all that a run shows but its files, and one of its files."""
    values: list[object] = [run.name, run.status, dict(run.params), dict(run.metrics), dict(run.notes), run.end_ms]
    values += [parent_id, [[one.name, one.sha256] for one in run.datasets]]
    return content_hash(values), content_hash([[file.name, file.sha256] for file in run.files])


def _dataset_input(one: TrackedDataset) -> DatasetInput:
    source = json.dumps({**one.source, "sha256": one.sha256}, ensure_ascii=False)
    dataset = Dataset(name=one.name, digest=one.digest, source_type="quant_assay", source=source)
    return DatasetInput(dataset, [InputTag(CONTEXT_TAG, one.context)])
