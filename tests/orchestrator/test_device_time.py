"""A Ray cluster of three pretended nodes with 8, 2 and 0 GPUs: the orchestrator keeps their GPUs at work.

The workers only sleep, because the GPUs are not real. Everything else is real: the processes, and who gets which place.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from tests.orchestrator.scripted_workers import BriskEvaluator, ScriptedEvaluator, ScriptedMaker
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan

pytestmark = pytest.mark.slow
GPUS = 10
ASKS = {"f16": 2.0, "q8_0": 1.0, "q4_k_m": 0.5}


class Timed(Orchestrator):
    """An orchestrator that writes down how much time it takes itself, and since when its workers hold their GPUs."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.turnarounds: list[float] = []
        """Seconds from a worker's result to the moment when all that follows from it has been sent."""
        self.hired: dict[str, float] = {}
        """By unit, when the process of its worker was asked for."""
        self._hired_at: dict[Worker, float] = {}
        self._result_s: float | None = None

    def _finish(self, worker: Worker, value: Any) -> None:
        self._result_s = time.monotonic()
        self.hired |= {unit.id: self._hired_at[worker] for unit in worker.units}
        super()._finish(worker, value)

    def _carry_out(self, step: Step) -> None:
        for worker in step.assigned:
            self._hired_at.setdefault(worker, time.time())
        super()._carry_out(step)
        if self._result_s is not None:
            self.turnarounds.append(time.monotonic() - self._result_s)
            self._result_s = None


@dataclass(frozen=True)
class Span:
    """A time in which GPUs are used for one thing."""

    gpus: float
    begun: float
    ended: float


def share(spans: Iterable[Span], window: tuple[float, float]) -> float:
    """Return the part of all GPU time between two moments that is in the spans."""
    first, last = window
    inside = (one.gpus * max(0.0, min(one.ended, last) - max(one.begun, first)) for one in spans)
    return sum(inside) / (GPUS * (last - first))


def gaps(done: Sequence[Mapping[str, Any]]) -> Iterator[float]:
    """Yield the seconds between the end of a block and the begin of the next one in the same worker."""
    for own in by_worker(done).values():
        yield from (later["begun"] - earlier["ended"] for earlier, later in pairwise(own))


