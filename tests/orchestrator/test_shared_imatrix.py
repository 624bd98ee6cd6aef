"""The groups of a matrix on several Ray workers: the same bits as from one worker, interrupted or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray

from actors.llama.gguf_layout import read_layout
from actors.orchestrator.actor import Ending, Job, Orchestrator
from actors.orchestrator.done import find_done
from actors.orchestrator.plan import Plan, PlannedImatrix
from actors.ownership import owned
from actors.quantization import imatrix as alone
from actors.store import RunDirectory
from actors.stored_files import ImatrixFiles
from conf.environment import protect_local_ray, read_environment, silence_ray
from conf.files import read_json
from conf.schema.pipeline import PipelineConfig
from jobs._planning import prepare
from jobs._request import Request
from tests.orchestrator.equal_workers import equal_workers
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Start a Ray that has room for three workers on any machine."""
    silence_ray()
    protect_local_ray()
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", dtype="f32")


def request_for(model: Path, storage: Path, n_groups: int) -> Request:
    """Return a pipeline that collects `n_groups` groups, the last one with 3 chunks, and makes and measures one arm."""
    config = PipelineConfig.model_validate(
        {
            "models": [{"name": "tiny", "path": str(model)}],
            "quantizations": ["q4_k_m"],
            "benchmarks": ["perplexity_pydoc"],
            "limit": 1,
            "calibration": {
                "texts": ["package:pydoc_data/topics.py"],
                "allow_overlap": True,
                "dataset_size": 64 * (8 * (n_groups - 1) + 3),
                "ctx": 64,
            },
            "layout": {"threads": 1},
            "storage": str(storage),
        }
    )
    return Request(config, "p", read_environment(), "a test", make_documents=False, mlflow_home=storage)


class Running:
    """A plan that an orchestrator is running on several workers."""

    def __init__(self, request: Request, plan: Plan, workers: int) -> None:
        self.plan, self._run = plan, RunDirectory(request.config.storage / request.pipeline_id)
        self._ownership = owned(self._run, None)
        token = self._ownership.__enter__()
        facts: dict[str, Any] = {
            "created_at": "2026-01-01T00:00:00+00:00",
            "command": "",
            "settings": {},
            "versions": {},
        }
        job = Job(
            request.config,
            plan,
            str(self._run.root),
            token,
            equal_workers(workers),
            find_done(plan),
            facts,
            make_documents=False,
        )
        self.handle: Any = ray.remote(Orchestrator).options(num_cpus=0, max_concurrency=8).remote(job)
        self._end = self.handle.run.remote(self.handle)

    def wait(self) -> Ending:
        """Wait for the end of the plan."""
        ending: Ending = ray.get(self._end, timeout=120)
        self.close()
        return ending

    def close(self) -> None:
        """Kill the orchestrator and, with it, its workers, as happens when a driver ends."""
        ray.kill(self.handle)
        self._ownership.__exit__(None, None, None)


@pytest.fixture
def storage(cluster: None, tmp_path: Path) -> Path:
    return tmp_path / "runs"


def matrix_of(plan: Plan) -> PlannedImatrix:
    (matrix,) = plan.imatrices
    return matrix


def manifest_of(plan: Plan) -> Path:
    return Path(f"{matrix_of(plan).file}.manifest.json")


def groups_done(plan: Plan) -> list[Path]:
    return list(Path(f"{matrix_of(plan).file}.parts").glob("group-*.npz"))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def matrix_bytes(plan: Plan) -> bytes:
    return Path(matrix_of(plan).file).read_bytes()


def matrix_of_one_process(plan: Plan, folder: Path) -> bytes:
    """Collect the same matrix without Ray. Return the content of its file."""
    order = replace(matrix_of(plan).order, output_path=str(folder / "alone.gguf"))
    alone.collect(order, lambda tokens: None)
    return Path(order.output_path).read_bytes()


@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow), 3]
)
def test_any_number_of_workers_gives_the_same_bits(tiny: Path, storage: Path, workers: int) -> None:
    request = request_for(tiny, storage, n_groups=40)
    plan = prepare(request)
    assert len(matrix_of(plan).group_units) == 40
    running = Running(request, plan, workers)
    wait_for(manifest_of(plan).exists)
    running.close()
    assert matrix_bytes(plan) == matrix_of_one_process(plan, storage)
    manifest = read_json(manifest_of(plan))
    assert manifest["n_processes"] == workers
    assert manifest["n_tokens"] == 64 * (8 * 39 + 3)


@pytest.mark.slow
def test_a_killed_run_continues_with_the_groups_that_are_not_saved(tiny: Path, storage: Path) -> None:
    request = request_for(tiny, storage, n_groups=40)
    plan = prepare(request)
    running = Running(request, plan, workers=2)
    wait_for(lambda: len(groups_done(plan)) >= 5)
    running.close()
    saved = {path: path.stat().st_mtime_ns for path in groups_done(plan)}
    assert 5 <= len(saved) < 40
    assert not manifest_of(plan).exists()

    assert {name for name in find_done(plan) if "/group-" in name} == {
        name
        for number, name in enumerate(matrix_of(plan).group_units)
        if ImatrixFiles(matrix_of(plan).file).group(number) in saved
    }
    running = Running(request, plan, workers=3)
    wait_for(lambda: len(groups_done(plan)) > len(saved))
    assert {path: path.stat().st_mtime_ns for path in saved if path.exists()} == saved
    wait_for(manifest_of(plan).exists)
    running.close()
    assert matrix_bytes(plan) == matrix_of_one_process(plan, storage)


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_its_group_is_collected_again(tiny: Path, storage: Path) -> None:
    request = request_for(tiny, storage, n_groups=40)
    plan = prepare(request)
    running = Running(request, plan, workers=2)
    wait_for(lambda: len(groups_done(plan)) >= 5)
    pids = ray.get(running.handle.view.remote()).pids[1:]
    psutil.Process(pids[0]).kill()
    ending = running.wait()
    assert ending.failures == ()
    assert any("group-" in notice and "is tried again" in notice for notice in ending.notices)
    assert any("--dataset-size" in notice for notice in ending.notices)
    assert matrix_bytes(plan) == matrix_of_one_process(plan, storage)
    assert groups_done(plan) == []


@pytest.mark.slow
def test_a_matrix_that_cannot_be_collected_fails_once_with_the_reason(tmp_path: Path, storage: Path) -> None:
    model = write_tiny_model(tmp_path / "broken.gguf")
    request = request_for(model, storage, n_groups=40)
    plan = prepare(request)
    # The checks refuse such a file, so it is damaged after them.
    row = next(row for row in read_layout(model).tensors if row.name == "blk.0.attn_v.weight")
    with model.open("r+b") as file:
        file.seek(row.offset)
        file.write(np.full(256, np.inf, np.float16).tobytes())
    failures = Running(request, plan, workers=2).wait().failures
    groups = [failure for failure in failures if "/group-" in failure.unit]
    assert len(groups) <= 2, "after the matrix has failed, its other groups are not tried"
    (matrix,) = (failure for failure in failures if failure.unit == matrix_of(plan).unit)
    assert "not finite" in matrix.error
    assert "--dataset-size" in matrix.error
    assert matrix.log_tail
    (arm,) = (failure for failure in failures if failure.phase == "quantize")
    assert arm.error == f"needs {matrix.unit}, which failed"
