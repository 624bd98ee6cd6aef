"""How much one round of decisions asks for in a large plan. While it lasts, workers that have finished wait."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

import pytest

from actors.orchestrator.schedule import Schedule
from actors.orchestrator.staff import Staff
from tests.orchestrator.device_player import DevicePlayer, arm_units, place, places, room, unit

ARMS = {f"arm{number}": place(gpus) for number, gpus in enumerate((2, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25))}
BLOCKS = 1000
TURNS = 16
"""With an early stop there are many."""


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, counts: Counter[str]) -> None:
    """Count the calls of a method."""
    real = getattr(owner, name)

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        counts[name] += 1
        return real(self, *arguments, **named)

    monkeypatch.setattr(owner, name, counted)


def test_a_round_searches_a_place_once_for_units_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()
    count_calls(monkeypatch, Staff, "opening", counts)
    count_calls(monkeypatch, Schedule, "is_ready", counts)
    units = [one for arm in ARMS for one in arm_units(arm, BLOCKS)]
    turned = [
        one if one.role == "quantization" else unit(one.id, str(one.arm), one.needs, turn=number % TURNS)
        for number, one in enumerate(units)
    ]
    player = DevicePlayer([room("a", 8), room("b", 2), room("c", 0)], turned, places(ARMS, turned))
    of_rounds = []
    for _ in range(60):
        counts.clear()
        player.hand_out()
        of_rounds.append(dict(counts))
        player.end_next()
    usual = {name: statistics.median(one.get(name, 0) for one in of_rounds[30:]) for name in ("opening", "is_ready")}
    # Two searches for each arm: whether there is room, and whether there would be if idle workers left. It was 3,360
    # searches and 10,010 looks at units when each unit and each turn was asked for by itself.
    assert usual["opening"] <= 2 * len(ARMS)
    assert usual["is_ready"] <= TURNS


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
