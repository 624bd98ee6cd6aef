"""Workers that never start: the others do the work, and if there are none, the error says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from actors.errors import NoPlaceError
from actors.orchestrator.actor import Job, Orchestrator
from actors.orchestrator.late_workers import LateWorkers, find_late_workers, no_place
from actors.orchestrator.placed import Placed
from actors.orchestrator.places import Places
from actors.orchestrator.rooms import Room
from actors.orchestrator.units import PLACED
from conf.environment import protect_local_ray, silence_ray
from tests.orchestrator.equal_workers import NOTHING
from tests.orchestrator.small_plan import make_config, make_small_plan

ROOMS = (Room("a", 2.0, 0.0, 1e9), Room("b", 4.0, 1.0, 1e9, "L4"))
LARGE = Placed(8.0, 1.0, None, 0, NOTHING, NOTHING)


def test_workers_that_have_time_left_are_kept() -> None:
    assert find_late_workers([False, True], [9.0, 900.0], 10, others_work=True) == LateWorkers(False, ())


def test_a_late_worker_is_dismissed_if_another_works() -> None:
    late = find_late_workers([True, False, False], [90.0, 11.0, 5.0], 10, others_work=True)
    assert late == LateWorkers(False, (1,))


def test_the_work_is_given_up_if_nothing_works() -> None:
    late = find_late_workers([False, False, True], [11.0, 5.0, 90.0], 10, others_work=False)
    assert late == LateWorkers(True, (0, 1))


def test_the_reason_says_what_was_asked_for_what_exists_and_what_to_do() -> None:
    message = no_place(replace(LARGE.ask, accelerator_type="H100"), ROOMS, 300)
    assert "asks for 8 CPU and 1 GPU (H100) on one node" in message
    assert "2 nodes (2 CPU; 4 CPU and 1 GPU (L4))" in message
    assert "--threads" in message


def test_nodes_that_a_worker_must_not_use_are_no_room_for_it() -> None:
    message = no_place(replace(LARGE.ask, nodes=frozenset({"a"})), ROOMS, 300)
    assert "1 node (2 CPU), and 1 that it must not use: they joined later, or are of another kind. Use" in message


@pytest.fixture
def small_ray() -> Iterator[None]:
    silence_ray()
    protect_local_ray()
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("small_ray")
def test_a_cluster_without_room_for_any_worker_gives_a_clear_error(tmp_path: Path) -> None:
    places, plan = Places(dict.fromkeys(PLACED, LARGE)), make_small_plan(tmp_path)
    job = Job(make_config(), plan, str(tmp_path), "", places, frozenset(), {}, False, start_within_s=2.0)
    with pytest.raises(NoPlaceError, match=r"no worker could start within 2 s.*1 node \(1 CPU\)"):
        Orchestrator(job).run(None)
