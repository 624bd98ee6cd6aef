"""The shapes of models, and the bytes of their weights by layer, from headers of the real sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import read_header
from actors.llama.quantizer import plan_quantization
from actors.llama.shape import ModelShape, Weights, shape_of, weights_of
from tests.hollow_model import write_header
from tests.orchestrator.device_nodes import SHAPES, known_of
from tests.orchestrator.small_plan import KINDS
from tests.tiny_model import TinyShape, write_tiny_model


@pytest.fixture(scope="module")
def llama_70b(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelShape, dict[str, Weights]]:
    path = write_header(tmp_path_factory.mktemp("hollow") / "70B.gguf", SHAPES["70B"])
    weights = {}
    for kind in KINDS:
        plan = plan_quantization(path, resolve_type(kind), with_imatrix=True)
        weights[kind] = weights_of((tensor.name, tensor.n_bytes) for tensor in plan.tensors)
    return shape_of(read_header(path)), weights


def test_a_model_of_70_billion_weights_has_the_sizes_that_are_known_of_it(
    llama_70b: tuple[ModelShape, dict[str, Weights]],
) -> None:
    shape, weights = llama_70b
    # Published: 141 GB in f16, 75 GB in q8_0, 42.5 GB in q4_k_m, 320 KiB of KV cache per token.
    assert [round(weights[kind].total_bytes / 1e9, 1) for kind in ("f16", "q8_0", "q4_k_m")] == [141.1, 75.0, 42.5]
    assert sum(shape.kv_bytes) == 320 * 1024
    assert shape == known_of("70B")[0]  # the tests of placement compute it without a file
    assert (shape.n_layers, shape.n_vocab, shape.n_embd, shape.n_ff, shape.n_heads) == (80, 128_256, 8192, 28_672, 64)


def test_the_embeddings_stay_on_the_host(llama_70b: tuple[ModelShape, dict[str, Weights]]) -> None:
    f16 = llama_70b[1]["f16"]
    embeddings = 2 * 128_256 * 8192
    assert f16.input_bytes == f16.on_host(-1) == embeddings
    assert f16.device_bytes == f16.total_bytes - embeddings
    # One layer on a device is the output; 81 are all.
    assert f16.on_host(1) == f16.total_bytes - f16.output_bytes
    assert f16.on_host(81) == f16.on_host(-1)


def test_embeddings_that_are_the_output_matrix_too_are_on_both_sides() -> None:
    found = weights_of([("token_embd.weight", 100), ("blk.0.attn_q.weight", 7), ("output_norm.weight", 1)])
    assert found == Weights(100, (7,), 101, tied=True)
    assert (found.total_bytes, found.device_bytes) == (108, 108)


def test_scaled_weights_have_the_size_of_the_file() -> None:
    found = Weights(100, (50, 30), 20, tied=False).scaled_to(100)
    assert found == Weights(50, (25, 15), 10, tied=False)


def test_a_token_passes_only_its_experts(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=4))
    shape = shape_of(read_header(path))
    assert shape.n_ff == 2 * 512  # two of four experts
    assert shape.weights.total_bytes == sum(tensor.n_bytes for tensor in read_header(path).tensors)
