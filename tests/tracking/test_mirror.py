"""The MLflow mirror with a real SQLite store: what it shows, that it writes nothing twice, that it can be rebuilt."""

from __future__ import annotations

import http.server
import math
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.utils.validation import _validate_metric_name
from sqlalchemy import create_engine, inspect, text

from actors.store import RunDirectory
from actors.tracking.addresses import mask_secrets, runs_address
from actors.tracking.entities import DESCRIPTION_TAG
from actors.tracking.mirror import EXPERIMENT_KIND_TAG, LAYOUT_TAG, MODEL_TAG, PARENT_TAG, UNIT_TAG, Mirror
from actors.tracking.reachable import check_reachable
from actors.tracking.runs import JUDGING_TAG, read_pipeline
from actors.tracking.scalars import valid_name
from conf.faults import BadInput
from conf.files import read_json, write_json
from tests.finished_run import ARMS, GGUF_BYTES, PERPLEXITY, write_finished_run
from tests.raw_server import page, raw_server

CHARTS = "charts/quantization_performance.svg"


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store with empty tables. Creating it takes a second, so it is created once and copied."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty_store: Path, tmp_path: Path) -> str:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return write_finished_run(tmp_path / "demo")


@pytest.fixture
def mirror(uri: str, tmp_path: Path) -> Mirror:
    return Mirror(uri, tmp_path / "mlartifacts", gguf_limit_bytes=GGUF_BYTES)


def _runs(uri: str, experiment: str = "tiny") -> dict[str, Run]:
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    return {run.data.tags[UNIT_TAG]: run for run in client.search_runs([found.experiment_id])} if found else {}


def _artifacts(uri: str, run: Run, folder: str | None = None) -> set[str]:
    return {file.path for file in MlflowClient(tracking_uri=uri).list_artifacts(run.info.run_id, folder)}


