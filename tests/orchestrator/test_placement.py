"""Placement: how many workers fit, and what each of them asks for."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from actors.orchestrator.placement import WORKER_OVERHEAD_BYTES, Cluster, Placement, evaluation_bytes, place
from actors.orchestrator.units import Role
from tests.orchestrator.small_plan import make_small_plan

GIB = 2**30


def fit(
    cluster: Cluster,
    threads: int = 2,
    gpu: bool = False,
    quantizer: int = GIB,
    evaluator: int = GIB,
    most: int | None = None,
) -> Placement:
    sizes: dict[Role, int] = {"quantization": quantizer, "evaluation": evaluator}
    return place(cluster, threads=threads, gpus_per_worker=0.5, use_gpu=gpu, worker_bytes=sizes, max_workers=most)


def asks(placement: Placement) -> tuple[float, float, int]:
    return placement.cpus_per_worker, placement.gpus_per_worker, placement.workers


def side_by_side(placement: Placement, role: Role) -> int:
    """Return how many workers of one role can start before there is no more room."""
    live: list[Role] = []
    while len(live) < 1000 and placement.has_room(live, role):
        live.append(role)
    return len(live)


def test_cpus_limit_the_number_of_workers() -> None:
    placement = fit(Cluster(8, 0, 64 * GIB))
    assert asks(placement) == (2.0, 0.0, 4)
    assert side_by_side(placement, "evaluation") == 4


def test_memory_limits_the_workers_of_each_role_by_what_they_need() -> None:
    # 10 GiB x 0.8 = 8 GiB.
    placement = fit(Cluster(64, 0, 10 * GIB), quantizer=GIB, evaluator=4 * GIB)
    assert side_by_side(placement, "quantization") == 8
    assert side_by_side(placement, "evaluation") == 2


def test_workers_of_both_roles_share_the_memory() -> None:
    placement = fit(Cluster(64, 0, 10 * GIB), quantizer=3 * GIB, evaluator=4 * GIB)
    assert placement.has_room(["evaluation"], "quantization")
    assert not placement.has_room(["evaluation", "quantization"], "quantization")


def test_a_worker_asks_for_part_of_a_gpu_if_there_is_one() -> None:
    assert asks(fit(Cluster(64, 2, 64 * GIB), gpu=True)) == (2.0, 0.5, 4)


def test_a_build_without_gpu_support_asks_for_no_gpu() -> None:
    assert asks(fit(Cluster(4, 2, 64 * GIB))) == (2.0, 0.0, 2)


def test_a_worker_with_more_threads_than_cores_asks_for_all_cores_and_still_runs() -> None:
    assert asks(fit(Cluster(2, 0, 64 * GIB), threads=16)) == (2.0, 0.0, 1)


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 2**38), st.none() | st.integers(1, 9))
def test_there_is_always_one_worker_and_never_more_than_allowed(
    cpus: int, threads: int, size: int, most: int | None
) -> None:
    placement = fit(Cluster(cpus, 0, 16 * GIB), threads=threads, evaluator=size, most=most)
    together = side_by_side(placement, "evaluation")
    assert together >= 1
    assert most is None or together <= most
    assert together * placement.cpus_per_worker <= cpus
    assert together == 1 or together * size <= 16 * GIB


def test_a_worker_needs_memory_for_its_gguf_and_the_cache_of_its_largest_benchmark(tmp_path: Path) -> None:
    # 600 bytes of GGUF, 4096 cells of 10 bytes.
    assert evaluation_bytes(make_small_plan(tmp_path)) == 600 + 4096 * 10 + WORKER_OVERHEAD_BYTES
