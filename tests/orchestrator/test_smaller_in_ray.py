"""The orchestrator asks for a smaller plan while its workers work, and goes on with it: no worker is ended for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from actors.errors import NoRoomError
from actors.orchestrator.actor import Job, Orchestrator
from actors.orchestrator.memory_limits import NO_LIMITS, Loaded, Shortage
from actors.orchestrator.plan import Plan
from actors.orchestrator.processes import actor
from actors.orders import BlockOrder, PerformanceOrder, ReportTokens
from conf.environment import protect_local_ray, silence_ray
from tests.orchestrator.device_nodes import device_plan, known_of, node
from tests.orchestrator.scripted_workers import ScriptedEvaluator, ScriptedMaker
from tests.orchestrator.small_plan import deterministic, make_config
from tests.orchestrator.smaller_player import places_of

pytestmark = pytest.mark.slow
F16 = Loaded("arms", "f16")


class PoorEvaluator(ScriptedEvaluator):
    """Has no memory for f16 on one card."""

    def evaluate(self, order: BlockOrder, progress: ReportTokens) -> None:
        self._load(order)
        super().evaluate(order, progress)

    def measure_performance(self, order: PerformanceOrder, progress: ReportTokens) -> None:
        self._load(order)
        super().measure_performance(order, progress)

    def _load(self, order: BlockOrder | PerformanceOrder) -> None:
        assert order.layout.devices is not None
        if order.arm == "f16" and order.layout.devices.count == 1:
            raise NoRoomError("no memory for the weights", (), "weights")


@pytest.fixture
def local_ray(tmp_path: Path) -> Iterator[str]:
    silence_ray()
    protect_local_ray()
    ray.init(address="local", num_cpus=8, num_gpus=2, include_dashboard=False, log_to_driver=False)
    yield ray.nodes()[0]["NodeID"]  # type: ignore[no-untyped-call]
    ray.shutdown()


def planned(root: Path, name: str, limited: bool) -> Plan:
    limits = NO_LIMITS.with_share(F16, 0.614) if limited else NO_LIMITS
    nodes = (node(2, 24, name=name, cpus=8),)
    benchmarks = (deterministic(96),)
    return device_plan(
        root, nodes, known_of("8B"), benchmarks=benchmarks, limits=limits, execution={"self_check": False}
    )


def written(plan: Plan, arm: str) -> list[dict[str, object]]:
    paths = [block.records_path for block in plan.blocks if block.arm == arm]
    return [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths if Path(path).exists()]


def test_work_goes_on_while_a_smaller_plan_is_made_and_in_the_same_workers(
    local_ray: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = {"quantization": ScriptedMaker, "evaluation": PoorEvaluator}
    monkeypatch.setattr(actor, "WORKER_CLASSES", classes)
    plan, less = planned(tmp_path, local_ray, limited=False), planned(tmp_path, local_ray, limited=True)
    config = make_config(execution={"attempts": 1})

    def job_of(one: Plan) -> Job:
        return Job(config, one, str(tmp_path), "", places_of(one), frozenset(), {}, False, asks_for_smaller=True)

    orchestrator, asked, went_on = Orchestrator(job_of(plan)), list[Shortage](), list[bool]()
    ended = threading.Event()

    def others_done() -> int:
        return len(written(plan, "q8_0")) + len(written(plan, "q4_k_m"))

    def drive() -> None:
        while not ended.is_set():
            shortage = orchestrator.view().shortage
            if shortage is not None:
                asked.append(shortage)
                # The plan takes as long as another arm needs for one more block.
                before, deadline = others_done(), time.monotonic() + 120
                while others_done() == before and time.monotonic() < deadline:
                    time.sleep(0.1)
                went_on.append(others_done() > before)
                orchestrator.go_on(job_of(less))
            time.sleep(0.1)

    driver = threading.Thread(target=drive)
    driver.start()
    orchestrator._work()
    ended.set()
    driver.join()
    assert asked == [Shortage(F16, "devices")] and went_on == [True]
    view = orchestrator.view()
    assert view.failures == () and view.shortage is None and view.done == view.total
    assert len(written(less, "f16")) == 3 and not written(plan, "f16")
    assert all(len(one["cards"]) == 2 for one in written(less, "f16"))  # type: ignore[arg-type]
    assert len(written(plan, "q8_0")) == len(written(plan, "q4_k_m")) == 3
