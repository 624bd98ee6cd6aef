"""Early stop: which blocks are spared, in which turn blocks go, and that all of it follows from the records."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.orchestrator import findings
from actors.orchestrator.plan import Plan, PlannedBenchmark, PlannedBlock, seeds_of
from actors.orchestrator.schedule import Schedule, State, units_of
from actors.orchestrator.stopping import EarlyStop, follow
from actors.store import RunDirectory, read_json, read_jsonl, write_jsonl
from actors.work import Call, Record
from conf.schema import PipelineConfig
from reporting.summary import summary_table
from stats.verdict import Verdict
from tests.orchestrator.planning import deterministic, make_config, make_inputs, make_small_plan, sampled
from tests.orchestrator.test_passes import text

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


def begun(played: Played, arm: str) -> list[int]:
    return sorted(block.first for block in played.order if block.arm == arm)


def verdicts(early: EarlyStop) -> dict[str, Verdict]:
    return {one.arm: early.decision(one).decision.verdict for one in early.contests}


def test_without_the_flag_every_block_is_run(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path, statistics={})
    played = play(plan, config, damaged("q4_k_m"))
    assert not played.early.contests
    assert len(played.order) == len(plan.blocks)
    assert played.early.stops() == ()


def test_what_is_decided_is_not_begun_and_the_reference_goes_on_for_who_needs_it(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    score = damaged("q4_k_m")
    played = play(plan, config, lambda arm, item, seed: score(arm, item, seed) if arm == "q4_k_m" else item % 4 > 0)
    assert verdicts(played.early) == {"q8_0": Verdict.NO_WORSE, "q4_k_m": Verdict.WORSE}
    n_begun = {arm: len(begun(played, arm)) * BLOCK for arm in ("f16", "q8_0", "q4_k_m")}
    assert n_begun["q4_k_m"] <= 4 * BLOCK
    assert n_begun["q8_0"] > 380  # An arm that never differs needs that many items even without looking.
    assert n_begun["f16"] >= n_begun["q8_0"]


def test_the_reference_ends_once_all_its_arms_are_decided(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    played = play(plan, config, damaged("q8_0", "q4_k_m"), workers=1)
    assert set(verdicts(played.early).values()) == {Verdict.WORSE}
    needed = max(played.early.decision(one).n_places for one in played.early.contests)
    assert needed <= len(begun(played, "f16")) * BLOCK <= 2 * needed + BLOCK
    assert begun(played, "f16") == list(range(0, len(begun(played, "f16")) * BLOCK, BLOCK))
    assert played.schedule.finished and not played.schedule.failures


def test_arm_and_reference_go_through_the_items_together_with_few_changes_of_model(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    played = play(plan, config, damaged(), workers=1)  # Equal arms that flip now and then: nothing is decided soon.
    firsts: dict[str, int] = {}
    for block in played.order:
        firsts[block.arm] = block.first // BLOCK
        if block.arm != "f16":
            assert firsts["f16"] >= firsts[block.arm]
            assert firsts["f16"] + 1 <= 2 * (firsts[block.arm] + 1)
    assert played.loads <= 2 * 5 + 5  # Five strides cover 20 blocks.


def test_the_same_is_decided_from_the_records_whatever_order_blocks_ended_in(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    played = play(plan, config, damaged("q8_0", share=0.15), workers=4)
    again = follow(plan, config, ())
    assert [again.decision(one) for one in again.contests] == [played.early.decision(one) for one in again.contests]
    assert again.stops() == played.early.stops()
    spared = played.schedule.forgotten & {block.unit for block in plan.blocks}
    assert spared == again.unneeded() and spared


def test_a_killed_run_goes_on_where_it_was_and_a_finished_one_does_nothing(tmp_path: Path) -> None:
    score = damaged("q4_k_m")
    whole, config = plan_of(tmp_path / "whole")
    unbroken = play(whole, config, score, workers=1)
    plan, config = plan_of(tmp_path / "killed")
    first = play(plan, config, score, workers=1, kill_after=7)
    second = play(plan, config, score, workers=1)
    assert not {block.unit for block in first.order[:6]} & {block.unit for block in second.order}
    assert second.early.stops() == unbroken.early.stops()
    assert play(plan, config, score).order == []


def test_without_the_flag_the_rest_is_run_afterwards(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    first = play(plan, config, damaged("q4_k_m"))
    full, full_config = plan_of(tmp_path, statistics={})
    assert full.plan_hash != plan.plan_hash
    rest = play(full, full_config, damaged("q4_k_m"))
    assert len(first.order) + len(rest.order) == len(full.blocks)


def test_items_of_a_failed_block_are_left_out_and_what_follows_counts(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path)
    broken = next(block.unit for block in plan.blocks if (block.arm, block.first) == ("q4_k_m", 0))
    played = play(plan, config, damaged("q4_k_m"), failing=[broken])
    (contest,) = [one for one in played.early.contests if one.arm == "q4_k_m"]
    found = played.early.decision(contest)
    assert found.decision.verdict is Verdict.WORSE
    assert found.n_places == found.decision.n_items + BLOCK
    again = follow(plan, config, {broken})
    assert again.decision(contest) == found
    records = findings.read_records(plan, config, again)
    own = records.filter(records["arm"] == "q4_k_m")
    assert (own["reason"] == "block_failed").sum() == BLOCK
    assert own.height == found.n_places
    # Tried again and well this time, the run decides by all items in their order.
    assert played.schedule.state(broken) is State.FAILED
    repaired = play(plan, config, damaged("q4_k_m"), workers=1)
    assert [block.unit for block in repaired.order] == [broken]
    assert repaired.early.decision(contest).n_places < found.n_places


def test_an_arm_that_could_not_be_made_needs_no_reference(tmp_path: Path) -> None:
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
    (contest,) = [one for one in early.contests if one.arm == "q4_k_m"]
    for arm in ("f16", "q4_k_m"):
        block = blocks[arm, 0, (0, 1, 2)]
        early.add(block.unit, write_block(plan, block, damaged()))
    assert early.decision(contest).n_places == 0
    for arm in ("f16", "q4_k_m"):
        block = blocks[arm, 0, (3, 4)]
        early.add(block.unit, write_block(plan, block, damaged()))
    assert early.decision(contest).n_places == BLOCK
    turns = early.turns
    assert turns[blocks["q4_k_m", BLOCK, (0, 1, 2)].unit] == turns[blocks["q4_k_m", BLOCK, (3, 4)].unit]
    assert turns[blocks["f16", BLOCK, (3, 4)].unit] < turns[blocks["q4_k_m", BLOCK, (3, 4)].unit]


def test_unscored_items_and_those_of_other_prompts_do_not_pair(tmp_path: Path) -> None:
    plan, config = plan_of(tmp_path, deterministic(BLOCK))
    early = EarlyStop(plan, config)
    (contest,) = [one for one in early.contests if one.arm == "q8_0"]
    for arm in ("f16", "q8_0"):
        (block,) = [one for one in plan.blocks if one.arm == arm]
        records = write_block(plan, block, lambda arm, item, _: None if arm == "q8_0" and item < 3 else 1.0)
        records[5]["prompt_hash"] = f"{arm}'s own"
        early.add(block.unit, records)
    assert early.decision(contest).n_places == BLOCK
    assert early.decision(contest).decision.n_items == BLOCK - 4


def test_text_functions_and_items_that_share_sources_run_to_their_end(tmp_path: Path) -> None:
    call = Call("/f.py", "0" * 64, {}, None, None, 10.0)
    function = dataclasses.replace(
        deterministic(1),
        name="called",
        kind="function",
        items=(dataclasses.replace(deterministic(1).items[0], task=call),),
    )
    articles = dataclasses.replace(
        deterministic(),
        name="articles",
        items=tuple(dataclasses.replace(item, cluster=f"a{n // 2}") for n, item in enumerate(deterministic().items)),
    )
    plan, config = plan_of(tmp_path, sampled(), articles, text(), function)
    early = EarlyStop(plan, config)
    assert {one.benchmark for one in early.contests} == {"asked"}
    assert {one.n_tests for one in early.contests} == {4}
    seeds = {block.seeds for block in plan.blocks if early.follows(block.unit)}
    assert seeds == {seeds_of(config, plan.benchmarks["tiny"][0])}


# --- in the result files --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The results of a run in which one arm was ended, one never differs enough, and text ran to its end."""
    root = tmp_path_factory.mktemp("early")
    plan, config = plan_of(root, deterministic(N), text(12))
    damage = damaged("q4_k_m")

    def score(arm: str, item: int, seed: int) -> float:
        return damage(arm, item, seed) if arm != "q8_0" else damaged()(arm, item, seed + (item % 9 == 0))

    for block in plan.blocks:
        if block.benchmark == "text":
            rows = [
                Record(f"chunk-{n:05d}", 0, f"hash{n}", None, "measured", nll_sum=2.0 + n, n_tokens=2)
                for n in range(block.first, block.first + block.n_items)
            ]
            Path(block.records_path).parent.mkdir(parents=True, exist_ok=True)
            write_jsonl(block.records_path, rows)
    play(plan, config, score)
    run = RunDirectory(root / "p")
    described = {"created_at": "2025-01-01T00:00:00+00:00", "command": "c", "settings": {}, "versions": {}}
    findings.write(plan, run, config, described, (), ())
    return run


