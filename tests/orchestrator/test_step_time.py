"""How long one round of decisions takes in a large plan. While it lasts, workers that have finished wait."""

from __future__ import annotations

import statistics
import time

from actors.orchestrator.schedule import Schedule
from tests.orchestrator.device_player import DevicePlayer, arm_units, place, places, room, unit

ARMS = {f"arm{number}": place(gpus) for number, gpus in enumerate((2, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25))}
BLOCKS = 1000
MOST_S = 0.03
"""It took 0.1 s and more when each round asked for every unit and every turn whether somebody had to leave for it."""


def test_a_round_takes_milliseconds_with_ten_thousand_units() -> None:
    units = [one for arm in ARMS for one in arm_units(arm, BLOCKS)]
    # With an early stop there are many turns.
    turned = [
        one if one.role == "quantization" else unit(one.id, str(one.arm), one.needs, turn=number % 16)
        for number, one in enumerate(units)
    ]
    player = DevicePlayer([room("a", 8), room("b", 2), room("c", 0)], turned, places(ARMS, turned))
    taken = []
    for _ in range(150):
        begun = time.thread_time()
        player.hand_out()
        taken.append(time.thread_time() - begun)
        player.end_next()
    print(f"{1000 * statistics.median(taken):.1f} ms in the median, {1000 * max(taken):.1f} ms at most")
    assert statistics.median(taken[50:]) < MOST_S


def test_ready_units_are_the_same_whether_or_not_they_were_asked_for_before() -> None:
    units = [one for arm in ("a", "b") for one in arm_units(arm, 3)]
    asked, never = Schedule(units, (), attempts=2), Schedule(units, (), attempts=2)
    steps = [
        ("start", "make/a"),
        ("finish", "make/a"),
        ("start", "a/0"),
        ("put_back", "a/0"),
        ("start", "a/1"),
        ("fail", "a/1"),
        ("start", "make/b"),
        ("finish", "make/b"),
        ("start", "b/2"),
        ("finish", "b/2"),
    ]
    for method, name in steps:
        for schedule in (asked, never):
            getattr(schedule, method)(name, *(("an error",) if method == "fail" else ()))
        for role in ("quantization", "evaluation"):
            expected = [one for one in never.units.values() if one.role == role and never.is_ready(one)]
            assert asked.ready(role) == expected
    asked.spare(["a/0", "a/2", "a/1", "b/0", "b/1"])
    assert asked.finished and not asked.ready("evaluation")
