"""The calls that carry out units: the method, the order, and the functions that report tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.evaluation.actor import EvaluationWorker
from actors.orchestrator.plan import Plan
from actors.orchestrator.units import Unit, units_of
from actors.orchestrator.worker_calls import WorkerCall, WorkerCalls
from actors.orders import PassOrder
from actors.quantization.actor import QuantizationWorker
from tests.orchestrator.small_plan import KINDS, deterministic, make_config, make_inputs, make_small_plan, sampled
from tests.orchestrator.test_passes import text

WORKERS = {"quantization": QuantizationWorker, "evaluation": EvaluationWorker}


class Reporter:
    """Stands for the function that reports the tokens of a unit."""

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def __call__(self, tokens: int) -> None: ...


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    sizes = {("tiny", kind, weighted): 2 - (kind != "f16") for kind in KINDS for weighted in (False, True)}
    benchmarks = {"tiny": (sampled(), deterministic(), text())}
    return make_small_plan(tmp_path, inputs=make_inputs(benchmarks=benchmarks, predicted_bytes=sizes))


def call_for(plan: Plan, units: Sequence[Unit]) -> WorkerCall:
    return WorkerCalls(plan, make_config().sampling).call_for(units, Reporter, host_threads=5)


def unit_of(plan: Plan, name: str | None) -> Unit:
    return next(unit for unit in units_of(plan) if unit.id == name)


def one_call(plan: Plan, name: str | None) -> tuple[str, list[Any], list[str]]:
    """Return the method that carries out a unit, its arguments but the reporter, and the unit of the reporter."""
    unit = unit_of(plan, name)
    call = call_for(plan, [unit])
    assert callable(getattr(WORKERS[unit.role], call.method))
    reporters = [one.unit for one in call.arguments if isinstance(one, Reporter)]
    return call.method, [one for one in call.arguments if not isinstance(one, Reporter)], reporters


def test_each_unit_is_carried_out_by_a_method_of_its_worker_with_its_own_order(plan: Plan) -> None:
    (imatrix,) = plan.imatrices
    group = imatrix.group_units[3]
    assert one_call(plan, group) == ("collect_group", [imatrix.order, 3], [group])
    assert one_call(plan, imatrix.unit) == ("merge", [imatrix.order], [imatrix.unit])
    arm = plan.arm("q8_0")
    assert arm.order is not None
    assert one_call(plan, arm.unit) == ("make_arm", [replace(arm.order, threads=5)], [])
    check, performance = plan.checks[1], plan.performances[1]
    assert one_call(plan, check.unit) == ("check", [check.order], [check.unit])
    assert one_call(plan, performance.unit) == ("measure_performance", [performance.order], [performance.unit])


def test_the_order_of_a_block_has_its_items_and_the_settings_of_arm_and_benchmark(plan: Plan) -> None:
    block = next(block for block in plan.blocks if (block.arm, block.benchmark, block.first) == ("q8_0", "asked", 32))
    method, (order,), reporters = one_call(plan, block.unit)
    benchmark = plan.benchmark("tiny", "asked")
    assert (method, reporters) == ("evaluate", [block.unit])
    assert (order.items, order.seeds, order.layout) == (benchmark.items[32:40], block.seeds, block.layout)
    assert (order.gguf_path, order.records_path) == (plan.arm("q8_0").gguf_path, block.records_path)
    assert (order.scorer, order.sampling) == (benchmark.spec.scorer, make_config().sampling)


def test_the_units_of_a_pass_are_carried_out_together(plan: Plan) -> None:
    name = next(block.shared_pass for block in plan.blocks if block.shared_pass)
    units = [unit for unit in units_of(plan) if unit.shared_pass == name]
    call = call_for(plan, units)
    order, reporters = call.arguments
    assert call.method == "evaluate_together" and isinstance(order, PassOrder)
    assert [block.arm for block in order.blocks] == [unit.arm for unit in units] and len(units) > 1
    assert [one.unit for one in reporters] == [unit.id for unit in units]


def test_a_unit_of_a_pass_that_is_tried_alone_is_a_pass_of_one_block(plan: Plan) -> None:
    unit = next(unit for unit in units_of(plan) if unit.shared_pass)
    call = call_for(plan, [unit])
    assert call.method == "evaluate_together"
    assert [block.arm for block in call.arguments[0].blocks] == [unit.arm]
