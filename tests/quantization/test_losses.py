"""The losses reported for an arm match the losses in its file, tensor by tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.llama import ggml
from actors.llama.gguf_file import read_header
from actors.llama.gguf_layout import TensorInfo, read_layout
from actors.quantization.imatrix import collect
from actors.quantization.losses import tensor_losses
from actors.quantization.quantize import make_arm, read_importance
from actors.stored_files import ArmFiles
from conf.files import read_json
from tests.quantization.orders import arm_order, imatrix_order
from tests.tiny_model import write_tiny_model


def values(path: Path, tensor: TensorInfo) -> NDArray[np.float64]:
    stored = np.fromfile(path, np.uint8, tensor.n_bytes, offset=tensor.offset)
    return ggml.dequantize(ggml.tensor_types()[tensor.type], stored).reshape(-1, tensor.shape[0]).astype(np.float64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """Return a tiny model, its importance matrix, and a q4_k_m made with it."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny = write_tiny_model(folder / "tiny.gguf")
    matrix = imatrix_order(tiny, folder)
    collect(matrix, lambda tokens: None)
    order = arm_order(tiny, folder, "q4_k_m", imatrix=matrix.output_path)
    make_arm(order)
    return tiny, matrix.output_path, Path(order.output_path)


def test_losses_are_weighted_squared_differences(made: tuple[Path, str, Path]) -> None:
    tiny, matrix, gguf = made
    source, new = ({one.name: one for one in read_layout(path).tensors} for path in (tiny, gguf))
    importance = read_importance(matrix, read_header(tiny)).importance
    rows = {row["tensor"]: row for row in read_json(ArmFiles.in_own_folder(gguf).losses)}
    assert len(rows) == 16  # 13 of q4_k, 3 of q6_k; norms are not quantized
    for name, row in rows.items():
        before, after = values(tiny, source[name]), values(gguf, new[name])
        weights = importance.get(name)
        assert row["weighted"] == (weights is not None)
        columns = np.ones(before.shape[1]) if weights is None else weights.astype(np.float64)
        assert row["rows_measured"] == row["rows"] == before.shape[0]
        assert row["energy"] == pytest.approx(float(((before**2) @ columns).sum()), rel=1e-5)
        assert row["error"] == pytest.approx(float((((before - after) ** 2) @ columns).sum()), rel=1e-4)
        assert 0 < row["error"] < 0.05 * row["energy"]
    assert (rows["blk.1.attn_v.weight"]["layer"], rows["blk.1.attn_v.weight"]["kind"]) == (1, "attn_v")
    assert rows["blk.1.attn_v.weight"]["type"] == "q6_k"
    assert (rows["output.weight"]["layer"], rows["output.weight"]["kind"]) == (None, "output")


def test_an_unquantized_file_has_no_losses(made: tuple[Path, str, Path]) -> None:
    tiny, _, _ = made
    assert tensor_losses(read_header(tiny), tiny, None, threads=1) == ()
