"""A Ray cluster of three pretended nodes with 8, 2 and 0 GPUs: the orchestrator keeps their GPUs at work.

The workers only sleep, because the GPUs are not real. Everything else is real: the processes, and who gets which place.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from actors.orchestrator.actor import Job, Orchestrator
from actors.orchestrator.loop import Step
from actors.orchestrator.places import Places
from actors.orchestrator.plan import Plan
from actors.orchestrator.processes import actor
from actors.orchestrator.units import PLACED
from actors.orchestrator.worker import Worker
from conf.environment import protect_local_ray, silence_ray
from tests.orchestrator.device_player import place
from tests.orchestrator.scripted_workers import ScriptedEvaluator, ScriptedMaker
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan

pytestmark = pytest.mark.slow
GPUS = 10
ASKS = {"f16": 2.0, "q8_0": 1.0, "q4_k_m": 0.5}


class Timed(Orchestrator):
    """An orchestrator that writes down for how long each worker has something to do, its start included."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.spans: list[tuple[float, float, float]] = []
        """GPUs, begin and end, once per call of a worker."""
        self._begun: dict[Worker, float] = {}

    def _carry_out(self, step: Step) -> None:
        self._begun |= dict.fromkeys(step.assigned, time.monotonic())
        super()._carry_out(step)

    def _finish(self, worker: Worker, value: Any) -> None:
        if worker.placed is not None and worker.placed.gpus:
            self.spans.append((worker.placed.gpus, self._begun[worker], time.monotonic()))
        super()._finish(worker, value)


def share(spans: Sequence[tuple[float, float, float]]) -> float:
    """Return the part of all GPU time in the spans that is filled, from the first begin to the last begin."""
    first, last = min(begun for _, begun, _ in spans), max(begun for _, begun, _ in spans)
    return sum(gpus * (min(ended, last) - begun) for gpus, begun, ended in spans) / (GPUS * (last - first))


def gaps(done: Sequence[Mapping[str, Any]]) -> Iterator[float]:
    """Yield the seconds between the end of a block and the begin of the next one in the same worker."""
    for pid in {one["pid"] for one in done}:
        own = sorted((one for one in done if one["pid"] == pid), key=lambda one: float(one["begun"]))
        yield from (later["begun"] - earlier["ended"] for earlier, later in pairwise(own))


@dataclass
class Pretended:
    """A cluster on this machine, and its node with two GPUs."""

    cluster: Cluster
    two: Any


@pytest.fixture(scope="module")
def pretended() -> Iterator[Pretended]:
    silence_ray()
    protect_local_ray()
    small: dict[str, Any] = {"object_store_memory": 80 * 2**20}
    head = {"num_cpus": 8, "num_gpus": 8, "include_dashboard": False, **small}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    two = cluster.add_node(num_cpus=2, num_gpus=2, **small)
    cluster.add_node(num_cpus=2, num_gpus=0, **small)
    ray.init(address=cluster.address, log_to_driver=False)
    yield Pretended(cluster, two)
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = {"quantization": ScriptedMaker, "evaluation": ScriptedEvaluator}
    monkeypatch.setattr(actor, "WORKER_CLASSES", classes)


def plan_of(root: Path, blocks: int) -> Plan:
    """Return a plan of three arms with so many blocks each."""
    inputs = make_inputs(benchmarks={"tiny": (deterministic(32 * blocks),)})
    return make_small_plan(root, inputs=inputs, execution={"self_check": False})


def run(plan: Plan, root: Path) -> Timed:
    """Have everything of a plan carried out that is before its results."""
    arm_of = {block.unit: block.arm for block in plan.blocks}
    arm_of |= {one.unit: one.order.arm for one in plan.performances}
    by_unit = {unit: place(ASKS[arm], cpus=0.5) for unit, arm in arm_of.items()}
    places = Places(dict.fromkeys(PLACED, place(0, cpus=2)), by_unit)
    orchestrator = Timed(Job(make_config(), plan, str(root), "", places, frozenset(), {}, False))
    orchestrator._work()
    return orchestrator


def written(plan: Plan) -> list[dict[str, Any]]:
    paths = [*(block.records_path for block in plan.blocks), *(one.order.output_path for one in plan.performances)]
    return [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths if Path(path).exists()]


@pytest.mark.usefixtures("scripted")
def test_gpus_compute_nine_tenths_of_the_time_until_the_last_blocks(pretended: Pretended, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 24)
    orchestrator = run(plan, tmp_path)
    assert orchestrator.view().failures == ()
    done = written(plan)
    assert len(done) == len(plan.blocks) + len(plan.performances)
    computing = share([(ASKS[one["arm"]], one["begun"], one["ended"]) for one in done])
    given = share(orchestrator.spans)
    print(f"{statistics.median(gaps(done)):.2f} s between two blocks of a worker (median)")
    print(f"workers with work hold {given:.1%} of the GPU time and compute in {computing:.1%}; the rest is starts")
    assert given >= 0.9
    assert {len(one["cards"]) for one in done if one["arm"] == "f16"} == {2}


@pytest.mark.usefixtures("scripted")
def test_if_a_node_is_lost_its_work_goes_on_elsewhere(pretended: Pretended, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 4)
    lost = pretended.two.node_id

    def lose() -> None:
        while lost not in [one["node"] for one in written(plan)]:
            time.sleep(0.2)
        pretended.cluster.remove_node(pretended.two)

    threading.Thread(target=lose, daemon=True).start()
    orchestrator = run(plan, tmp_path)
    view = orchestrator.view()
    assert view.failures == () and len(written(plan)) == len(plan.blocks) + len(plan.performances)
    assert f"node {lost} of the cluster was lost. Its work goes on elsewhere." in view.notices
