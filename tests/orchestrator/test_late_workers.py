"""Workers that never start: the others do the work, and if there are none, the error says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from actors.errors import NoPlaceError
from actors.orchestrator.actor import Job, Orchestrator
from actors.orchestrator.late_workers import LateWorkers, find_late_workers, no_place_error
from actors.orchestrator.placement import Cluster, place
from conf.environment import protect_local_ray, silence_ray
from tests.orchestrator.small_plan import make_config, make_small_plan

NODES = [
    {"Alive": True, "Resources": {"CPU": 2.0, "memory": 1e9}},
    {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}},
    {"Alive": False, "Resources": {"CPU": 64.0}},
]
ASKED = place(Cluster(8, 1, 2**34), threads=8, gpus_per_worker=1, use_gpu=True, worker_bytes={}, max_workers=None)


def test_workers_that_have_time_left_are_kept() -> None:
    assert find_late_workers([False, True], [9.0, 900.0], 10) == LateWorkers(False, ())


def test_a_late_worker_is_dismissed_if_another_has_started() -> None:
    assert find_late_workers([True, False, False], [90.0, 11.0, 5.0], 10) == LateWorkers(False, (1,))


def test_the_work_is_given_up_if_no_worker_has_started() -> None:
    assert find_late_workers([False, False], [11.0, 5.0], 10) == LateWorkers(True, (0, 1))


def test_the_error_says_what_was_asked_for_what_exists_and_what_to_do() -> None:
    message = str(no_place_error(ASKED, NODES, 300))
    assert "asks for 8 CPU and 1 GPU on one node" in message
    assert "2 nodes (2 CPU; 4 CPU and 1 GPU)" in message
    assert "--threads" in message


@pytest.fixture
def small_ray() -> Iterator[None]:
    silence_ray()
    protect_local_ray()
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("small_ray")
def test_a_cluster_without_room_for_any_worker_gives_a_clear_error(tmp_path: Path) -> None:
    job = Job(
        make_config(), make_small_plan(tmp_path), str(tmp_path), "", ASKED, frozenset(), {}, False, start_within_s=2.0
    )
    with pytest.raises(NoPlaceError, match=r"no worker could start within 2 s.*1 node \(1 CPU\)"):
        Orchestrator(job).run(None)
