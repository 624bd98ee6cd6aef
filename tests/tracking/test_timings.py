"""The metrics of a cell from the timings of its blocks."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from actors.records import Timing
from actors.tracking.timings import timing_metrics
from tests.finished_run import MEMORY, QUIET

TIMING = Timing(0.5, 100, 1.0, 50, 2.0, 4.0, 42, MEMORY, QUIET)
SPEEDS = {"prompt_tokens_per_s", "completion_tokens_per_s", "tokens_per_s", "load_s"}


def test_a_quiet_machine_gives_speeds() -> None:
    found = timing_metrics([asdict(TIMING)], share=0.5)
    assert (found["wall_s"], found["completion_tokens_per_s"], found["memory_host_bytes"]) == (2.0, 25.0, 1230)
    assert found.keys() > SPEEDS


@pytest.mark.parametrize("machine", [None, replace(QUIET, all_cpu_s=8.0, own_cpu_s=6.0)])
def test_a_busy_machine_or_an_unknown_one_gives_none(machine: object) -> None:
    blocks = [asdict(TIMING), asdict(TIMING) | {"machine": machine and asdict(machine)}]  # type: ignore[call-overload]
    found = timing_metrics(blocks, share=1.0)
    assert found["wall_s"] == 8.0 and not found.keys() & SPEEDS


def test_a_block_without_a_model_of_ours_gives_no_memory() -> None:
    assert "memory_host_bytes" not in timing_metrics([asdict(TIMING) | {"memory": None}], share=1.0)
    assert timing_metrics([], share=1.0) == {}
