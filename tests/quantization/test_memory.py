"""Predicted memory is an upper bound of what a separate process really uses."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from actors.llama.activations import ActivationCollector
from actors.llama.gguf_file import GgufHeader, read_header
from actors.llama.model import Model
from actors.quantization.memory import (
    PROCESS_BYTES,
    _sums_bytes,
    contexts_to_collect,
    needed_to_collect,
    needed_to_quantize,
)
from actors.quantization_orders import ImatrixOrder, QuantizeOrder
from tests.bench.programs import run_ours
from tests.quantization.orders import arm_order, imatrix_order
from tests.small_model import smollm2_path
from tests.tiny_model import TinyShape, write_tiny_model


def peak_bytes(order: ImatrixOrder | QuantizeOrder, folder: Path) -> float:
    task = folder / "order.pickle"
    task.write_bytes(pickle.dumps(order))
    return run_ours(task).peak_rss_mb * 1e6


def test_collecting_needs_no_more_memory_than_predicted(tmp_path: Path) -> None:
    model = smollm2_path()
    needed = needed_to_collect(read_header(model), 512)
    # Two threads, so that two contexts are used.
    order = replace(imatrix_order(model, tmp_path, dataset_size=1024, ctx=512), threads=2)
    peak = peak_bytes(order, tmp_path)
    assert peak <= needed
    # The bound does not hold only because of the allowance for Python.
    assert peak > PROCESS_BYTES


def test_weights_on_devices_need_no_memory_of_the_host(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_layers=4))
    header = read_header(path)
    layers = [tensor.n_bytes for tensor in header.tensors if tensor.name.startswith("blk.3.")]
    needed = {layers: needed_to_collect(header, 64, gpu_layers=layers) for layers in (-1, 2, 1)}
    # Of five layers, the last is the output; with two on devices, layer 3 is there, too.
    assert needed[1] - needed[2] == sum(layers)
    output = sum(tensor.n_bytes for tensor in header.tensors if tensor.name.startswith("output"))
    assert needed_to_collect(header, 64, gpu_layers=5) == needed[-1]
    assert needed_to_collect(header, 64) > needed[1] + output
    # A file that is still to be made has its own size.
    twice = needed_to_collect(header, 64, model_bytes=2 * sum(one.n_bytes for one in header.tensors), gpu_layers=1)
    assert twice - needed[1] == pytest.approx(needed[1] - needed[-1] + input_bytes(header), rel=0.01)


def input_bytes(header: GgufHeader) -> int:
    return next(tensor.n_bytes for tensor in header.tensors if tensor.name == "token_embd.weight")


@pytest.mark.parametrize("n_experts", [0, 4])
def test_sums_take_exactly_the_predicted_memory(tmp_path: Path, n_experts: int) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    with Model(path) as model, ActivationCollector(model, ctx=64, threads=1) as collector:
        sums = collector.submit(([300] * 64, None)).result()
    assert _sums_bytes(read_header(path)) == sum(entry.sum_squares.nbytes for entry in sums.values())


def test_quantizing_needs_no_more_memory_than_predicted_plus_mapped_files(tmp_path: Path) -> None:
    model = smollm2_path()
    header = read_header(model)
    order = arm_order(model, tmp_path, "q8_0")
    mapped = header.size_bytes + 140e6  # the source, and the new file while it is verified
    assert peak_bytes(order, tmp_path) <= needed_to_quantize(header) + mapped


def test_a_model_that_does_not_exist_yet_counts_with_its_given_size() -> None:
    header = read_header(smollm2_path())
    more = needed_to_collect(header, 512, model_bytes=header.size_bytes + 1000) - needed_to_collect(header, 512)
    assert more == 1000


def test_a_second_context_is_used_if_it_is_cheap() -> None:
    header = read_header(smollm2_path())
    assert contexts_to_collect(header, 512) == contexts_to_collect(header, 2048) == 2
    wide = replace(
        header,
        tensors=tuple(
            replace(tensor, shape=(tensor.shape[0], 151_936)) if tensor.name == "token_embd.weight" else tensor
            for tensor in header.tensors
        ),
    )
    assert contexts_to_collect(wide, 512) == 1
    assert needed_to_collect(wide, 512) > needed_to_collect(header, 512)
