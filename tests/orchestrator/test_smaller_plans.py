"""A smaller plan for what found no memory: everything else keeps its plan, its workers and what it has done."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.nodes import NodeFacts
from actors.orchestrator.memory_limits import NO_LIMITS, Loaded, LoadedKind, MemoryLimits
from actors.orchestrator.plan import Plan
from actors.orchestrator.schedule import State
from actors.orchestrator.smaller import is_smaller
from actors.orchestrator.units import units_of
from tests.orchestrator.device_nodes import node
from tests.orchestrator.small_plan import KINDS
from tests.orchestrator.smaller_player import SmallerPlayer, plan_of

ROOT = Path("/a/run")
"""Nothing is written there."""
CARDS = (node(2, 24),)
MIXED = (node(2, 24), node(1, 24, name="b"), node(0, 0, name="c"))
EVERYTHING = [Loaded(kind, name) for kind in ("arms", "passes") for name in KINDS] + [Loaded("matrices", "tiny")]


def units_loading(plan: Plan, loaded: Loaded) -> set[str]:
    return {unit.id for unit in units_of(plan) if unit.loaded == loaded}


@pytest.mark.parametrize("loaded", EVERYTHING)
def test_a_limit_moves_nothing_but_what_it_is_for(loaded: Loaded) -> None:
    before, after = plan_of(ROOT, CARDS), plan_of(ROOT, CARDS, NO_LIMITS.with_share(loaded, 0.522))
    changed = {unit.id for unit in units_of(after)} - {unit.id for unit in units_of(before)}
    if loaded.kind == "matrices":  # what is made with another matrix is another arm
        assert is_smaller(after, before, loaded)
        return
    assert changed <= units_loading(after, loaded)
    assert is_smaller(after, before, loaded) == bool(changed)
    for unit in units_of(after):
        if unit.loaded != loaded:
            now, then = after.placed[unit.id], before.placed[unit.id]
            assert (now.gpus, now.gpu_layers, now.devices) == (then.gpus, then.gpu_layers, then.devices)


@pytest.mark.parametrize("kind", ["arms", "passes"])
def test_a_large_arm_within_a_limit_gets_more_cards_and_then_fewer_layers(kind: LoadedKind) -> None:
    loaded = Loaded(kind, "f16")

    def used(share: float, cards: int) -> tuple[int, int, float]:
        limits = NO_LIMITS if share == 1.0 else NO_LIMITS.with_share(loaded, share)
        plan = plan_of(ROOT, (node(cards, 24),), limits)
        unit = next(block for block in plan.blocks if block.unit in units_loading(plan, loaded))
        assert unit.layout.devices is not None
        placed = plan.placed[unit.unit]
        assert placed.gpus == unit.layout.devices.count
        return placed.gpu_layers, unit.layout.devices.count, placed.gpus

    if kind == "arms":
        assert used(1.0, 1)[:2] == (-1, 1) and used(0.614, 2)[:2] == (-1, 2)
    assert 0 < used(0.522, 1)[0] < 33


def test_a_pass_of_its_own_holds_one_arm_and_its_reference() -> None:
    loaded = Loaded("passes", "q8_0")
    plan = plan_of(ROOT, CARDS, NO_LIMITS.with_share(loaded, 0.522))
    arms_of = {block.shared_pass: set[str]() for block in plan.blocks if block.shared_pass}
    for block in plan.blocks:
        if block.shared_pass:
            arms_of[block.shared_pass].add(block.arm)
    assert {frozenset(arms) for arms in arms_of.values()} == {frozenset({"q8_0"}), frozenset({"f16", "q4_k_m"})}
    for block in plan.blocks:
        if block.unit in units_loading(plan, loaded):
            assert block.reference is not None and block.reference.layout.gpu_layers == block.layout.gpu_layers > 0


@pytest.mark.slow
@given(
    has_room=st.dictionaries(st.sampled_from(EVERYTHING), st.sampled_from([0.0, 0.55, 0.65, 0.9]), max_size=4),
    nodes=st.sampled_from([CARDS, MIXED]),
    seed=st.integers(0, 2**16),
    killed_after=st.integers(0, 30),
)
@settings(max_examples=20, deadline=None)
def test_whatever_finds_no_memory_the_rest_is_done_once_by_workers_that_stay(
    has_room: dict[Loaded, float], nodes: tuple[NodeFacts, ...], seed: int, killed_after: int
) -> None:
    check_run(has_room, nodes, seed, killed_after)


@pytest.mark.parametrize(
    ("has_room", "nodes"),
    [
        ({Loaded("arms", "f16"): 0.65, Loaded("passes", "q8_0"): 0.0}, CARDS),
        ({Loaded("matrices", "tiny"): 0.65, Loaded("arms", "q4_k_m"): 0.0}, MIXED),
    ],
)
def test_some_of_these_runs(has_room: dict[Loaded, float], nodes: tuple[NodeFacts, ...]) -> None:
    check_run(has_room, nodes, seed=1, killed_after=12)


def check_run(has_room: dict[Loaded, float], nodes: tuple[NodeFacts, ...], seed: int, killed_after: int) -> None:
    """Check a run in which some of what is loaded has room only within a share of each card."""
    first = plan_of(ROOT, nodes)
    run = SmallerPlayer(ROOT, nodes, has_room, seed=seed).play()
    schedule = run.loop.schedule
    assert schedule.finished and set(schedule.units) == {unit.id for unit in units_of(run.plan)}
    assert all(count == 1 for count in run.finished.values()), "nothing is done twice"
    done = {unit.id for unit in schedule.in_state(State.DONE)} - schedule.skipped
    assert done <= run.finished.keys()
    # Only what has no room within any limit fails, and what needs that.
    failed = {failure.unit for failure in schedule.failures}
    poor = {loaded for loaded in has_room if schedule.units.keys() & failed & units_loading(run.plan, loaded)}
    assert all(run.limits.share_of(loaded) > has_room[loaded] for loaded in poor)
    assert bool(failed) == bool(poor)
    # What had room keeps its plan; only another matrix makes other arms.
    if Loaded("matrices", "tiny") not in run.limits.shares:
        for loaded in set(EVERYTHING) - run.limits.shares.keys():
            assert units_loading(first, loaded) == units_loading(run.plan, loaded)
    # A start with the kept limits has the same plan, and nothing to do but what failed.
    again = SmallerPlayer(ROOT, nodes, has_room, kept=run.limits, done=frozenset(run.finished)).play()
    assert ({unit.id for unit in units_of(again.plan)} == set(schedule.units) and not again.smaller) or failed
    assert all(count == 1 for count in again.finished.values())
    # Killed at any point, the run goes on to the same end.
    part = SmallerPlayer(ROOT, nodes, has_room, seed=seed).play(most_ends=killed_after)
    rest = SmallerPlayer(ROOT, nodes, has_room, kept=part.limits, done=frozenset(part.finished)).play()
    assert all(count == 1 for count in rest.finished.values()) and rest.limits == run.limits


def test_all_other_models_go_on_while_the_smaller_plan_is_made() -> None:
    run = SmallerPlayer(ROOT, CARDS, {Loaded("arms", "f16"): 0.7}, answers=0.0).play()
    assert [one.loaded for one in run.smaller] == [Loaded("arms", "f16")]
    assert not run.loop.schedule.failures
    # Passes wait for the self-check of their reference, which is f16.
    others = {arm: units_loading(run.plan, Loaded("arms", arm)) for arm in ("q8_0", "q4_k_m")}
    assert all(units and units <= run.done_at_answers[0] for units in others.values())


def test_limits_are_kept_by_what_was_loaded() -> None:
    limits = MemoryLimits(share=0.85).with_share(Loaded("arms", "f16"), 0.722)
    assert limits.share_of(Loaded("arms", "f16")) == 0.722 and limits.share_of(Loaded("passes", "f16")) == 0.85
    assert limits.part_of(Loaded("passes", "f16")) == 1.0
    assert limits.part_of(Loaded("arms", "f16")) == pytest.approx(0.722 / 0.85)
