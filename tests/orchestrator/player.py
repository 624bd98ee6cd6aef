"""Plays a run without Ray and without models: does what the orchestrator's loop decides, and feeds it outcomes.

The player decides only what becomes of the work: which worker ends next, and whether its unit fails.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.json_lines import read_jsonl, write_jsonl
from actors.orchestrator.early_stop import EarlyStop, read_early_stop
from actors.orchestrator.loop import Loop
from actors.orchestrator.plan import Plan, PlannedBlock
from actors.orchestrator.schedule import Schedule
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.orchestrator.units import units_of
from actors.orchestrator.worker import Worker, WorkError
from actors.records import Record
from conf.schema.pipeline import PipelineConfig
from tests.orchestrator.equal_workers import ONE_ROOM, equal_workers
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan

Score = Callable[[str, int, int], float | None]
"""Returns the score of an arm, for the position of an item and a seed; None: unscored."""
EARLY = {"statistics": {"early_stop": True}, "execution": {"self_check": False, "attempts": 1}}
N = 640
BLOCK = 32


def plan_of(root: Path, *benchmarks: PlannedBenchmark, known: Any = None, **values: Any) -> tuple[Plan, PipelineConfig]:
    values = EARLY | values
    inputs = make_inputs(benchmarks={"tiny": benchmarks or (deterministic(N),)})
    return make_small_plan(root, known, inputs, **values), make_config(**values)


def damaged(*arms: str, share: float = 0.4) -> Score:
    """Return scores that are right on three questions in four; the named arms lose a share of those."""

    def score(arm: str, item: int, seed: int) -> float:
        draw = random.Random(f"{item}/{seed}")
        right = draw.random() < 0.75
        return float(right and not (arm in arms and draw.random() < share))

    return score


@dataclass
class Played:
    """How a run went."""

    loop: Loop
    order: list[PlannedBlock]
    """Blocks in the order in which they began."""
    loads: int
    """How often a worker loaded another model."""

    @property
    def schedule(self) -> Schedule:
        return self.loop.schedule

    @property
    def early(self) -> EarlyStop:
        return self.loop.early


def make_loop(plan: Plan, config: PipelineConfig, workers: int, unmade: str | None = None) -> Loop:
    """Return a loop in which everything is done but the blocks without records, and making the arm `unmade`."""
    blocks = {block.unit: Path(block.records_path) for block in plan.blocks}
    done = {unit.id for unit in units_of(plan) if unit.id not in blocks or blocks[unit.id].exists()}
    if unmade is not None:
        done.discard(plan.arm(unmade).unit or "")
    places = equal_workers(workers)
    return Loop(plan, config, places, done, read_early_stop(plan, config, ()), rooms=ONE_ROOM)


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
    """Run a plan whose blocks write their records and end in a random order.

    Args:
        plan: the plan.
        config: its configuration.
        score: the scores that the records get.
        workers: how many workers there is room for.
        failing: blocks that fail.
        unmade: an arm that cannot be made.
        kill_after: how many blocks begin before the run is killed.
    """
    rng = random.Random(1)
    blocks = {block.unit: block for block in plan.blocks}
    played = Played(make_loop(plan, config, workers, unmade), [], 0)
    loaded: dict[Worker, str | None] = {}
    running: list[Worker] = []
    while not played.loop.finished and (kill_after is None or len(played.order) < kill_after):
        for worker in played.loop.step(now=0.0).assigned:
            (unit,) = worker.units
            running.append(worker)
            if unit.id in blocks:
                played.loads += loaded.get(worker) != unit.arm
                played.order.append(blocks[unit.id])
                loaded[worker] = unit.arm
        worker = rng.choice(running)
        running.remove(worker)
        (unit,) = worker.units
        if unit.id in failing or unit.id not in blocks:
            played.loop.fail(worker, WorkError("other", "broken"))
        else:
            records = {unit.id: write_block(plan, blocks[unit.id], score)}
            played.loop.finish(worker, {name: records[name] for name in played.loop.records_to_read(worker)}, now=0.0)
    return played


def write_block(plan: Plan, block: PlannedBlock, score: Score) -> list[dict[str, Any]]:
    """Write the records of a block, and return them as they are read back."""
    benchmark = plan.benchmark(block.model, block.benchmark)
    records = []
    for position in range(block.first, block.first + block.n_items):
        item = benchmark.items[position]
        for seed in block.seeds:
            value = score(block.arm, position, seed)
            outcome: Any = "unscored" if value is None else "correct" if value else "wrong"
            records.append(Record(item.item_id, seed, item.prompt_hash, None, outcome, score=value))
    Path(block.records_path).parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(block.records_path, records)
    return read_jsonl(block.records_path)