def _row(run: RunDirectory, arm: str, benchmark: str = "chosen") -> dict[str, Any]:
    rows = read_json(run.analysis)["comparisons"]
    (row,) = [one for one in rows if (one["arm"], one["benchmark"]) == (arm, benchmark)]
    return dict(row)


def test_an_ended_comparison_reports_the_sequence_and_what_was_saved(written: RunDirectory) -> None:
    row = _row(written, "q4_k_m")
    stop = row["early_stop"]
    assert (row["verdict"], row["ci_method"], row["test"]) == ("worse", "betting", "betting")
    assert row["verdict_grounds"] == ["below_margin", "adjusted_p"]
    assert row["ci95"][1] < -row["margin"]
    assert stop["decided"] and stop["n_items_looked_at"] == row["n_items"] < 200
    assert stop["n_items_looked_at"] + stop["n_items_after"] + stop["n_items_saved"] == N == stop["n_items_planned"]
    assert stop["n_records_saved"] == stop["n_items_saved"]
    for name in ("ci95_bootstrap", "cohens_d_ci95", "mcnemar", "detectable_drop"):
        assert (row[name], row[f"{name}_reason"]) == (None, "early_stop")
    assert row["flips"]["lost"] > 0 and row["flips"]["lost_ci95_reason"] == "early_stop"
    (arm,) = [one for one in read_json(written.analysis)["verdicts"] if one["arm"] == "q4_k_m"]
    assert (arm["verdict"], arm["worse_on"]) == ("worse", ["chosen"])


