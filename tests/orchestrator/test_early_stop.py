"""Early stop: which blocks are spared, in which order blocks run, and that both follow from the records alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from actors.items import Call
from actors.orchestrator.early_stop import EarlyStop, read_early_stop
from actors.orchestrator.plan import seeds_of
from actors.orchestrator.records import read_records
from actors.orchestrator.schedule import State
from actors.orchestrator.units import units_of
from stats.verdict import Verdict
from tests.orchestrator.player import BLOCK, N, Played, damaged, plan_of, play, write_block
from tests.orchestrator.small_plan import deterministic, modified, sampled
from tests.orchestrator.test_passes import text


def begun(played: Played, arm: str) -> list[int]:
    return sorted(block.first for block in played.order if block.arm == arm)


def verdicts(early: EarlyStop) -> dict[str, Verdict]:
    return {one.arm: early.decision(one).decision.verdict for one in early.comparisons}


def test_without_early_stop_every_block_runs(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path, statistics={})
    played = play(plan, config, damaged("q4_k_m"))
    assert not played.early.comparisons
    assert len(played.order) == len(plan.blocks)
    assert played.early.stops() == ()


def test_a_decided_arm_begins_no_more_blocks_and_the_reference_goes_on_for_the_others(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    score = damaged("q4_k_m")
    played = play(plan, config, lambda arm, item, seed: score(arm, item, seed) if arm == "q4_k_m" else item % 4 > 0)
    assert verdicts(played.early) == {"q8_0": Verdict.NO_WORSE, "q4_k_m": Verdict.WORSE}
    n_begun = {arm: len(begun(played, arm)) * BLOCK for arm in ("f16", "q8_0", "q4_k_m")}
    assert n_begun["q4_k_m"] <= 4 * BLOCK
    assert n_begun["q8_0"] > 380  # An arm that never differs needs that many items even in a run without early stop.
    assert n_begun["f16"] >= n_begun["q8_0"]


def test_the_reference_ends_when_all_its_arms_are_decided(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    played = play(plan, config, damaged("q8_0", "q4_k_m"), workers=1)
    assert set(verdicts(played.early).values()) == {Verdict.WORSE}
    needed = max(played.early.decision(one).n_places for one in played.early.comparisons)
    assert needed <= len(begun(played, "f16")) * BLOCK <= 2 * needed + BLOCK
    assert begun(played, "f16") == list(range(0, len(begun(played, "f16")) * BLOCK, BLOCK))
    assert played.schedule.finished and not played.schedule.failures


def test_arm_and_reference_go_through_the_items_together_and_workers_rarely_change_the_model(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    played = play(plan, config, damaged(), workers=1)  # No arm is damaged, so nothing is decided soon.
    firsts: dict[str, int] = {}
    for block in played.order:
        firsts[block.arm] = block.first // BLOCK
        if block.arm != "f16":
            assert firsts["f16"] >= firsts[block.arm]
            assert firsts["f16"] + 1 <= 2 * (firsts[block.arm] + 1)
    assert played.loads <= 2 * 5 + 5  # Five strides cover 20 blocks.


def test_decisions_do_not_depend_on_the_order_in_which_blocks_end(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    played = play(plan, config, damaged("q8_0", share=0.15), workers=4)
    again = read_early_stop(plan, config, ())
    assert [again.decision(one) for one in again.comparisons] == [
        played.early.decision(one) for one in again.comparisons
    ]
    assert again.stops() == played.early.stops()
    spared = played.schedule.skipped & {block.unit for block in plan.blocks}
    assert spared == again.unneeded() and spared


def test_a_killed_run_continues_where_it_stopped_and_a_finished_run_does_nothing(tmp_path: Path) -> None:
    score = damaged("q4_k_m")
    whole, config = plan_of(tmp_path / "whole")
    unbroken = play(whole, config, score, workers=1)
    plan, config = plan_of(tmp_path / "killed")
    first = play(plan, config, score, workers=1, kill_after=7)
    second = play(plan, config, score, workers=1)
    assert not {block.unit for block in first.order[:6]} & {block.unit for block in second.order}
    assert second.early.stops() == unbroken.early.stops()
    assert play(plan, config, score).order == []


def test_a_later_run_without_early_stop_runs_the_rest(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    first = play(plan, config, damaged("q4_k_m"))
    full, full_config = plan_of(tmp_path, statistics={})
    assert full.plan_hash != plan.plan_hash
    rest = play(full, full_config, damaged("q4_k_m"))
    assert len(first.order) + len(rest.order) == len(full.blocks)


def test_items_of_a_failed_block_are_left_out_and_later_items_count(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    broken = next(block.unit for block in plan.blocks if (block.arm, block.first) == ("q4_k_m", 0))
    played = play(plan, config, damaged("q4_k_m"), failing=[broken])
    (comparison,) = [one for one in played.early.comparisons if one.arm == "q4_k_m"]
    found = played.early.decision(comparison)
    assert found.decision.verdict is Verdict.WORSE
    assert found.n_places == found.decision.n_items + BLOCK
    again = read_early_stop(plan, config, {broken})
    assert again.decision(comparison) == found
    records = read_records(plan, config, again).records
    own = records.filter(records["arm"] == "q4_k_m")
    assert (own["reason"] == "block_failed").sum() == BLOCK
    assert own.height == found.n_places
    # If the block is tried again and succeeds, the run decides by all items in their order.
    assert played.schedule.state(broken) is State.FAILED
    repaired = play(plan, config, damaged("q4_k_m"), workers=1)
    assert [block.unit for block in repaired.order] == [broken]
    assert repaired.early.decision(comparison).n_places < found.n_places


def test_a_failed_arm_does_not_keep_its_reference_running(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    played = play(plan, config, damaged("q4_k_m"), unmade="q8_0", workers=1)
    assert verdicts(played.early) == {"q8_0": Verdict.UNDECIDED, "q4_k_m": Verdict.WORSE}
    assert len(begun(played, "f16")) < N // BLOCK


def test_an_item_counts_when_the_blocks_of_all_its_seed_groups_have_ended(tmp_path: Path) -> None:
    benchmark = sampled(N, N)
    small, _ = plan_of(tmp_path, benchmark, runs=3)
    known = {directory.path: [(0, 1, 2)] for directory in small.directories}
    plan, config = plan_of(tmp_path, benchmark, known=known, runs=5)
    early = EarlyStop(plan, config)
    blocks = {(block.arm, block.first, block.seeds): block for block in plan.blocks}
    (comparison,) = [one for one in early.comparisons if one.arm == "q4_k_m"]
    for arm in ("f16", "q4_k_m"):
        block = blocks[arm, 0, (0, 1, 2)]
        early.add(block.unit, write_block(plan, block, damaged()))
    assert early.decision(comparison).n_places == 0
    for arm in ("f16", "q4_k_m"):
        block = blocks[arm, 0, (3, 4)]
        early.add(block.unit, write_block(plan, block, damaged()))
    assert early.decision(comparison).n_places == BLOCK
    turns = early.turns
    ids = [unit.id for unit in units_of(plan, turns) if unit.id in turns and unit.arm == "f16"]
    assert ids[:4] == [blocks["f16", first, seeds].unit for first in (0, BLOCK) for seeds in ((0, 1, 2), (3, 4))]
    assert turns[blocks["q4_k_m", BLOCK, (0, 1, 2)].unit] == turns[blocks["q4_k_m", BLOCK, (3, 4)].unit]
    assert turns[blocks["f16", BLOCK, (3, 4)].unit] < turns[blocks["q4_k_m", BLOCK, (3, 4)].unit]


def test_unscored_items_and_items_with_other_prompts_are_not_paired(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path, deterministic(BLOCK))
    early = EarlyStop(plan, config)
    (comparison,) = [one for one in early.comparisons if one.arm == "q8_0"]
    for arm in ("f16", "q8_0"):
        (block,) = [one for one in plan.blocks if one.arm == arm]
        records = write_block(plan, block, lambda arm, item, _: None if arm == "q8_0" and item < 3 else 1.0)
        records[5]["prompt_hash"] = f"{arm}'s own"
        early.add(block.unit, records)
    assert early.decision(comparison).n_places == BLOCK
    assert early.decision(comparison).decision.n_items == BLOCK - 4


def test_text_and_functions_and_items_that_share_sources_run_to_their_end(tmp_path: Path) -> None:
    call = Call("/f.py", "0" * 64, {}, None, None, 10.0)
    function = modified(
        deterministic(1),
        name="called",
        kind="function",
        items=(dataclasses.replace(deterministic(1).items[0], task=call),),
    )
    articles = modified(
        deterministic(),
        name="articles",
        items=tuple(dataclasses.replace(item, cluster=f"a{n // 2}") for n, item in enumerate(deterministic().items)),
    )
    plan, config = plan_of(tmp_path, sampled(), articles, text(), function)
    early = EarlyStop(plan, config)
    assert {one.benchmark for one in early.comparisons} == {"asked"}
    assert {one.n_tests for one in early.comparisons} == {4}
    seeds = {block.seeds for block in plan.blocks if early.follows(block.unit)}
    assert seeds == {seeds_of(config, plan.benchmarks["tiny"][0])}
