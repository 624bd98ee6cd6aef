"""What a loaded model takes in memory: the sizes in llama.cpp's log, against what is known from elsewhere."""

from __future__ import annotations

import pytest
from gguf import GGUFReader

from actors.engines.llama import LlamaEngine
from actors.llama.buffers import Buffers, MemoryUse, memory_use, read_buffers
from tests.conftest import layout

MIB = 2**20
LOG = [
    "print_info: file size   = 92.10 MiB (5.74 BPW)",
    "load_tensors:   CPU_Mapped model buffer size =    92.10 MiB",
    "load_tensors:        CUDA0 model buffer size =   100.00 MiB",
    "load_tensors:        CUDA1 model buffer size =    50.00 MiB",
    "llama_kv_cache:      CUDA0 KV buffer size =    45.00 MiB",
    "llama_memory_recurrent:      CUDA1 RS buffer size =     5.00 MiB",
    "sched_reserve:        CPU compute buffer size =    24.00 MiB",
    "sched_reserve:  CUDA_Host compute buffer size =     8.00 MiB",
    "sched_reserve:      CUDA0 compute buffer size =    32.00 MiB",
    "llama_context:        CPU  output buffer size =     2.00 MiB",
    "~llama_context:        CPU compute buffer size is  24.8487 MiB, matches expectation of  24.8487 MiB",
]


def test_sizes_are_summed_by_place() -> None:
    assert read_buffers(LOG) == (
        Buffers("CPU", True, round(92.10 * MIB), 0, 26 * MIB),
        Buffers("CUDA0", False, 100 * MIB, 45 * MIB, 32 * MIB),
        Buffers("CUDA1", False, 50 * MIB, 5 * MIB, 0),
        Buffers("CUDA_Host", True, 0, 0, 8 * MIB),
    )


def test_host_and_devices_are_kept_apart() -> None:
    assert memory_use(read_buffers(LOG)) == MemoryUse(
        weights_host_bytes=round(92.10 * MIB),
        weights_device_bytes=150 * MIB,
        kv_host_bytes=0,
        kv_device_bytes=50 * MIB,
        compute_host_bytes=34 * MIB,
        compute_device_bytes=32 * MIB,
    )
    assert memory_use(read_buffers(["nothing of the kind"])) is None


def test_an_engine_tells_what_its_own_model_takes_while_another_is_loaded(tiny_path: str) -> None:
    tensors = sum(tensor.n_bytes for tensor in GGUFReader(tiny_path).tensors)
    small, large = LlamaEngine(tiny_path, layout(n_ctx=512)), LlamaEngine(tiny_path, layout(n_ctx=1024))
    try:
        for engine, cells in ((small, 512), (large, 1024)):
            found = engine.take_usage().memory
            assert found is not None
            assert found.weights_host_bytes == pytest.approx(tensors, rel=0.02)
            # Two layers of keys and values, 128 numbers of f16 each, in every cell.
            assert found.kv_host_bytes == 2 * 2 * 128 * 2 * cells
            assert found.compute_host_bytes > 0
            assert found.weights_device_bytes == found.kv_device_bytes == found.compute_device_bytes == 0
            assert engine.take_usage().memory == found  # it stays, also when nothing was decoded since
    finally:
        small.close()
        large.close()
