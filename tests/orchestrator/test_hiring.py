"""Hiring on nodes with GPUs: who gets a place, who is dismissed, and how long GPUs wait."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.orchestrator.places import Places
from actors.orchestrator.rooms import Spot
from actors.orchestrator.units import PLACED, Unit
from tests.orchestrator.device_player import DevicePlayer, Played, arm_units, place, places, room, unit

CLUSTER = (room("eight", 8), room("two", 2), room("none", 0))


def blocks(arm: str, n: int, turn: int = 1, seconds: float = 1.0) -> list[Unit]:
    return [unit(f"{arm}/{turn}/{number}", arm, turn=turn, cost=seconds) for number in range(n)]


def began(player: DevicePlayer) -> list[str]:
    """Hand out once, and return what began."""
    before = len(player.played.order)
    player.hand_out()
    return list(player.played.order[before:])


def where(player: DevicePlayer) -> list[tuple[str | None, str]]:
    return sorted((one.loaded_arm, one.spot.node_id) for one in player.staff.placed if one.spot)


def test_quantizing_takes_no_gpu_and_runs_beside_evaluation() -> None:
    units = [*arm_units("a", 2), *blocks("b", 2)]
    player = DevicePlayer([room("one", 1, cpus=2)], units, places({"a": place(1), "b": place(1)}, units))
    assert began(player) == ["b/1/0", "make/a"]


def test_an_arm_gets_gpus_of_one_node_and_small_arms_share_a_card() -> None:
    units = [*blocks("large", 1), *blocks("small", 2), *blocks("tiny", 2)]
    given_places = places({"large": place(4), "small": place(0.5), "tiny": place(0.5)}, units)
    player = DevicePlayer(CLUSTER, units, given_places)
    player.hand_out()
    assert where(player) == [("large", "eight"), *[("small", "two")] * 2, *[("tiny", "two")] * 2]
    shared = [one.spot.cards for one in player.staff.placed if one.spot and one.loaded_arm != "large"]
    assert sorted(shared) == [(0,), (0,), (1,), (1,)]


def test_workers_of_one_ask_take_each_others_arms_and_others_are_dismissed_for_them() -> None:
    units = [*blocks("a", 1), *blocks("b", 1, turn=2), *blocks("c", 1, turn=3)]
    player = DevicePlayer([room("one", 1)], units, places({"a": place(1), "b": place(1), "c": place(0.5)}, units))
    assert began(player) == ["a/1/0"]
    (first,) = player.staff.placed
    player.end_next()
    assert began(player) == ["b/2/0"] and player.staff.placed == [first]
    player.end_next()
    assert began(player) == ["c/3/0"] and first not in player.staff.placed


def test_an_earlier_turn_is_not_kept_waiting_by_a_worker_that_has_later_ones() -> None:
    units = [*blocks("a", 1, turn=1), *blocks("a", 5, turn=3), *blocks("b", 1, turn=2)]
    player = DevicePlayer([room("one", 1)], units, places({"a": place(1), "b": place(0.5)}, units))
    assert began(player) == ["a/1/0"]
    player.end_next()
    assert began(player) == ["b/2/0"]


def test_an_idle_maker_gives_its_processors_to_a_gpu_that_waits_for_them() -> None:
    units = [*arm_units("a", 1), *arm_units("b", 1)]
    player = DevicePlayer([room("one", 1, cpus=1)], units, places({"a": place(1), "b": place(1)}, units))
    assert began(player) == ["make/a"]
    player.end_next()
    assert began(player) == ["a/0"], "making b waits, because a GPU would have waited"


def test_no_more_workers_than_allowed_and_an_idle_one_gives_way_wherever_it_is() -> None:
    units = [*blocks("a", 1), *blocks("b", 2, turn=2)]
    asks = {"a": place(1, nodes=frozenset({"two"})), "b": place(4)}
    player = DevicePlayer(CLUSTER, units, places(asks, units, max_workers=1))
    assert began(player) == ["a/1/0"]
    player.end_next()
    assert began(player) == ["b/2/0"]
    assert len(player.staff.placed) == 1


def test_work_that_needs_many_gpus_gets_a_place_although_small_work_never_ends() -> None:
    small = [unit(f"small/{n}", "small", cost=1 + n % 3) for n in range(100)]
    late = unit("large/0", "large", ("make/large",))
    units = [unit("make/large", "large", cost=5), *small, late]
    player = DevicePlayer([room("one", 2)], units, places({"small": place(1), "large": place(2)}, units))
    played = player.play()
    assert played.order.index("large/0") > 90, "one worker can be spared of two, and that is not enough"
    wide = DevicePlayer([room("one", 4)], units, places({"small": place(1), "large": place(2)}, units))
    assert wide.play().order.index("large/0") < 30


def test_a_unit_that_no_node_suits_is_left_to_ray_and_asks_once() -> None:
    units = blocks("a", 3)
    player = DevicePlayer(CLUSTER, units, places({"a": place(1, kind="H100")}, units))
    assert began(player) == ["a/1/0"]
    (worker,) = player.staff.placed
    assert where(player) == []
    assert began(player) == []
    worker.started = True
    player.staff.rooms = (*CLUSTER, room("new", 2, kind="H100"))
    player.staff.place_at(worker, "new")
    assert worker.spot == Spot("new", (0,))
    assert began(player) == ["a/1/1"]


def random_play(seed: int) -> Played:
    """Play a plan with many blocks of arms that are made first, as they come with a 70B model and its quantizations."""
    rng = random.Random(seed)
    asks = {"f16": place(2, cpus=2), "q8": place(1, cpus=2)}
    units = [*arm_units("f16", rng.randint(30, 90)), *arm_units("q8", rng.randint(50, 150), ("make/f16",))]
    for number in range(rng.randint(1, 6)):
        arm = f"q{number}"
        asks[arm] = place(rng.choice([0.25, 0.5, 1.0]), cpus=2)
        units += arm_units(arm, rng.randint(30, 90), ("make/f16",))
    seconds = {one.id: rng.uniform(1, 4) if one.id.startswith("make") else rng.uniform(0.5, 1.5) for one in units}
    return DevicePlayer(CLUSTER, units, places(asks, units), lambda one: seconds[one.id], load_s=1.0).play()


@pytest.mark.parametrize("seed", range(3))
def test_gpus_compute_nine_tenths_of_the_time_in_which_there_is_work_for_them(seed: int) -> None:
    assert random_play(seed).share > 0.9


ASKS = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])
ARMS = st.lists(st.tuples(ASKS, st.integers(1, 12), st.booleans()), min_size=1, max_size=5)


@settings(deadline=None, max_examples=10)
@given(ARMS, st.randoms(use_true_random=False), st.lists(st.integers(0, 4), min_size=0, max_size=2))
def test_every_plan_ends_and_no_gpu_waits_while_a_unit_fits(
    arms: list[tuple[float, int, bool]], rng: random.Random, others: list[int]
) -> None:
    asks = {str(number): place(ask) for number, (ask, _, _) in enumerate(arms)}
    units = [
        one
        for number, (_, n, made) in enumerate(arms)
        for one in (arm_units(str(number), n) if made else blocks(str(number), n))
    ]
    rooms = [room("four", 4), *(room(f"other{number}", gpus) for number, gpus in enumerate(others))]
    player = DevicePlayer(rooms, units, places(asks, units), lambda one: rng.uniform(0.5, 2))
    while not player.schedule.finished:
        player.hand_out()
        # A reserved place may wait. Then one kind of work has no worker at all.
        held = {one.placed.ask for one in player.staff.placed if one.placed}
        wanted = {player.staff.place_of(one).ask for one in player.ready_on_devices()}
        assert wanted - held or not player.starved()
        player.end_next()
    assert not player.schedule.failures


def test_places_by_role_are_for_units_without_an_own_place() -> None:
    given_places = Places(dict.fromkeys(PLACED, place(0)), {"a/1/0": place(1)})
    known, other = blocks("a", 2)
    assert (given_places.of(known).gpus, given_places.of(other).gpus) == (1, 0)
