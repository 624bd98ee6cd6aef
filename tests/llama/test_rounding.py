"""Measured rounding errors equal the errors in a file that llama.cpp quantized."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize
from numpy.typing import NDArray

from actors.llama import ggml
from actors.llama.file_types import resolve_type
from actors.llama.gguf_layout import TensorInfo, read_layout
from actors.llama.quantizer import ImatrixData, quantize
from actors.llama.rounding import measure, sample_rows
from tests.tiny_model import TinyShape, write_tiny_model


def values(path: Path, tensor: TensorInfo) -> NDArray[np.float32]:
    """Read a tensor with the gguf package, which has its own dequantizers."""
    raw = np.fromfile(path, np.uint8, tensor.n_bytes, offset=tensor.offset)
    kind = gguf.GGMLQuantizationType[tensor.type]
    if tensor.type in ("F16", "F32"):
        return raw.view(np.float16 if tensor.type == "F16" else np.float32).astype(np.float32)
    return np.asarray(dequantize(raw, kind), np.float32)


def importance_of(tensors: tuple[TensorInfo, ...], rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    found = {}
    for tensor in tensors:
        if tensor.name.startswith("blk") and len(tensor.shape) > 1 and "inp" not in tensor.name:
            experts = tensor.shape[2] if len(tensor.shape) > 2 else 1
            found[tensor.name] = rng.exponential(size=tensor.shape[0] * experts).astype(np.float32)
    return found


@pytest.mark.parametrize(("n_experts", "method"), [(0, "q4_k_m"), (0, "q5_0"), (4, "q3_k_m"), (0, "iq4_xs")])
def test_measured_errors_equal_those_of_a_file_from_llama_cpp(tmp_path: Path, n_experts: int, method: str) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    before = {tensor.name: tensor for tensor in read_layout(model).tensors}
    importance = importance_of(tuple(before.values()), np.random.default_rng(0))
    made = tmp_path / "made.gguf"
    quantize(model, made, resolve_type(method), imatrix=ImatrixData(importance, "m", "", 1), threads=1)
    n_compared = 0
    for tensor in read_layout(made).tensors:
        source, weights = before[tensor.name], importance.get(tensor.name)
        if tensor.type == source.type:
            continue
        found = measure(model, source, [tensor.type], weights, max_elements=2**30)
        old = values(model, source).reshape(-1, tensor.shape[0]).astype(np.float64)
        new = values(made, tensor).reshape(-1, tensor.shape[0])
        columns = np.ones((1, tensor.shape[0])) if weights is None else weights.reshape(-1, tensor.shape[0])
        by_row = np.repeat(columns, len(old) // len(columns), axis=0)
        assert found.rows == found.rows_measured == len(old)
        assert found.errors[tensor.type] == pytest.approx((by_row * (old - new) ** 2).sum(), rel=1e-5)
        assert found.energy == pytest.approx((by_row * old**2).sum(), rel=1e-5)
        n_compared += 1
    assert n_compared >= 14


def test_a_sample_of_rows_has_about_the_same_error_as_all_rows(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    tensor = next(tensor for tensor in read_layout(model).tensors if tensor.name == "blk.0.ffn_up.weight")
    whole = measure(model, tensor, ["Q4_0"], None, max_elements=2**30)
    part = measure(model, tensor, ["Q4_0"], None, max_elements=1)
    assert part.rows_measured == 64 < part.rows == whole.rows_measured
    assert part.relative("Q4_0") == pytest.approx(whole.relative("Q4_0"), rel=0.1)


def test_sampled_rows_are_spread_over_the_whole_tensor() -> None:
    rows = sample_rows(10_000, 100, 10_000)
    assert len(np.unique(rows)) == 100
    assert (rows[0], rows[-1]) == (50, 9950)
    assert sample_rows(70, 1000, 10).tolist() == [int((place + 0.5) * 70 / 64) for place in range(64)]
    assert sample_rows(5, 1000, 10).tolist() == [0, 1, 2, 3, 4]


def test_arguments_that_would_abort_the_process_are_refused() -> None:
    kinds = ggml.tensor_types()
    with pytest.raises(ValueError, match="does not work without importance"):
        ggml.quantize_rows(kinds["IQ2_XXS"], np.ones((1, 256), np.float32), None)
    with pytest.raises(ValueError, match="rows of 64 values"):
        ggml.quantize_rows(kinds["Q4_K"], np.ones((1, 64), np.float32), None)
