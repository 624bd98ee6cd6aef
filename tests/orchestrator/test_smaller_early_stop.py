"""A smaller plan beside an early stop: the decisions are those of the plan with which the run ends."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from actors.evaluation.kv_cache import Cache
from actors.orchestrator.early_stop import EarlyStop, read_early_stop
from actors.orchestrator.loop import Loop
from actors.orchestrator.memory_limits import Loaded
from actors.orchestrator.plan import Plan
from actors.orchestrator.schedule import State
from actors.orchestrator.smaller import is_smaller
from actors.orchestrator.units import units_of
from actors.orchestrator.worker import Worker, WorkError
from conf.schema.pipeline import PipelineConfig
from tests.orchestrator.equal_workers import ONE_ROOM, equal_workers
from tests.orchestrator.player import N, damaged, plan_of, play, write_block
from tests.orchestrator.small_plan import deterministic

SCORE = damaged("q8_0", "q4_k_m")


def plans(root: Path, arm: str) -> tuple[Plan, Plan, PipelineConfig]:
    """Return a plan, the same with a smaller KV cache for an arm, and their configuration."""
    benchmark = deterministic(N)
    plan, config = plan_of(root, benchmark)
    less, _ = plan_of(root, replace(benchmark, smaller_caches={Loaded("arms", arm): Cache(16, 256, unified=True)}))
    return plan, less, config


@pytest.mark.parametrize("arm", ["f16", "q8_0"])
@pytest.mark.parametrize(("blocks_before", "workers"), [(0, 1), (2, 2), (3, 3)])
def test_a_run_that_went_on_with_a_smaller_plan_ends_like_one_that_began_with_it(
    tmp_path: Path, arm: str, blocks_before: int, workers: int
) -> None:
    plan, less, config = plans(tmp_path / "a", arm)
    blocks = {block.unit: block for block in (*plan.blocks, *less.blocks)}
    done = {unit.id for unit in units_of(plan) if unit.id not in blocks}
    places, rng = equal_workers(workers), random.Random(2)
    loop = Loop(plan, config, places, done, EarlyStop(plan, config), rooms=ONE_ROOM, asks_for_smaller=True)
    too_large = {block.unit for block in plan.blocks} - {block.unit for block in less.blocks}
    made, running = list[str](), list[Worker]()
    while not loop.finished:
        running += loop.step(now=0.0).assigned
        if loop.shortage is not None and (not running or rng.random() < 0.3):
            assert loop.shortage.loaded == Loaded("arms", arm) and is_smaller(less, plan, loop.shortage.loaded)
            at_work = {unit.id for worker in running for unit in worker.units}
            # What is at work may have written its records before its end is known.
            for name in at_work & blocks.keys():
                write_block(plan, blocks[name], SCORE)
            early = read_early_stop(less, config, failed=(), running=at_work)
            known = {unit.id for unit in units_of(less)} & (done | set(made))
            loop.go_on(less, places, known | at_work, early, loop.shortage.loaded)
            continue
        worker = running.pop(rng.randrange(len(running)))
        (unit,) = worker.units
        if unit.arm == arm and len(made) >= blocks_before and unit.id in too_large:
            loop.fail(worker, WorkError("no_room", "NoRoomError: no memory", (), "kv_cache"))
            continue
        made.append(unit.id)
        records = {unit.id: write_block(plan, blocks[unit.id], SCORE)} if unit.id in blocks else {}
        loop.finish(worker, {name: records[name] for name in loop.records_to_read(worker)}, now=0.0)
    assert len(made) == len(set(made)), "nothing is made twice"
    assert not loop.schedule.failures and set(loop.schedule.units) == {unit.id for unit in units_of(less)}
    assert all(loop.schedule.state(block.unit) is State.DONE for block in less.blocks)
    assert loop.spared_blocks, "the early stop has spared some"
    # The same run, started again, has nothing to do and comes to the same decisions.
    again = play(less, config, SCORE)
    assert again.order == [] and again.loop.spared_blocks == loop.spared_blocks
    for comparison in loop.early.comparisons:
        assert loop.early.decision(comparison).decision == again.early.decision(comparison).decision
