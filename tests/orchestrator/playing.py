"""A run without Ray and without models: the schedule and the early stop as the orchestrator drives them."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.plan import Plan, PlannedBlock
from actors.orchestrator.schedule import Schedule, State, units_of
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.orders import Record
from actors.store import read_jsonl, write_jsonl
from conf.schema import PipelineConfig
from tests.orchestrator.planning import deterministic, make_config, make_inputs, make_small_plan

Score = Callable[[str, int, int], float | None]
"""Arm, place of the item, seed -> score; None: unscored."""
EARLY = {"statistics": {"early_stop": True}, "execution": {"self_check": False}}
N = 640
BLOCK = 32


def plan_of(root: Path, *benchmarks: PlannedBenchmark, known: Any = None, **values: Any) -> tuple[Plan, PipelineConfig]:
    values = EARLY | values
    inputs = make_inputs(benchmarks={"tiny": benchmarks or (deterministic(N),)})
    return make_small_plan(root, known, inputs, **values), make_config(**values)


def damaged(*arms: str, share: float = 0.4) -> Score:
    """Right on three questions in four; the named arms lose a share of those."""

    def score(arm: str, item: int, seed: int) -> float:
        draw = random.Random(f"{item}/{seed}")
        right = draw.random() < 0.75
        return float(right and not (arm in arms and draw.random() < share))

    return score


@dataclass
class Played:
    """How a run went."""

    schedule: Schedule
    early: EarlyStop
    order: list[PlannedBlock]
    """Blocks in the order in which they were begun."""
    loads: int
    """How often a worker changed its model."""


def play(
    plan: Plan,
    config: PipelineConfig,
    score: Score,
    *,
    workers: int = 2,
    failing: Collection[str] = (),
    unmade: str | None = None,
    kill_after: int | None = None,
) -> Played:
    """The orchestrator's loop without Ray: blocks write their records, and end in an order that is drawn."""
    rng = random.Random(1)
    blocks = {block.unit: block for block in plan.blocks}
    done = [unit for unit, block in blocks.items() if Path(block.records_path).exists()]
    early = EarlyStop(plan, config)
    schedule = Schedule(units_of(plan, early.turns), done, attempts=1)
    for unit in done:
        if early.follows(unit):
            early.add(unit, read_jsonl(blocks[unit].records_path))
    for unit in schedule.units.values():
        if unit.phase == "quantize" and unit.arm == unmade:
            schedule.start(unit.id)
            schedule.fail(unit.id, "no room")
        elif unit.id not in blocks and schedule.state(unit.id) is State.WAITING:
            schedule.finish(unit.id)
    for failed in schedule.in_state(State.FAILED):
        if early.follows(failed.id):
            early.give_up(failed.id)
    schedule.spare(early.unneeded())
    loaded: list[str | None] = [None] * workers
    running: dict[int, str] = {}
    played = Played(schedule, early, [], 0)
    while not schedule.finished and (kill_after is None or len(played.order) < kill_after):
        for worker in range(workers):
            others = [arm for other, arm in enumerate(loaded) if other != worker]
            unit = None if worker in running else schedule.next_unit("evaluation", loaded[worker], others)
            if unit is not None:
                schedule.start(unit.id)
                played.loads += loaded[worker] != unit.arm
                running[worker], loaded[worker] = unit.id, unit.arm
                played.order.append(blocks[unit.id])
        worker = rng.choice(list(running))
        end(running.pop(worker), blocks, played, config, plan, score, failing)
    return played


def end(
    unit: str,
    blocks: dict[str, PlannedBlock],
    played: Played,
    config: PipelineConfig,
    plan: Plan,
    score: Score,
    failing: Collection[str],
) -> None:
    block = blocks[unit]
    if unit in failing:
        played.schedule.fail(unit, "broken")
        if played.early.follows(unit):
            played.early.give_up(unit)
    else:
        records = write_block(plan, block, score)
        played.schedule.finish(unit)
        if played.early.follows(unit):
            played.early.add(unit, records)
    played.schedule.spare(played.early.unneeded())


def write_block(plan: Plan, block: PlannedBlock, score: Score) -> list[dict[str, Any]]:
    benchmark = plan.benchmark(block.model, block.benchmark)
    records = []
    for place in range(block.first, block.first + block.n_items):
        item = benchmark.items[place]
        for seed in block.seeds:
            value = score(block.arm, place, seed)
            outcome: Any = "unscored" if value is None else "correct" if value else "wrong"
            records.append(Record(item.item_id, seed, item.prompt_hash, None, outcome, score=value))
    Path(block.records_path).parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(block.records_path, records)
    return read_jsonl(block.records_path)