def test_an_undecided_comparison_reports_the_sequence_too_for_it_was_looked_at(written: RunDirectory) -> None:
    row = _row(written, "q8_0")
    assert (row["verdict"], row["ci_method"], row["n_items"]) == ("undecided", "betting", N)
    assert not row["early_stop"]["decided"] and row["early_stop"]["n_items_saved"] == 0
    assert row["items_to_decide"] > N and row["runs_to_decide_reason"] == "early_stop"
    assert _row(written, "q4_k_m", "text")["early_stop"] is None


def test_means_hold_at_any_number_of_items_and_say_how_many(written: RunDirectory) -> None:
    results = [row for row in read_json(written.comparison)["results"] if row["benchmark"] == "chosen"]
    rows = {row["arm"]: row for row in results}
    assert {row["ci_method"] for row in results} == {"betting"}
    assert {arm: row["n_items_planned"] for arm, row in rows.items()} == dict.fromkeys(rows, N)
    assert rows["q4_k_m"]["n_items"] == _row(written, "q4_k_m")["n_items"] < rows["f16"]["n_items"] == N
    low, high = rows["f16"]["ci95"]
    assert low < rows["f16"]["mean"] < high


def test_what_was_saved_is_told_with_the_references_part(written: RunDirectory) -> None:
    early = read_json(written.analysis)["early_stop"]
    rows = [_row(written, arm)["early_stop"] for arm in ("q8_0", "q4_k_m")]
    assert early["benchmarks"] == ["chosen"]
    (reference,) = early["references"]
    assert (reference["arm"], reference["n_records_saved"]) == ("f16", 0)
    assert early["n_records_saved"] == sum(row["n_records_saved"] for row in rows)
    assert early["share_saved"] == pytest.approx(early["n_records_saved"] / (3 * N))


def test_the_summary_says_in_words_what_ended(written: RunDirectory) -> None:
    said = summary_table(read_json(written.comparison), read_json(written.analysis))
    row = _row(written, "q4_k_m")["early_stop"]
    assert f"ended early: q4_k_m worse after {row['n_items_looked_at']} of {N} items" in said
    assert "records not made" in said


def test_an_arm_on_fewer_items_is_put_beside_one_on_more(written: RunDirectory) -> None:
    flagged = read_json(written.analysis)["out_of_order"]
    assert flagged == []  # The smaller arm is the worse one: nothing is out of order.
    assert np.isfinite(_row(written, "q4_k_m")["p_adjusted"])
