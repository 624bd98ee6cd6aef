"""The KV cache that a benchmark gets, and the error if memory has no room for one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.evaluation.benchmarks import load
from actors.llama.layout import EngineLayout
from actors.llama.memory import can_fork
from actors.llama.model import Model
from actors.nodes import NodeFacts
from actors.orchestrator.memory_limits import NO_LIMITS, Loaded, MemoryLimits
from actors.orchestrator.placement.choose import groups_of, limited
from actors.orchestrator.sources import kv_cache
from actors.orchestrator.sources.kv_cache import CacheRoom, DeviceRoom, caches_for, host_cache_bytes
from conf.faults import BadInput
from tests.orchestrator.device_nodes import known_of, node
from tests.orchestrator.small_plan import MODEL, make_config
from tests.tiny_model import write_tiny_model


@pytest.fixture
def vocabulary(tmp_path: Path) -> Model:
    return Model(write_tiny_model(tmp_path / "tiny.gguf"), vocab_only=True)


@dataclass(frozen=True)
class Left(DeviceRoom):
    """Devices that leave room for a number of cells beside the weights."""

    cells: int = 0

    def limits(self, layout: EngineLayout) -> list[int]:
        return [self.cells]


def left(cells: int) -> Left:
    shape, weights = known_of("8B")
    return Left((), shape, weights["f16"], cells)


def chosen(
    vocabulary: Model,
    name: str = "demo_qa",
    room: DeviceRoom | None = None,
    nodes: Sequence[NodeFacts] = (),
    limits: MemoryLimits = NO_LIMITS,
    **layout: Any,
) -> tuple[Any, Any]:
    """Return the cache of all arms, and those of the arms that have a limit of their own."""
    config = make_config(layout=layout)
    data = load(name, data_dir=None, sampling=config.sampling, vocabulary=vocabulary)
    large = replace(MODEL, kv_bytes_per_cell=2**17)  # as in an 8B model
    share = can_fork(large.architecture)
    host_bytes = host_cache_bytes(nodes, room.groups if room else ())
    left = CacheRoom(host_bytes, room)
    return caches_for(config, data, large, vocabulary, [None], share=share, room=left, limits=limits)


def test_a_smaller_cache_runs_fewer_sequences(vocabulary: Model) -> None:
    wide, _ = chosen(vocabulary, kv_cache_mib=4096)
    narrow, _ = chosen(vocabulary, kv_cache_mib=96)
    assert wide.sequences == 32 > narrow.sequences >= 1
    assert narrow.n_ctx * 2**17 <= 96 * 2**20


def test_too_little_memory_for_one_sequence_is_bad_input_that_says_how_much_is_needed(vocabulary: Model) -> None:
    with pytest.raises(BadInput) as raised:
        chosen(vocabulary, kv_cache_mib=1)
    (fault,) = raised.value.faults
    assert fault.key == "layout.kv_cache_mib" and "at least" in str(fault) and "demo_qa" in str(fault)


def test_a_cache_for_which_devices_have_no_room_beside_the_weights_is_chosen_for_the_host(vocabulary: Model) -> None:
    whole, _ = chosen(vocabulary, room=left(2**20))
    none, _ = chosen(vocabulary, room=left(8))
    assert none == whole and whole.sequences == 32
    few, _ = chosen(vocabulary, room=left(768))
    assert 1 <= few.sequences < 32 and few.n_ctx <= 768


def test_a_cache_on_the_host_of_a_cluster_counts_with_the_memory_of_its_nodes(vocabulary: Model) -> None:
    shape, weights = known_of("70B")
    # A quarter of 14 GiB / 0.7 is 5 GiB: 40,960 cells of 128 KiB. One card of 24 GiB does not hold the weights.
    nodes = [node(1, 24, memory_gib=14), node(0, 0, name="b", memory_gib=100)]
    chose, _ = chosen(vocabulary, room=DeviceRoom(groups_of(nodes), shape, weights["f16"]), nodes=nodes)
    small = [replace(nodes[0], memory_bytes=0.28 * 2**30)]
    few, _ = chosen(vocabulary, room=DeviceRoom(groups_of(small), shape, weights["f16"]), nodes=small)
    assert chose.sequences == 32
    assert few.sequences < 32 and few.n_ctx <= 819  # 102 MiB


def test_a_cache_on_a_cluster_without_devices_counts_with_the_memory_of_its_smallest_node(
    vocabulary: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_cache.psutil, "virtual_memory", lambda: pytest.fail("the driver's machine does no work"))
    large, small = node(0, 0, memory_gib=700), node(0, 0, name="b", memory_gib=0.28)
    whole, _ = chosen(vocabulary, nodes=[large])
    few, _ = chosen(vocabulary, nodes=[large, small])
    assert whole.sequences == 32
    assert few.sequences < 32 and few.n_ctx <= 819  # 102 MiB


def test_without_a_cluster_the_whole_memory_of_this_machine_counts() -> None:
    here = replace(node(0, 0), node_id="", memory_bytes=1.0)
    assert host_cache_bytes([here], ()) == kv_cache.CACHE_SHARE * psutil.virtual_memory().total


def test_only_an_arm_with_a_limit_has_a_smaller_cache(vocabulary: Model) -> None:
    arm, other = Loaded("arms", "f16"), Loaded("passes", "f16")
    limits = MemoryLimits(shares={Loaded("judges", "f16"): 0.5}, caches_mib={arm: 96, other: 1})
    common, own = chosen(vocabulary, kv_cache_mib=4096, limits=limits)
    assert (common, {}) == chosen(vocabulary, kv_cache_mib=4096)
    # 1 MiB holds no sequence: there is no smaller cache then.
    assert own == {arm: chosen(vocabulary, kv_cache_mib=96)[0]}
    assert chosen(vocabulary, kv_cache_mib=64, limits=limits)[1][arm] == chosen(vocabulary, kv_cache_mib=64)[0]


def test_an_arm_that_may_fill_less_of_a_card_has_what_its_weights_leave_there(vocabulary: Model) -> None:
    shape, weights = known_of("8B")
    arm, groups = Loaded("arms", "f16"), groups_of([node(1, 16.4)])
    limits = MemoryLimits(shares={arm: 0.98})
    common, own = chosen(vocabulary, room=DeviceRoom(groups, shape, weights["f16"]), limits=limits)
    less = DeviceRoom(limited(groups, 0.98), shape, weights["f16"])
    assert own == {arm: chosen(vocabulary, room=less)[0]} and own[arm].n_ctx < common.n_ctx


def test_fewer_sequences_than_choices_are_bad_input(vocabulary: Model) -> None:
    with pytest.raises(BadInput, match=r"layout\.sequences"):
        chosen(vocabulary, "demo_choice", sequences=1)


def test_only_architectures_whose_memory_llama_cpp_cannot_copy_are_not_forked() -> None:
    assert all(can_fork(name) for name in ("llama", "gemma2", "mamba", "jamba"))
    assert not can_fork("deepseek4")
