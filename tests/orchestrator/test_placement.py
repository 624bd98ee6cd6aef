"""How many workers run side by side, and the memory of those that evaluate on the CPU."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from actors.nodes import NodeFacts
from actors.orchestrator.capacity import side_by_side, workers_of_units
from actors.orchestrator.placed import Memory, Placed
from actors.orchestrator.placement import WORKER_OVERHEAD_BYTES, evaluation_bytes
from tests.orchestrator.device_nodes import GIB, node
from tests.orchestrator.small_plan import make_small_plan


def worker(cpus: float = 2, gpus: float = 0, gib: float = 1) -> Placed:
    nothing = Memory(0, 0, 0)
    return Placed(cpus, gpus, None, 0, Memory(0, 0, round(gib * GIB)), nothing)


def machine(cpus: float, gib: float, cards: int = 0, name: str = "a") -> NodeFacts:
    return node(cards, 80, name=name, cpus=cpus, memory_gib=gib)


def test_cpus_limit_the_number_of_workers() -> None:
    assert side_by_side([machine(8, 64)], worker()) == 4
    assert side_by_side([machine(8, 64), machine(5, 64, name="b")], worker()) == 4 + 2
    assert side_by_side([machine(8, 64)], worker(), max_workers=3) == 3


def test_memory_limits_the_number_of_workers_on_each_node() -> None:
    # 10 GiB x 0.8 = 8 GiB; 6 GiB x 0.8 = 4.8 GiB.
    assert side_by_side([machine(64, 10), machine(64, 6, name="b")], worker(gib=4)) == 2 + 1


def test_gpus_limit_the_number_of_workers_as_ray_counts_them() -> None:
    # A worker with three cards needs them on one node, and shares lie on one card each.
    nodes = [machine(64, 512, cards=8), machine(64, 512, cards=2, name="b")]
    assert side_by_side(nodes, worker(gpus=3)) == 2
    assert side_by_side(nodes, worker(gpus=0.3333)) == 3 * 10


def test_a_worker_with_more_cpus_than_there_are_still_runs() -> None:
    assert side_by_side([machine(2, 64)], worker(cpus=16)) == side_by_side([], worker()) == 1


def test_each_unit_is_counted_with_the_workers_of_its_own_place() -> None:
    placed = {"a": worker(), "b": worker(gpus=1), "c": worker()}
    assert workers_of_units([machine(8, 64, cards=2)], placed, None) == {"a": 4, "b": 2, "c": 4}


def test_workers_that_share_a_gpu_have_the_speed_of_one() -> None:
    nodes = [machine(64, 512, cards=8), machine(64, 512, cards=2, name="b")]
    placed = {"third": worker(gpus=0.3333), "quarter": worker(gpus=0.25), "alone": worker(gpus=0.7)}
    assert workers_of_units(nodes, placed, None) == {"third": 10, "quarter": 10, "alone": 10}
    assert workers_of_units(nodes, placed, 3) == {"third": 1, "quarter": 1, "alone": 3}


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 2**38), st.none() | st.integers(1, 9))
def test_there_is_always_one_worker_and_never_more_than_allowed(
    cpus: int, threads: int, size: int, most: int | None
) -> None:
    placed = worker(min(threads, cpus), gib=size / GIB)
    together = side_by_side([machine(cpus, 16)], placed, most)
    assert together >= 1
    assert most is None or together <= most
    assert together * placed.cpus <= cpus
    assert together == 1 or together * size <= 16 * GIB


def test_a_worker_needs_memory_for_its_gguf_and_the_cache_of_its_largest_benchmark(tmp_path: Path) -> None:
    # 600 bytes of GGUF, 4096 cells of 10 bytes.
    assert evaluation_bytes(make_small_plan(tmp_path)) == 600 + 4096 * 10 + WORKER_OVERHEAD_BYTES
