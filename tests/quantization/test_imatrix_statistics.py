"""The statistics of `llama-imatrix --show-statistics`: checked by hand and against that program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from actors.llama.activation_sums import TensorActivations
from actors.quantization.imatrix import collect
from actors.quantization.imatrix_file import read_imatrix
from actors.quantization.imatrix_statistics import layer_statistics, statistics_of
from tests.quantization.orders import imatrix_order
from tests.tiny_model import TinyShape, write_tiny_model


def entry(sums: list[list[float]], counts: list[int]) -> TensorActivations:
    return TensorActivations(np.array(sums), np.array(counts, np.int64))


def test_statistics_match_a_case_worked_by_hand() -> None:
    # Means 4, 0, 0, 4: sum 8, mean 2, sigma 2 (n), half of the columns active, entropy of (1/2, 1/2) = 1 bit of 2.
    (one,) = statistics_of({"blk.3.attn_k.weight": entry([[8, 0, 0, 8]], [2])})
    assert (one.layer, one.kind, one.total, one.minimum, one.maximum) == (3, "attn_k", 8.0, 0.0, 4.0)
    assert (one.mean, one.sigma, one.active, one.n_columns) == (2.0, 2.0, 0.5, 4)
    assert (one.entropy_bits, one.entropy_share, one.cosine) == (1.0, 0.5, None)
    assert one.outliers == 0.0  # (4 - 2) / 2 is 1, not more
    (one,) = statistics_of({"blk.3.attn_k.weight": entry([[9, 1, 1, 1]], [1])})
    assert one.outliers == 0.25  # mean 3, sigma sqrt(12): (9 - 3) / 3.46 > 1


def test_experts_that_no_token_reached_are_left_out() -> None:
    (one,) = statistics_of({"blk.0.ffn_up_exps.weight": entry([[6, 2], [0, 0]], [2, 0])})
    assert (one.n_columns, one.total) == (2, 4.0)
    assert statistics_of({"blk.0.ffn_up_exps.weight": entry([[0, 0]], [0])}) == ()


def test_cosine_compares_with_the_previous_layer_and_layers_weight_by_columns() -> None:
    statistics = statistics_of(
        {
            "blk.0.attn_k.weight": entry([[1, 0]], [1]),
            "blk.1.attn_k.weight": entry([[1, 1]], [1]),
            "blk.1.attn_q.weight": entry([[3, 0, 0, 0, 0, 0]], [1]),
        }
    )
    cosines = {one.name: one.cosine for one in statistics}
    assert cosines["blk.1.attn_k.weight"] == pytest.approx(0.5**0.5)
    assert (cosines["blk.0.attn_k.weight"], cosines["blk.1.attn_q.weight"]) == (None, None)
    first, second = layer_statistics(statistics)
    assert (first.layer, first.total, first.cosine) == (0, 1.0, None)
    assert second.total == pytest.approx((2 * 2 + 6 * 3) / 8)
    assert second.cosine == pytest.approx(0.5**0.5)


def test_statistics_of_zero_and_single_columns_are_defined() -> None:
    (zero,) = statistics_of({"blk.0.a.weight": entry([[0, 0]], [3])})
    assert (zero.entropy_bits, zero.outliers, zero.active, zero.cosine) == (0.0, 0.0, 0.0, None)
    (single,) = statistics_of({"output.weight": entry([[5]], [1])})
    assert (single.layer, single.kind, single.entropy_share) == (None, "output", 0.0)


@pytest.mark.parametrize("n_experts", [0, 3])
def test_statistics_match_llama_imatrix(tmp_path: Path, n_experts: int) -> None:
    program = shutil.which("llama-imatrix", path=os.environ.get("LLAMA_TOOLS")) or shutil.which("llama-imatrix")
    if program is None:
        pytest.skip("llama-imatrix is neither in the folder LLAMA_TOOLS nor on the PATH")
    model = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    order = imatrix_order(model, tmp_path)
    collect(order, lambda tokens: None)
    command = [program, "-m", str(model), "--in-file", order.output_path, "--show-statistics"]
    statistics = {(str(one.layer), one.kind): one for one in statistics_of(read_imatrix(order.output_path).entries)}
    # Only the end of a log line is the row: "  0  attn_k  1.00  ...". The row of a layer has only four columns.
    cell = r"\s+(-?[\d.]+)%?"
    rows: set[tuple[str, ...]] = set()
    for _ in range(200):  # the program exits without waiting for its log, so on a busy machine much of it is lost
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        rows |= set(re.findall(rf"(\d+)\t(\w+)\s*\t{cell * 11}\s*$", done.stdout + done.stderr, re.MULTILINE))
        if len(rows) == len(statistics):
            break
    assert {(row[0], row[1]) for row in rows} == statistics.keys()
    for row in rows:
        one = statistics[row[0], row[1]]
        ours = (
            *(one.total, one.minimum, one.maximum, one.mean, one.sigma, 100 * one.active, one.n_columns),
            *(one.entropy_bits, 100 * one.entropy_share, 100 * one.outliers, one.cosine or 0.0),
        )
        np.testing.assert_allclose(ours, [float(value) for value in row[2:]], rtol=2e-4, atol=0.0051)
