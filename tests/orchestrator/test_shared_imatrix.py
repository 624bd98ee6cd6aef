"""The groups of a matrix on several Ray workers: the same bits as from one, interrupted or not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from actors.orchestrator.actor import Job, Orchestrator, Outcome
from actors.orchestrator.done import find_done
from actors.orchestrator.placement import Placement
from actors.orchestrator.plan import Plan, PlannedImatrix
from actors.ownership import owned
from actors.store import RunDirectory, group_path, read_json
from conf.load import protect_local_ray, read_environment, silence_ray
from conf.schema import PipelineConfig
from jobs._runner import Request, prepare
from tests.tiny_model import write_tiny_model

N_GROUPS = 5


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray with room for three workers, whatever this machine has."""
    silence_ray()
    protect_local_ray()
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", dtype="f32")


def request_for(model: Path, storage: Path, **calibration: object) -> Request:
    config = PipelineConfig.model_validate(
        {
            "models": [{"name": "tiny", "path": str(model)}],
            "quantizations": ["q4_k_m"],
            "benchmarks": ["perplexity_pydoc"],
            "limit": 1,
            "calibration": {
                "texts": ["package:pydoc_data/topics.py#1/2"],
                "dataset_size": 64 * (8 * (N_GROUPS - 1) + 3),
                "ctx": 64,
                **calibration,
            },
            "layout": {"threads": 1},
            "storage": str(storage),
        }
    )
    return Request(config, "p", read_environment(), "a test", make_documents=False, mlflow_home=storage)


class Running:
    """A plan that several workers carry out."""

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
            Placement(1.0, 0.0, workers),
            find_done(plan),
            facts,
            make_documents=False,
        )
        self.handle: Any = ray.remote(Orchestrator).options(num_cpus=0, max_concurrency=8).remote(job)
        self._end = self.handle.run.remote(self.handle)

    def wait(self) -> Outcome:
        outcome: Outcome = ray.get(self._end, timeout=120)
        self.close()
        return outcome

    def close(self) -> None:
        """End the workers with their orchestrator, as the end of a driver does."""
        ray.kill(self.handle)
        self._ownership.__exit__(None, None, None)


def matrix_of(plan: Plan) -> PlannedImatrix:
    (matrix,) = plan.imatrices
    return matrix


def made(plan: Plan) -> bytes:
    return Path(matrix_of(plan).file).read_bytes()


def collect(model: Path, storage: Path, workers: int) -> tuple[Plan, Outcome]:
    request = request_for(model, storage)
    plan = prepare(request)
    return plan, Running(request, plan, workers).wait()


@pytest.fixture(scope="module")
def whole(cluster: None, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The matrix as one worker makes it."""
    plan, outcome = collect(tiny, tmp_path_factory.mktemp("one"), 1)
    assert outcome.failures == ()
    assert len(matrix_of(plan).group_units) == N_GROUPS
    return made(plan)


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same_bits(whole: bytes, tiny: Path, tmp_path: Path, workers: int) -> None:
    plan, outcome = collect(tiny, tmp_path, workers)
    assert outcome.failures == ()
    assert made(plan) == whole
    manifest = read_json(f"{matrix_of(plan).file}.manifest.json")
    assert (manifest["n_chunks"], manifest["n_tokens"]) == (35, 35 * 64)
    assert not list(tmp_path.rglob("*.parts"))
