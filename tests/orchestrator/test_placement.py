"""Placement: how many workers fit, and what each asks for."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from actors.orchestrator.placement import Cluster, Placement, place, worker_bytes
from tests.orchestrator.planning import make_small_plan

GIB = 2**30


def fit(cluster: Cluster, threads: int = 2, gpu: bool = False, size: int = GIB, most: int | None = None) -> Placement:
    return place(cluster, threads=threads, gpus_per_worker=0.5, use_gpu=gpu, worker_bytes=size, max_workers=most)


def test_cpus_bound_the_number_of_workers() -> None:
    assert fit(Cluster(8, 0, 64 * GIB)) == Placement(2.0, 0.0, 4)


def test_memory_bounds_the_number_of_workers() -> None:
    # 10 GiB x 0.8 = 8 GiB; 3.5 + 0.5 GiB each.
    assert fit(Cluster(64, 0, 10 * GIB), size=int(3.5 * GIB)).workers == 2


def test_a_share_of_a_gpu_is_taken_where_there_is_one() -> None:
    assert fit(Cluster(64, 2, 64 * GIB), gpu=True) == Placement(2.0, 0.5, 4)


def test_a_build_without_gpu_support_leaves_the_gpus_alone() -> None:
    assert fit(Cluster(4, 2, 64 * GIB)) == Placement(2.0, 0.0, 2)


def test_more_threads_than_cores_ask_for_all_cores_and_still_run() -> None:
    assert fit(Cluster(2, 0, 64 * GIB), threads=16) == Placement(2.0, 0.0, 1)


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 2**38), st.none() | st.integers(1, 9))
def test_there_is_always_a_worker_and_never_more_than_allowed(
    cpus: int, threads: int, size: int, most: int | None
) -> None:
    placement = fit(Cluster(cpus, 0, 16 * GIB), threads=threads, size=size, most=most)
    assert placement.workers >= 1
    assert most is None or placement.workers <= most
    assert placement.workers * placement.cpus_per_worker <= cpus


def test_a_worker_needs_its_gguf_and_the_cache_of_its_largest_benchmark(tmp_path: Path) -> None:
    # 600 bytes of GGUF, 4096 cells of 10 bytes.
    assert worker_bytes(make_small_plan(tmp_path)) == 600 + 4096 * 10
