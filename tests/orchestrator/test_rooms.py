"""Rooms: where a worker fits, counted as Ray counts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from actors.orchestrator.placed import Memory
from actors.orchestrator.rooms import Room, Spot, Tenant, find_spot, rooms_of
from tests.orchestrator.device_player import GIB, place, room

EIGHT, TWO, NONE = room("eight", 8), room("two", 2), room("none", 0)


def test_the_rooms_are_the_nodes_that_live_and_are_open() -> None:
    nodes = [
        {"NodeID": "a", "Alive": True, "Resources": {"CPU": 4.0, "GPU": 2.0, "memory": 100.0}, "Labels": {}},
        {"NodeID": "b", "Alive": False, "Resources": {"CPU": 64.0}, "Labels": {}},
        {"NodeID": "c", "Alive": True, "Resources": {}, "Labels": {"ray.io/accelerator-type": "L4"}},
        {"NodeID": "d", "Alive": True, "Resources": {"CPU": 1.0}, "Labels": {}},
    ]
    assert rooms_of(nodes, closed=frozenset({"d"})) == (Room("a", 4.0, 2.0, 80.0), Room("c", 0.0, 0.0, 0.0, "L4"))


def test_many_gpus_have_to_be_free_on_one_node() -> None:
    halves = [room("a", 2), room("b", 2)]
    assert find_spot(halves, [], place(4)) is None
    assert find_spot([*halves, EIGHT], [], place(4)) == Spot("eight", (0, 1, 2, 3))


def test_shares_of_small_arms_lie_on_one_card_and_whole_cards_stay_free() -> None:
    shares = [(place(0.5), Spot("two", (0,)))]
    assert find_spot([TWO], shares, place(0.5)) == Spot("two", (0,))
    assert find_spot([TWO], shares, place(1)) == Spot("two", (1,))
    # Half of each card is free: together that is a card, but no card is free.
    apart = [*shares, (place(0.5), Spot("two", (1,)))]
    assert find_spot([TWO], apart, place(1)) is None


def test_ten_tenths_of_a_card_are_a_card() -> None:
    tenths = [(place(0.1), Spot("two", (0,)))] * 9
    assert find_spot([room("two", 1)], tenths, place(0.1)) == Spot("two", (0,))


def test_work_on_few_gpus_goes_where_few_are_free_and_other_work_to_nodes_without_gpus() -> None:
    rooms = [EIGHT, TWO, NONE]
    assert find_spot(rooms, [], place(1)) == Spot("two", (0,))
    assert find_spot(rooms, [], place(0)) == Spot("none")


def test_a_worker_runs_only_on_its_kind_of_gpu_and_on_its_nodes() -> None:
    rooms = [room("a", 2, kind="L4"), room("b", 2, kind="H100")]
    assert find_spot(rooms, [], place(1, kind="H100")) == Spot("b", (0,))
    assert find_spot(rooms, [], place(1, kind="A100")) is None
    assert find_spot([EIGHT, TWO], [], place(1, nodes=frozenset({"eight"}))) == Spot("eight", (0,))


def test_memory_counts_by_node_but_a_worker_alone_may_need_more_than_was_estimated() -> None:
    small = room("small", 0, gib=10)
    assert find_spot([small], [], place(0, gib=11)) == Spot("small")
    assert find_spot([small], [(place(0, gib=6), Spot("small"))], place(0, gib=5)) is None
    assert find_spot([small], [(place(0, gib=6), Spot("small"))], place(0, gib=4)) == Spot("small")


def test_what_lies_on_a_device_inside_the_processor_counts_as_memory_of_the_node() -> None:
    here, on_device = room("here", 4, cpus=20, gib=10), Memory(0, 6 * GIB, 0)
    beside, inside = replace(place(0.5, gib=1), device=on_device), place(0.5, gib=1)
    inside = replace(inside, device=on_device, shares_host=True)
    assert find_spot([here], [(beside, Spot("here", (0,)))], beside) == Spot("here", (0,))
    assert find_spot([here], [(inside, Spot("here", (0,)))], inside) is None


@given(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0]), max_size=40), st.integers(0, 8))
def test_a_room_is_never_overfilled(asks: list[float], gpus: int) -> None:
    here = room("here", gpus, cpus=20, gib=20)
    tenants: list[Tenant] = []
    for ask in asks:
        spot = find_spot([here], tenants, place(ask))
        if spot is not None:
            tenants.append((place(ask), spot))
    cards = [0.0] * gpus
    for placed, spot in tenants:
        assert len(spot.cards) == (1 if 0 < placed.gpus < 1 else placed.gpus)
        for number in spot.cards:
            cards[number] += min(placed.gpus, 1)
    assert all(card <= 1 + 1e-9 for card in cards)
    assert sum(placed.cpus for placed, _ in tenants) <= 20
    assert sum(placed.host.total_bytes for placed, _ in tenants) <= 20 * GIB