def test_a_job_killed_while_it_creates_the_store_leaves_no_store(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    work = f"from actors.tracking.mirror import Mirror; print('up', flush=True); Mirror({uri!r}, None, 0)"
    process = subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    while process.poll() is None and not list(tmp_path.glob(".mlflow.db.*.part/mlflow.db")):
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert not (tmp_path / "mlflow.db").exists()
    Mirror(uri, None, gguf_limit_bytes=0)
    assert MlflowClient(tracking_uri=uri).search_experiments()
    assert not list(tmp_path.glob(".*.part"))


def test_a_store_that_another_job_has_filled_is_kept(uri: str, tmp_path: Path) -> None:
    MlflowClient(tracking_uri=uri).create_experiment("theirs")
    Mirror(uri, None, gguf_limit_bytes=0)
    assert MlflowClient(tracking_uri=uri).get_experiment_by_name("theirs") is not None


def _dump(uri: str) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    engine = create_engine(uri)
    try:
        with engine.connect() as connection:
            return {
                table: [tuple(row) for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
                for table in inspect(engine).get_table_names()
            }
    finally:
        engine.dispose()


def test_the_cells_stand_below_their_arms_and_these_below_the_pipeline(
    mirror: Mirror, run: RunDirectory, uri: str
) -> None:
    report = mirror.sync(run.root)
    runs = _runs(uri)
    cells = {f"cells/{arm}/gsm8k/{seed}" for arm in ARMS for seed in (0, 1)}
    cells |= {f"cells/{arm}/perplexity_wikitext2/0" for arm in ARMS}
    assert set(runs) == {"pipeline", "imatrix/en-1", *(f"artifacts/{arm}" for arm in ARMS), *cells}
    assert report.runs == report.changed == len(runs)
    assert runs["pipeline"].info.run_name == "demo"
    assert PARENT_TAG not in runs["pipeline"].data.tags
    for unit, found in runs.items():
        if unit.startswith("cells/"):
            assert found.data.tags[PARENT_TAG] == runs[f"artifacts/{found.data.params['arm']}"].info.run_id
        elif unit != "pipeline":
            assert found.data.tags[PARENT_TAG] == report.parent_run_id
    assert {found.info.status for found in runs.values()} == {"FINISHED"}


def test_a_cell_shows_the_means_of_its_own_seed(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    mirror.sync(run.root)
    runs = _runs(uri)
    first, second = (runs[f"cells/q4_k_m+en/gsm8k/{seed}"].data for seed in (0, 1))
    assert (first.metrics["score"], first.metrics["n"], first.metrics["n_unscored"]) == (0.5, 2, 0)
    assert (second.metrics["score"], second.metrics["n"], second.metrics["n_unscored"]) == (1.0, 2, 1)
    # Half of the block's 4 s, because two seeds were decoded together. 150 tokens in 4 s.
    assert (first.metrics["wall_s"], first.metrics["tokens_per_s"]) == (2.0, 37.5)
    assert first.metrics["completion_tokens_per_s"] == 25.0
    assert (first.metrics["memory_host_bytes"], first.metrics["memory_device_bytes"]) == (GGUF_BYTES + 230, 0)
    assert first.params == {
        "arm": "q4_k_m+en",
        "benchmark": "gsm8k",
        "seed": "0",
        "records_dir": "records/gsm8k.q4_k_m+en-12345678",
    }


def test_perplexity_is_the_exponential_of_the_mean_over_all_tokens(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    mirror.sync(run.root)
    metrics = _runs(uri)["cells/f16/perplexity_wikitext2/0"].data.metrics
    assert metrics["nll"] == 1.5
    assert math.isclose(metrics["perplexity"], PERPLEXITY)
    assert metrics["n_tokens"] == 40


def test_an_arm_shows_the_numbers_and_verdicts_that_people_compare(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    mirror.sync(run.root)
    made = _runs(uri)["artifacts/q4_k_m+en"]
    assert made.info.end_time - made.info.start_time == 2500
    assert made.data.metrics == {
        "size_bytes": GGUF_BYTES,
        "bits_per_weight": 4.5,
        "quantize_s": 2.5,
        "gsm8k/accuracy": 0.5,
        "gsm8k/accuracy_low": 0.1,
        "gsm8k/accuracy_high": 0.9,
        "gsm8k/n_items": 2,
        "gsm8k/accuracy_difference": -0.1,
        "gsm8k/accuracy_difference_low": -0.3,
        "gsm8k/accuracy_difference_high": 0.1,
        "perplexity_wikitext2/kld": 0.02,
        "perplexity_wikitext2/kld_low": 0.01,
        "perplexity_wikitext2/kld_high": 0.03,
        "on_average/accuracy_difference": -0.05,
        "on_average/accuracy_difference_low": -0.2,
        "on_average/accuracy_difference_high": 0.1,
        "n_records": 4,
        "n_unscored": 1,
        "decode_tokens_per_second": 25.0,
    }
    named = {"arm": "q4_k_m+en", "model": "tiny", "recipe": "q4_k_m"}
    assert made.data.params == named | {"sha256": "cd" * 32, "key.rule": "1", "types.q4_k": "3", "types.q6_k": "1"}
    assert made.data.tags["quant_assay.verdict"] == made.data.tags["quant_assay.verdict/gsm8k"] == "undecided"
    assert made.data.tags["quant_assay.verdict_on_average"] == "no_worse"
    assert made.data.tags[DESCRIPTION_TAG].startswith("**undecided**")
    assert "−5.0 pp [−20.0, +10.0]" in made.data.tags[DESCRIPTION_TAG]


def test_the_pipeline_shows_counts_claims_and_the_verdict_box(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    mirror.sync(run.root)
    parent = _runs(uri)["pipeline"].data
    arm = "q4_k_m.plus.en"
    counts = {"arms": 2, "benchmarks": 2, "cells": 6, "cells_done": 6, "records": 12, "records_unscored": 2}
    verdicts = {"verdicts/no_worse": 0, "verdicts/undecided": 1, "verdicts/worse": 0}
    claim = {f"on_average/{arm}": -0.05, f"on_average/{arm}_low": -0.2, f"on_average/{arm}_high": 0.1}
    assert parent.metrics == counts | verdicts | claim | {"evaluation_s": 16.0}
    assert parent.tags[f"quant_assay.verdict/{arm}"] == "undecided"
    assert parent.tags[f"quant_assay.verdict_on_average/{arm}"] == "no_worse"
    assert parent.tags["quant_assay.smallest_no_worse"] == "none"
    assert parent.tags["quant_assay.smallest_no_worse_on_average"] == "q4_k_m+en"
    assert parent.tags[DESCRIPTION_TAG].startswith("**No file is shown to be no worse than f16 on every benchmark.")
    assert parent.params["versions.llama_cpp_python"] == "0.3.36"
    assert parent.params["settings.sampling.temperature"] == "0.7"


def test_an_arm_is_a_model_with_the_same_parameters_and_metrics(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    report = mirror.sync(run.root)
    arm = _runs(uri)["artifacts/q4_k_m+en"]
    models = MlflowClient(tracking_uri=uri).search_logged_models([report.experiment_id])
    assert {model.name for model in models} == set(ARMS)
    (model,) = [model for model in models if model.name == "q4_k_m+en"]
    assert (model.model_id, model.source_run_id) == (arm.data.tags[MODEL_TAG], arm.info.run_id)
    assert (str(model.status), model.model_type) == ("READY", "gguf")
    assert model.params == arm.data.params
    assert {metric.key: metric.value for metric in model.metrics or ()} == arm.data.metrics
    assert [output.model_id for output in arm.outputs.model_outputs] == [model.model_id]


def test_the_data_of_benchmarks_are_named_by_their_hash(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    mirror.sync(run.root)
    runs = _runs(uri)
    for unit in ("pipeline", "artifacts/f16"):
        (one,) = runs[unit].inputs.dataset_inputs
        assert (one.dataset.name, one.dataset.digest) == ("gsm8k", "ef" * 18)
        assert "ef" * 32 in one.dataset.source and "openai/gsm8k" in one.dataset.source
        assert {tag.key: tag.value for tag in one.tags} == {"mlflow.data.context": "evaluation"}


def test_the_experiment_opens_on_the_pages_for_runs(
    mirror: Mirror, run: RunDirectory, uri: str, tmp_path: Path
) -> None:
    # Made by somebody who did not say what kind it is.
    MlflowClient(tracking_uri=uri).create_experiment("tiny", (tmp_path / "mlartifacts").as_uri())
    report = mirror.sync(run.root)
    experiment = MlflowClient(tracking_uri=uri).get_experiment(report.experiment_id)
    assert experiment.tags[EXPERIMENT_KIND_TAG] == "custom_model_development"
    page = f"/#/experiments/{report.experiment_id}/runs?workflowType=machine_learning"
    assert report.url == f"http://127.0.0.1:5000{page}"
    assert runs_address("https://me:secret@host/mlflow/", "7") == (
        "https://me:***@host/mlflow/#/experiments/7/runs?workflowType=machine_learning"
    )
    assert runs_address("postgresql://host/db", "7") is None


def test_artifacts_can_be_browsed(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    mirror.sync(run.root)
    runs = _runs(uri)
    assert _artifacts(uri, runs["pipeline"]) == {*("0_report", "charts", "evaluation_results", "plan.json", "reports")}
    assert _artifacts(uri, runs["pipeline"], "0_report") == {"0_report/quantization_analysis_report.html"}
    assert _artifacts(uri, runs["pipeline"], "charts") == {CHARTS}
    assert _artifacts(uri, runs["artifacts/f16"]) == {"manifest.json", "records", "tiny.gguf"}
    cell = runs["cells/f16/gsm8k/1"]
    assert _artifacts(uri, cell) == {"records.jsonl"}
    logged = Path(MlflowClient(tracking_uri=uri).download_artifacts(cell.info.run_id, "records.jsonl"))
    block = run.root / "records/gsm8k.f16-12345678/00000-2.g0.jsonl"
    assert logged.read_text() == "".join(
        line for line in block.read_text().splitlines(keepends=True) if '"seed":1' in line
    )


def test_a_large_gguf_is_shown_by_path_and_hash_only(uri: str, run: RunDirectory, tmp_path: Path) -> None:
    Mirror(uri, tmp_path / "mlartifacts", gguf_limit_bytes=GGUF_BYTES - 1).sync(run.root)
    arm = _runs(uri)["artifacts/f16"]
    assert _artifacts(uri, arm) == {"manifest.json", "records"}
    assert arm.data.params["path"] == str(run.root / "artifacts/f16-12345678/tiny.gguf")
    assert arm.data.params["sha256"] == "cd" * 32


def test_a_second_update_writes_nothing(mirror: Mirror, run: RunDirectory, uri: str, tmp_path: Path) -> None:
    mirror.sync(run.root)
    before = _dump(uri)
    again = Mirror(uri, tmp_path / "mlartifacts", gguf_limit_bytes=GGUF_BYTES)
    assert again.sync(run.root).changed == 0
    assert _dump(uri) == before


def test_a_deleted_store_is_rebuilt(empty_store: Path, run: RunDirectory, tmp_path: Path) -> None:
    seen = []
    for name in ("one", "two"):
        shutil.copy(empty_store, tmp_path / f"{name}.db")
        uri = f"sqlite:///{tmp_path / name}.db"
        Mirror(uri, tmp_path / name, gguf_limit_bytes=GGUF_BYTES).sync(run.root)
        seen.append({unit: (found.data.params, found.data.metrics) for unit, found in _runs(uri).items()})
    assert seen[0] == seen[1]


def test_a_running_pipeline_shows_what_is_done_so_far(mirror: Mirror, uri: str, tmp_path: Path) -> None:
    run = write_finished_run(tmp_path / "demo", state="running")
    missing = run.root / "records/gsm8k.f16-12345678/00000-2.g0.jsonl"
    kept = missing.read_bytes()
    missing.unlink()
    mirror.sync(run.root)
    runs = _runs(uri)
    assert runs["pipeline"].info.status == "RUNNING"
    assert "cells/f16/gsm8k/0" not in runs

    missing.write_bytes(kept)
    write_json(run.progress, {**read_json(run.progress), "state": "done"})
    assert mirror.sync(run.root).changed == 3  # the parent and the two seeds of the block
    assert {found.info.status for found in _runs(uri).values()} == {"FINISHED"}


def test_runs_that_are_missing_at_the_end_are_shown_as_failed(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    (run.root / "records/gsm8k.f16-12345678/00000-2.g0.jsonl").unlink()
    (run.root / "artifacts/q4_k_m+en-12345678/manifest.json").unlink()
    mirror.sync(run.root)
    failed = {unit for unit, found in _runs(uri).items() if found.info.status == "FAILED"}
    assert failed == {"cells/f16/gsm8k/0", "cells/f16/gsm8k/1", "artifacts/q4_k_m+en"}


def test_blocks_that_an_early_stop_saved_are_not_missing(tmp_path: Path) -> None:
    run = write_finished_run(tmp_path / "demo")
    unit = "records/gsm8k.f16-12345678/00000-2.g0"
    (run.root / f"{unit}.jsonl").unlink()
    write_json(run.manifest, {"spared": [unit]})
    cells = {child.unit: child for child in read_pipeline(run.root, GGUF_BYTES).children if child.kind == "cell"}
    assert {cell.status for cell in cells.values()} == {"FINISHED"}
    assert cells["cells/f16/gsm8k/0"].notes == {"model": "tiny", "quant_assay.missing_blocks": "0"}


def test_a_changed_setting_replaces_the_parent_and_keeps_its_children(
    mirror: Mirror, run: RunDirectory, uri: str
) -> None:
    first = mirror.sync(run.root)
    plan = read_json(run.plan)
    write_json(run.plan, {**plan, "settings": {**plan["settings"], "runs": 3}})
    second = mirror.sync(run.root)
    assert second.parent_run_id != first.parent_run_id
    runs = _runs(uri)
    assert len(runs) == second.runs
    above = {found.data.tags[PARENT_TAG] for unit, found in runs.items() if not unit.startswith(("pipeline", "cells/"))}
    assert above == {second.parent_run_id}


def test_answers_that_are_judged_again_update_the_run_of_the_pipeline(
    mirror: Mirror, run: RunDirectory, uri: str
) -> None:
    plan = read_json(run.plan)
    for judge in ("kind", "strict"):
        judging = {"judges": [{"name": judge}], "repeats": 2}
        write_json(run.plan, {**plan, "settings": {**plan["settings"], "judging": judging}})
        report = mirror.sync(run.root)
    everything = MlflowClient(tracking_uri=uri).search_runs([report.experiment_id], run_view_type=ViewType.ALL)
    (only,) = (one for one in everything if one.data.tags[UNIT_TAG] == "pipeline")
    assert only.info.run_id == report.parent_run_id
    assert '"name": "strict"' in only.data.tags[JUDGING_TAG]
    assert not [name for name in only.data.params if name.startswith("settings.judging")]


def test_a_changed_number_is_shown(mirror: Mirror, run: RunDirectory, uri: str) -> None:
    mirror.sync(run.root)
    comparison = read_json(run.comparison)
    comparison["results"][0]["mean"] = 0.25
    write_json(run.comparison, comparison)
    assert mirror.sync(run.root).changed == 2  # the arm, and the pipeline with the results file
    assert _runs(uri)["artifacts/f16"].data.metrics["gsm8k/accuracy"] == 0.25


def test_a_run_of_an_older_version_is_replaced_if_it_shows_what_is_no_longer_shown(
    mirror: Mirror, run: RunDirectory, uri: str
) -> None:
    report = mirror.sync(run.root)
    client = MlflowClient(tracking_uri=uri)
    runs = _runs(uri)
    for unit in ("pipeline", "artifacts/f16", "cells/f16/gsm8k/0"):
        client.delete_tag(runs[unit].info.run_id, LAYOUT_TAG)
    for unit in ("pipeline", "artifacts/f16"):
        client.log_metric(runs[unit].info.run_id, "arms/f16/size_bytes", 1.0)
    assert mirror.sync(run.root).parent_run_id != report.parent_run_id
    again = _runs(uri)
    assert again.keys() == runs.keys()
    assert all("arms/f16/size_bytes" not in found.data.metrics for found in again.values())
    assert again["cells/f16/gsm8k/0"].info.run_id == runs["cells/f16/gsm8k/0"].info.run_id
    models = client.search_logged_models([report.experiment_id])
    assert {model.name: model.source_run_id for model in models} == {
        arm: again[f"artifacts/{arm}"].info.run_id for arm in ARMS
    }


def test_the_mirror_prints_nothing(
    empty_store: Path, run: RunDirectory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Mirror(f"sqlite:///{tmp_path / 'new.db'}", tmp_path / "mlartifacts", gguf_limit_bytes=0).sync(run.root)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("q4_k_m+en", "q4_k_m.plus.en"),
        ("tiny~f16", "tiny.of.f16"),
        ("a<b>", "a.x3c.b.x3e."),
        ("x/y", "x/y"),
        ("東京~f16/ガ", "東京.of.f16/ガ"),
    ],
)
def test_names_are_made_valid_for_mlflow(name: str, valid: str) -> None:
    assert valid_name(name) == valid
    _validate_metric_name(valid)


def test_long_names_stay_two() -> None:
    names = {valid_name("n" * 300 + end) for end in "ab"}
    assert len(names) == 2 and {len(name) for name in names} == {250}


@pytest.fixture
def closed_port() -> int:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        return int(server.server_address[1])


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2"])
def test_a_server_that_does_not_answer_is_bad_input_and_its_password_stays_hidden(
    scheme: str, closed_port: int
) -> None:
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_URI") as caught:
        check_reachable(f"{scheme}://user:geheim@127.0.0.1:{closed_port}/mlflow")
    assert "user:***@" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "   ", "ftp://host", "databricks", "sqlite:///{own}"])
def test_a_store_that_mlflow_cannot_use_is_told_before_the_start(tmp_path: Path, uri: str) -> None:
    own = tmp_path / "notes.db"
    own.write_text("these are notes and no database")
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_URI"):
        check_reachable(uri.format(own=own))
    assert own.read_text() == "these are notes and no database"


def test_a_store_file_in_a_folder_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_URI"):
        check_reachable(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")
    check_reachable(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    assert not (tmp_path / "new").exists()


class _Tracking(http.server.BaseHTTPRequestHandler):
    """The part of an MLflow server that `check_reachable` needs."""

    def do_GET(self) -> None:
        self._send(b"OK")

    def do_POST(self) -> None:
        self._send(b'{"experiments": []}')

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def server_uri() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Tracking) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_server_that_answers_is_accepted(server_uri: str) -> None:
    check_reachable(server_uri)


@pytest.mark.parametrize(
    ("answer", "pause_s", "reason"),
    [
        (page(b"<html>\x1b[31mFAILED"), 0.0, "<html>"),
        (page(b'{"experiments": 7}'), 0.0, "Error"),
        (page(b"[]"), 0.0, "MlflowException"),
        (page(b"no", b"503 Busy"), 0.0, "Max retries"),
        ([b"SSH-2.0\r\n"], 0.0, "BadStatusLine"),
        ([b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 1000], 0.1, "no answer in 2 s"),
        ([b"", b""], 60.0, "no answer in 2 s"),
    ],
)
def test_a_server_that_answers_garbage_or_not_at_all_is_told_in_time(
    answer: list[bytes], pause_s: float, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.tracking.reachable.CHECK_WITHIN_S", 2.0)
    monkeypatch.setattr("actors.tracking.client._RETRIES", 0)
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    started = time.monotonic()
    with raw_server(answer, pause_s) as uri, pytest.raises(BadInput, match="--no-mlflow-wait") as caught:
        check_reachable(uri)
    assert time.monotonic() - started < 5
    assert reason in str(caught.value) and "\x1b" not in str(caught.value) and uri in str(caught.value)


def test_secrets_are_masked_anywhere_in_a_text() -> None:
    text = "no route to postgresql://me:s3:cret@db:5432/x?password=abc&y=1"
    assert mask_secrets(text) == "no route to postgresql://me:***@db:5432/x?password=***&y=1"