def by_worker(done: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """Return what each worker has done, in order."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for one in sorted(done, key=lambda one: float(one["begun"])):
        found.setdefault(one["pid"], []).append(one)
    return found


def all_at_work(done: Sequence[Mapping[str, Any]]) -> float:
    """Return when the workers that fill the GPUs for the first time have all started and loaded their models."""
    firsts = [own[0] for own in by_worker(done).values()]
    free = float(GPUS)
    for number, one in enumerate(firsts):
        free -= ASKS[one["arm"]]
        if free < 0.5:
            return max(float(first["loaded"]) for first in firsts[: number + 1])
    raise AssertionError(f"{free:g} of {GPUS} GPUs were never used")


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
    # Ray starts a process for each CPU beforehand, so on real nodes, which have more CPUs than GPUs, workers find one.
    head = {"num_cpus": 24, "num_gpus": 8, "include_dashboard": False, **small}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    two = cluster.add_node(num_cpus=6, num_gpus=2, **small)
    cluster.add_node(num_cpus=2, num_gpus=0, **small)
    ray.init(address=cluster.address, log_to_driver=False)
    yield Pretended(cluster, two)
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


def plan_of(root: Path, blocks: int) -> Plan:
    """Return a plan of three arms with so many blocks each."""
    inputs = make_inputs(benchmarks={"tiny": (deterministic(32 * blocks),)})
    return make_small_plan(root, inputs=inputs, execution={"self_check": False})


def run(plan: Plan, root: Path, evaluator: type[ScriptedEvaluator], monkeypatch: pytest.MonkeyPatch) -> Timed:
    """Have everything of a plan carried out that is before its results."""
    monkeypatch.setattr(actor, "WORKER_CLASSES", {"quantization": ScriptedMaker, "evaluation": evaluator})
    arm_of = {block.unit: block.arm for block in plan.blocks}
    arm_of |= {one.unit: one.order.arm for one in plan.performances}
    by_unit = {unit: place(ASKS[arm], cpus=0.5) for unit, arm in arm_of.items()}
    places = Places(dict.fromkeys(PLACED, place(0, cpus=2)), by_unit)
    orchestrator = Timed(Job(make_config(), plan, str(root), "", places, frozenset(), {}, False))
    orchestrator._work()
    return orchestrator


def written(plan: Plan) -> list[dict[str, Any]]:
    """Return what the workers have written down, with the units."""
    paths = {block.unit: block.records_path for block in plan.blocks}
    paths |= {one.unit: one.order.output_path for one in plan.performances}
    there = {unit: Path(path) for unit, path in paths.items() if Path(path).exists()}
    return [{"unit": unit, **json.loads(path.read_text(encoding="utf-8"))} for unit, path in there.items()]


@pytest.mark.usefixtures("pretended")
def test_gpus_compute_nine_tenths_of_the_time_until_the_last_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, 40)
    begun = time.time()
    orchestrator = run(plan, tmp_path, ScriptedEvaluator, monkeypatch)
    assert orchestrator.view().failures == ()
    done = written(plan)
    assert len(done) == len(plan.blocks) + len(plan.performances)
    spans = {
        "computing": [Span(ASKS[one["arm"]], one["loaded"], one["ended"]) for one in done],
        "loading models": [Span(ASKS[one["arm"]], one["begun"], one["loaded"]) for one in done],
        "starting processes": [
            Span(ASKS[own[0]["arm"]], orchestrator.hired[own[0]["unit"]], own[0]["begun"])
            for own in by_worker(done).values()
        ],
    }
    last = max(float(one["begun"]) for one in done)
    windows = {"from the first start": (begun, last), "when all have started": (all_at_work(done), last)}
    shares = {name: {what: share(those, window) for what, those in spans.items()} for name, window in windows.items()}
    waits, own_time = list(gaps(done)), orchestrator.turnarounds
    print(f"between two blocks of a worker: {statistics.median(waits):.3f} s (median), {max(waits):.3f} s (most)")
    print(f"in the orchestrator: {statistics.median(own_time):.3f} s (median), {max(own_time):.3f} s (most)")
    for name, (first, _) in windows.items():
        parts = ", ".join(f"{part:.1%} {what}" for what, part in shares[name].items())
        print(f"{name}: {last - first:.0f} s, {parts}, {1 - sum(shares[name].values()):.1%} nothing")
    assert last - windows["when all have started"][0] > 4 * ScriptedEvaluator.block_s
    at_work = shares["when all have started"]
    # How long a process takes to start is this machine's affair: ten and more start at once, maybe on two processors.
    # How many start is the orchestrator's: of each arm at most as many as fill all GPUs.
    assert at_work["computing"] >= 0.9 * (1 - at_work["starting processes"])
    assert len(by_worker(done)) <= sum(GPUS / ask for ask in ASKS.values())
    assert statistics.median(waits) < 0.01 * ScriptedEvaluator.block_s
    assert {len(one["cards"]) for one in done if one["arm"] == "f16"} == {2}


def test_if_a_node_is_lost_its_work_goes_on_elsewhere(
    pretended: Pretended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, 4)
    lost = pretended.two.node_id

    def lose() -> None:
        while lost not in [one["node"] for one in written(plan)]:
            time.sleep(0.2)
        pretended.cluster.remove_node(pretended.two)

    threading.Thread(target=lose, daemon=True).start()
    orchestrator = run(plan, tmp_path, BriskEvaluator, monkeypatch)
    view = orchestrator.view()
    assert view.failures == () and len(written(plan)) == len(plan.blocks) + len(plan.performances)
    assert f"node {lost} of the cluster was lost. Its work goes on elsewhere." in view.notices
