"""The units of a plan: the pieces of work that are done completely or not at all, each after the units that it needs.

Pure. `schedule` keeps their state, `loop` hands them out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from actors.orchestrator.memory_limits import Loaded
from actors.orchestrator.plan import Plan, PlannedBlock, PlannedImatrix, PlannedJudging

Role = Literal["quantization", "evaluation", "judging", "asking"]
"""`judging`: a worker that decodes with a judge's GGUF. `asking`: one that asks a judge behind an endpoint, which takes
neither processors nor memory here."""
PLACED: tuple[Role, ...] = ("quantization", "evaluation", "judging")
"""The roles whose workers take a place on the cluster."""

FIRST_TURN = 1
"""Turn of everything certainly needed. If a benchmark may end early, also the turn of an arm's first items; the first
items of its reference have a lower turn."""


@dataclass(frozen=True)
class Unit:
    """One piece of work that is done completely or not at all."""

    id: str
    role: Role
    phase: Literal["imatrix", "quantize", "evaluate", "judge"]
    needs: tuple[str, ...]
    """Units that must be done before."""
    arm: str | None
    benchmark: str | None
    cost: float
    """Estimated amount of work. One unit is the work of reading one prompt token."""
    tokens: int = 0
    """About how many tokens are reported while it runs; 0 if it reports none."""
    is_check: bool = False
    """True for an arm's self-check."""

    @property
    def only_for_others(self) -> bool:
        """True if the unit is useless by itself: a part of an imatrix, or an arm's self-check."""
        return self.is_check or self.phase == "imatrix"

    shared_pass: str | None = None
    """Name of the pass that it belongs to. Units of a pass go to one worker together if they are ready at the same
    time."""
    waits_for: tuple[str, ...] = ()
    """Units that must be done or have failed before: what the other units of its pass need."""
    turn: int = FIRST_TURN
    """Of the ready units, those with the lowest turn go first, whatever a worker has loaded."""
    judge: str | None = None
    """The judge, if answers are judged."""
    most_calls: int = 0
    """Most calls of the judge that it can take."""
    matrix_of: str | None = None
    """The model on which it collects a matrix."""

    @property
    def loads(self) -> str | None:
        """What a worker holds while it works on the unit: a judge, or the GGUF of an arm."""
        return self.judge or self.arm

    @property
    def loaded(self) -> Loaded | None:
        """What a worker must have memory for, under the name of its limit. None: making an arm loads no model."""
        if self.judge is not None:
            return Loaded("judges", self.judge)
        if self.matrix_of is not None:
            return Loaded("matrices", self.matrix_of)
        if self.arm is None or self.phase == "quantize":
            return None
        return Loaded("passes" if self.shared_pass else "arms", self.arm)


CHECK_COST = 2000.0
"""Rough cost of an arm's self-check, in tokens read. Most of its tokens are decoded one at a time."""
PERFORMANCE_COST = 2000.0
"""Rough cost of measuring an arm's speed, in tokens read."""
MERGE_COST = 500.0
"""Rough cost of adding up the groups of a matrix, in tokens read."""


def units_of(plan: Plan, turns: Mapping[str, int] | None = None, quantize_cost: float = 20_000.0) -> tuple[Unit, ...]:
    """Return the units of a plan, the preferred ones first.

    Args:
        plan: the plan.
        turns: the turns of blocks, by unit; a block without one gets `FIRST_TURN`.
        quantize_cost: rough cost of making an arm, in tokens read.
    """
    imatrices = [unit for one in plan.imatrices for unit in _units_of_imatrix(one)]
    arms = [
        Unit(arm.unit, "quantization", "quantize", arm.needs, arm.name, None, quantize_cost)
        for arm in plan.arms
        if arm.unit
    ]
    needs = {arm.name: arm.made_by for arm in plan.arms}
    needs |= {check.order.arm: (check.unit,) for check in plan.checks}
    references = {arm.name: arm.reference for arm in plan.arms}
    waits: defaultdict[str | None, set[str]] = defaultdict(set)
    for block in plan.blocks:
        waits[block.shared_pass].update(needs[block.arm])
    checks = [
        Unit(check.unit, "evaluation", "evaluate", check.needs, check.order.arm, None, CHECK_COST, is_check=True)
        for check in plan.checks
    ]
    performances = [
        Unit(one.unit, "evaluation", "evaluate", needs[one.order.arm], one.order.arm, None, PERFORMANCE_COST)
        for one in plan.performances
    ]
    blocks = [
        Unit(
            block.unit,
            "evaluation",
            "evaluate",
            _needs_of(block, needs, references[block.arm]),
            block.arm,
            block.benchmark,
            block.cost,
            block.tokens,
            shared_pass=block.shared_pass,
            waits_for=tuple(sorted(waits[block.shared_pass])) if block.shared_pass else (),
            turn=(turns or {}).get(block.unit, FIRST_TURN),
        )
        for block in _sorted_by_items(plan)
    ]
    # The imatrix takes longest, so it comes first. Arms that wait for nothing are made beside it.
    without_needs = [unit for unit in arms if not unit.needs]
    with_needs = [unit for unit in arms if unit.needs]
    judgings = map(_judging_unit, plan.judgings)
    return (*imatrices, *without_needs, *with_needs, *checks, *performances, *blocks, *judgings)


def _judging_unit(planned: PlannedJudging) -> Unit:
    return Unit(
        planned.unit,
        "judging" if planned.judge.endpoint is None else "asking",
        "judge",
        (planned.block,),
        planned.arm,
        planned.benchmark,
        planned.cost,
        planned.tokens,
        judge=planned.judge.name,
        most_calls=planned.most_calls,
    )


def _sorted_by_items(plan: Plan) -> list[PlannedBlock]:
    """Return the blocks so that all seed groups of the same items follow each other.

    For the early stop an item counts only when all of its seeds are done. Of an arm, the benchmark with the longest
    blocks comes first: at the end, short ones keep all workers busy until they finish at nearly the same time.
    """
    cells: defaultdict[tuple[str, str], list[PlannedBlock]] = defaultdict(list)
    for block in plan.blocks:
        cells[block.arm, block.benchmark].append(block)
    arms = {arm: number for number, arm in enumerate(dict.fromkeys(arm for arm, _ in cells))}
    longest_first = sorted(cells.values(), key=lambda cell: (arms[cell[0].arm], -max(block.cost for block in cell)))
    return [block for cell in longest_first for block in sorted(cell, key=lambda block: block.first)]


def _needs_of(block: PlannedBlock, needs: Mapping[str, tuple[str, ...]], reference: str | None) -> tuple[str, ...]:
    """Return what a block's arm needs, and what its reference needs if both are decoded side by side."""
    beside = needs[reference] if block.reference and reference else ()
    return tuple(dict.fromkeys((*needs[block.arm], *beside)))


def _units_of_imatrix(planned: PlannedImatrix) -> Iterator[Unit]:
    """Yield the groups of a matrix, which any number of workers can share, and the unit that adds them up."""
    for name, tokens in zip(planned.group_units, planned.order.group_tokens, strict=True):
        yield Unit(
            name,
            "quantization",
            "imatrix",
            planned.needs,
            None,
            None,
            float(tokens),
            tokens,
            matrix_of=planned.model,
        )
    yield Unit(planned.unit, "quantization", "imatrix", planned.group_units, None, None, MERGE_COST)
