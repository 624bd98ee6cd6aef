"""Which timed pieces of work had a quiet machine, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from reporting.analysis.machine_load import BUSY_SHARE, Piece, company_of, is_quiet, withheld

CPUS = 2


def machine(begin: float, end: float, own: float, every: float, **changed: Any) -> dict[str, Any]:
    facts = {"machine": "m", "observed_from": begin, "observed_s": end - begin, "cpus": CPUS}
    return facts | {"own_cpu_s": own, "all_cpu_s": every, "memory_stall_s": 0.0} | changed


def reasons(*pieces: Piece) -> list[str | None]:
    return [reason and reason.value for reason in withheld(pieces, company_of(pieces))]


def test_what_is_left_of_the_cpu_time_was_taken_by_others() -> None:
    # 20 s of CPU time in 10 s on two CPUs: 12 of this process, 15 of all, less a tick of 0.01 s per CPU.
    (found,) = company_of([Piece("f16", 1, machine(0, 10, 12, 15))])
    assert found is not None
    assert found.elsewhere == pytest.approx((15 - 12 - 0.02) / 20)
    assert (found.side_by_side, found.memory_stall, found.cpu_s) == (0, 0, 20)


@pytest.mark.parametrize(("elsewhere", "reason"), [(0.9, None), (1.1, "machine_busy")])
def test_a_share_above_the_threshold_withholds_the_speed(elsewhere: float, reason: str | None) -> None:
    every = 10 + elsewhere * BUSY_SHARE * 20 + 0.02
    assert reasons(Piece("f16", 1, machine(0, 10, 10, every))) == [reason]
    assert is_quiet(machine(0, 10, 10, every)) is (reason is None)


def test_waiting_for_memory_withholds_the_speed() -> None:
    assert reasons(Piece("f16", 1, machine(0, 10, 10, 10, memory_stall_s=0.9))) == [None]
    assert reasons(Piece("f16", 1, machine(0, 10, 10, 10, memory_stall_s=1.1))) == ["machine_busy"]
    assert reasons(Piece("f16", 1, machine(0, 10, 10, 10, memory_stall_s=None))) == [None]


def test_a_machine_that_nobody_watched_gives_no_speed() -> None:
    half_known = machine(0, 10, 10, 10, all_cpu_s=None)
    assert reasons(Piece("f16", 1, None), Piece("f16", 1, half_known)) == ["machine_not_watched"] * 2
    assert not is_quiet(None)
    assert not is_quiet("not an object")  # type: ignore[arg-type]
    assert reasons(Piece("f16", 1, machine(0, 10, 10, 10, cpus=0))) == [None]


def test_another_worker_of_the_run_counts_for_the_time_that_both_ran() -> None:
    # The second piece begins in the middle of the first: 4 of its 8 s of CPU time fall into it.
    first = Piece("f16", 1, machine(0, 10, 10, 14))
    second = Piece("q8_0", 2, machine(5, 15, 8, 13))
    one, other = company_of([first, second])
    assert one is not None and other is not None
    assert one.side_by_side == pytest.approx(4 / 20)
    assert one.elsewhere == 0
    assert other.side_by_side == pytest.approx(5 / 20)
    assert other.elsewhere == 0


def test_workers_on_another_machine_do_not_count() -> None:
    far = machine(0, 10, 10, 10, machine="far")
    one, _ = company_of([Piece("f16", 1, machine(0, 10, 10, 10)), Piece("f16", 2, far)])
    assert one is not None and one.side_by_side == 0


def test_blocks_of_one_pass_are_one_piece_of_work() -> None:
    shared = machine(0, 10, 15, 15)
    found = company_of([Piece("f16", 1, shared), Piece("q8_0", 1, shared)])
    assert [one and one.side_by_side for one in found] == [0, 0]


def test_the_same_company_beside_every_arm_is_no_reason_to_withhold() -> None:
    even = [Piece("f16", 1, machine(0, 10, 10, 20)), Piece("q8_0", 2, machine(0, 10, 10, 20))]
    assert reasons(*even) == [None, None]
    alone = Piece("q4_k_m", 1, machine(20, 30, 10, 10))
    assert reasons(*even, alone) == ["machine_busy", "machine_busy", None]


def test_other_work_beside_the_company_still_counts() -> None:
    both = [Piece("f16", 1, machine(0, 10, 8, 19)), Piece("q8_0", 2, machine(0, 10, 8, 19))]
    assert reasons(*both) == ["machine_busy", "machine_busy"]


def test_a_short_piece_is_not_busy_for_a_tick() -> None:
    assert reasons(Piece("f16", 1, machine(0, 0.05, 0.05, 0.07))) == [None]
    assert reasons(Piece("f16", 1, machine(0, 0, 0, 0))) == [None]
