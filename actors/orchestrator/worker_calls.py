"""Which method of a worker carries out a unit, and with which order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.judgings import judge_order
from actors.orchestrator.units import Unit
from actors.orders import BlockOrder, PassOrder, ReportTokens
from conf.schema.answers import Sampling

ReporterOf = Callable[[str], ReportTokens]
"""Returns the function with which a worker reports the tokens of a unit."""


@dataclass(frozen=True)
class WorkerCall:
    """A call of a worker's method."""

    method: str
    """A method of `QuantizationWorker`, `EvaluationWorker` or `JudgingWorker`."""
    arguments: tuple[Any, ...]


class WorkerCalls:
    """The calls that carry out the units of a plan."""

    def __init__(self, plan: Plan, sampling: Sampling) -> None:
        self._plan = plan
        self._sampling = sampling
        self._blocks = {block.unit: block for block in plan.blocks}
        self._arm_orders = {arm.unit: arm.order for arm in plan.arms if arm.unit and arm.order}
        self._methods: dict[str, tuple[str, tuple[Any, ...]]] = {
            name: ("collect_group", (one.order, number))
            for one in plan.imatrices
            for number, name in enumerate(one.group_units)
        }
        self._methods |= {one.unit: ("merge", (one.order,)) for one in plan.imatrices}
        self._methods |= {one.unit: ("measure_performance", (one.order,)) for one in plan.performances}
        self._methods |= {check.unit: ("check", (check.order,)) for check in plan.checks}
        self._judgings = {one.unit: one for one in plan.judgings}

    def call_for(
        self, units: Sequence[Unit], reporter_of: ReporterOf, calls_left: int | None = None, host_threads: int = 1
    ) -> WorkerCall:
        """Return the call that carries out one unit, or the units of one pass.

        Args:
            units: the unit, or the units of a pass.
            reporter_of: returns the function with which a worker reports the tokens of a unit.
            calls_left: how many calls a judge may get for the unit. None: no limit.
            host_threads: threads of work whose results do not depend on their number: as many as the worker has CPUs.
        """
        if units[0].shared_pass is not None:
            order = PassOrder(tuple(self._block_order(unit) for unit in units), host_threads)
            return WorkerCall("evaluate_together", (order, [reporter_of(unit.id) for unit in units]))
        (unit,) = units
        if unit.phase == "quantize":
            return WorkerCall("make_arm", (replace(self._arm_orders[unit.id], threads=host_threads),))
        if unit.id in self._judgings:
            judging = self._judgings[unit.id]
            judged = judge_order(judging, self._blocks[judging.block], self._plan, calls_left)
            return WorkerCall("judge", (judged, reporter_of(unit.id)))
        if unit.id in self._blocks:
            return WorkerCall("evaluate", (self._block_order(unit), reporter_of(unit.id)))
        method, arguments = self._methods[unit.id]
        return WorkerCall(method, (*arguments, reporter_of(unit.id)))

    def _block_order(self, unit: Unit) -> BlockOrder:
        block = self._blocks[unit.id]
        arm = self._plan.arm(block.arm)
        benchmark = self._plan.benchmark(block.model, block.benchmark)
        items = benchmark.items[block.first : block.first + block.n_items]
        return BlockOrder(
            arm=block.arm,
            gguf_path=arm.gguf_path,
            benchmark=block.benchmark,
            scorer=benchmark.spec.scorer,
            items=items,
            seeds=block.seeds,
            sampling=self._sampling,
            layout=block.layout,
            records_path=block.records_path,
            reference=block.reference,
            chat_template=arm.template_use,
            endpoint=arm.endpoint,
        )
