"""The estimates of KV cache and compute buffers, against what llama.cpp itself says that it would allocate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.llama.gguf_file import read_header
from actors.llama.layout import EngineLayout
from actors.llama.shape import shape_of
from actors.orchestrator.placement.memory import Need, need_of, widest
from tests import hollow_architectures
from tests.allocation import allocation_of
from tests.hollow_model import write_header
from tests.orchestrator.device_nodes import SHAPES
from tests.tiny_architectures import Architecture, write_tiny_architecture

LAYOUTS = [
    EngineLayout(2, 32, 2048, 512, 8704, kv_unified=True, flash_attention=True, gpu_layers=0),
    EngineLayout(2, 32, 2048, 512, 8704, kv_unified=True, flash_attention=False, gpu_layers=0),
    EngineLayout(2, 32, 2048, 512, 34_816, kv_unified=False, flash_attention=True, gpu_layers=0),
    EngineLayout(2, 32, 2048, 512, 87_040, kv_unified=True, flash_attention=True, gpu_layers=0),
    EngineLayout(2, 8, 2048, 2048, 17_408, kv_unified=True, flash_attention=True, gpu_layers=0),
]


def test_estimates_are_close_to_what_llama_cpp_would_allocate(tmp_path: Path) -> None:
    path = write_header(tmp_path / "model.gguf", SHAPES["8x7B"])
    shape = shape_of(read_header(path))
    for layout in LAYOUTS:
        need, real = need_of(shape, shape.weights, layout), allocation_of(path, layout)
        assert sum(need.kv_bytes) == real.kv_bytes
        assert 0.96 * real.compute_bytes <= need.compute_bytes <= 1.10 * real.compute_bytes


def test_estimates_of_a_real_model_are_close(smollm2_path: str) -> None:
    shape = shape_of(read_header(smollm2_path))
    for layout in LAYOUTS:
        need, real = need_of(shape, shape.weights, layout), allocation_of(Path(smollm2_path), layout)
        assert sum(need.kv_bytes) == real.kv_bytes
        assert 0.96 * real.compute_bytes <= need.compute_bytes <= 1.10 * real.compute_bytes


@pytest.mark.parametrize("architecture", ["gemma2", "mamba", "jamba"])
def test_sliding_windows_and_states_of_recurrent_layers_count(tmp_path: Path, architecture: Architecture) -> None:
    path = write_tiny_architecture(tmp_path / "model.gguf", architecture)
    shape = shape_of(read_header(path))
    for layout in LAYOUTS:
        need, real = need_of(shape, shape.weights, layout), allocation_of(path, layout)
        assert sum(need.kv_bytes) == pytest.approx(real.kv_bytes, abs=20_000)  # llama.cpp rounds to 0.01 MiB
        assert need.compute_bytes > real.compute_bytes - 8 * 2**20  # a model so small is mostly other tensors


@pytest.mark.parametrize("kind", hollow_architectures.KINDS)
def test_unusual_caches_and_states_have_the_size_that_llama_cpp_allocates(tmp_path: Path, kind: str) -> None:
    path = hollow_architectures.write_hollow(tmp_path / "model.gguf", kind)
    header = read_header(path)
    shape = shape_of(header)
    assert header.kv_bytes_per_cell == sum(shape.kv_bytes)
    for layout in LAYOUTS:
        need, real = need_of(shape, shape.weights, layout), allocation_of(path, layout)
        assert sum(need.kv_bytes) == pytest.approx(real.kv_bytes, abs=20_000) and real.kv_bytes > 10**6
        assert need.compute_bytes > real.compute_bytes - 20 * 2**20  # a model so small is mostly other tensors


NEED = Need(10, (8, 8, 8, 8, 5), (1, 1, 1, 1, 0), compute_bytes=3, logits_bytes=2)


def test_layers_are_split_into_runs_as_llama_cpp_does() -> None:
    # Five layers on two devices: three (27 bytes), then two (9 + 5). A device more has compute buffers of its own.
    assert NEED.fullest_device(5, 1) == 4 * 9 + 5 + 3
    assert NEED.fullest_device(5, 2) == 3 * 9 + 3
    assert NEED.fullest_device(5, 5) == 9 + 3
    assert NEED.on_devices(5, 2).total_bytes == 4 * 9 + 5 + 2 * 3


def test_several_devices_that_hold_all_layers_keep_the_inputs_of_several_parts_of_a_batch() -> None:
    need = replace(NEED, copies_bytes=7)
    assert need.fullest_device(5, 2) == 3 * 9 + 3 + 7
    assert need.on_devices(5, 2).compute_bytes == 2 * (3 + 7)
    assert need.fullest_device(5, 1) == NEED.fullest_device(5, 1)
    assert need.fullest_device(4, 2) == NEED.fullest_device(4, 2)


@pytest.mark.parametrize(("flash_attention", "real_mib"), [(True, 133.67), (False, 220.03)])
def test_inputs_of_several_parts_are_close_to_what_llama_cpp_took(
    smollm2_path: str, flash_attention: bool, real_mib: float
) -> None:
    # On the first of two RPC devices; on one device it was 97.12 and 165.26.
    how = EngineLayout(1, 30, 2048, 512, 8192, kv_unified=True, flash_attention=flash_attention, gpu_layers=-1)
    shape = shape_of(read_header(smollm2_path))
    need = need_of(shape, shape.weights, how)
    alone = 97.12 if flash_attention else 165.26
    assert need.copies_bytes / 2**20 == pytest.approx(real_mib - alone, rel=0.05)


def test_what_is_not_on_devices_is_on_the_host() -> None:
    # The last two layers are on devices: the output and one more. Embeddings and logits never are.
    assert NEED.on_devices(2, 1).total_bytes == 9 + 5 + 3
    assert NEED.on_host(2).total_bytes == 10 + 3 * 9 + 3 + 2
    assert NEED.on_host(5).total_bytes == 10 + 2
    assert NEED.on_devices(0, 1).total_bytes == NEED.fullest_device(0, 1) == 0


def test_a_model_of_several_layouts_takes_the_most_of_each() -> None:
    other = Need(10, NEED.weight_bytes, (2, 2, 2, 2, 0), compute_bytes=1, logits_bytes=2)
    assert widest([NEED, other]) == Need(10, NEED.weight_bytes, (2, 2, 2, 2, 0), compute_bytes=3, logits_bytes=2)
