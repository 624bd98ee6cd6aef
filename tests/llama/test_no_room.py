"""Missing memory is told from other failures by what llama.cpp logs, whatever and wherever it was missing."""

from __future__ import annotations

import pickle

import pytest

from actors.errors import LlamaError, NoRoomError
from actors.llama.no_room import context_error, decode_error, load_error

CUDA = (
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of memory"
)
VULKAN = "ggml_vulkan: Device memory allocation of size 1073741824 failed."
CPU = "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 4294967296"
FAILED = "llama_model_load_from_file_impl: failed to load model"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            [CUDA, "llama_model_load: error loading model: unable to allocate CUDA0 buffer", FAILED],
            "error loading model: unable to allocate CUDA0 buffer",
        ),
        (
            ["llama_model_load: error loading model: unable to allocate RPC0[127.0.0.1:5] buffer"],
            "unable to allocate RPC0",
        ),
        ([VULKAN, "ggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory", FAILED], "ErrorOutOfDeviceMemory"),
        ([CPU], "failed to allocate buffer of size 4294967296"),
        (["llama_model_load: error loading model: std::bad_alloc"], "bad_alloc"),
    ],
)
def test_weights_without_room_are_told_with_the_place_and_the_next_step(log: list[str], said: str) -> None:
    error = load_error("models/large.gguf", log)
    assert isinstance(error, NoRoomError) and error.wanted_for == "weights"
    assert "weights of models/large.gguf" in error.message and said in error.message and "q8_0" in error.message


def test_a_damaged_file_is_no_lack_of_room() -> None:
    log = ["llama_model_load: error loading model: tensor 'x' data is not within the file bounds", FAILED]
    error = load_error("a.gguf", log)
    assert type(error) is LlamaError and error.log_tail == tuple(log)


@pytest.mark.parametrize(
    ("line", "wanted_for"),
    [
        ("llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache", "kv_cache"),
        ("llama_init_from_model: failed to initialize the context: failed to allocate buffer for rs cache", "kv_cache"),
        ("llama_init_from_model: failed to initialize the context: failed to allocate compute pp buffers", "compute"),
        ("output_reserve: failed to allocate output buffer of size 150.00 MiB", "compute"),
    ],
)
def test_a_context_tells_what_had_no_room(line: str, wanted_for: str) -> None:
    error = context_error("a.gguf", 4096, [CUDA, line])
    assert isinstance(error, NoRoomError) and error.wanted_for == wanted_for
    assert "4096 cells" in error.message and "kv_cache_mib" in error.message


def test_a_context_that_fails_for_another_reason_is_no_lack_of_room() -> None:
    error = context_error("a.gguf", 4096, ["llama_init_from_model: quantized V cache was requested"])
    assert type(error) is LlamaError and "context of 4096 cells" in error.message


def test_a_graph_without_buffers_has_no_room_and_other_states_are_plain_failures() -> None:
    assert isinstance(decode_error(-2, ["graph_compute: failed to allocate graph"]), NoRoomError)
    assert type(decode_error(-3, [])) is LlamaError


def test_what_had_no_room_survives_the_way_between_processes() -> None:
    error = load_error("a.gguf", [CPU])
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, NoRoomError)
    assert (again.wanted_for, again.message, again.log_tail) == ("weights", error.message, (CPU,))
