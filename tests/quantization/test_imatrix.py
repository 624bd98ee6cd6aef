"""A collected importance matrix matches llama-imatrix in values and format. Its manifest is written last."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actors.errors import LlamaError
from actors.hashing import file_sha256
from actors.llama.gguf_layout import read_layout
from actors.quantization import imatrix as collecting
from actors.quantization.actor import QuantizationWorker
from actors.quantization.imatrix import collect, load_manifest
from actors.quantization.imatrix_file import quantization_data, read_imatrix
from actors.stored_files import ImatrixFiles
from conf.faults import BadInput
from tests.llama_programs import run_program
from tests.quantization.orders import imatrix_order
from tests.small_model import smollm2_path
from tests.tiny_model import TinyShape, write_tiny_model

ENGLISH = Path(__file__).parents[3] / "shared" / "data" / "calibration" / "wikitext2_train_part.txt"


def test_the_worker_collects_and_reports_and_writes_a_manifest(tmp_path: Path) -> None:
    order = imatrix_order(write_tiny_model(tmp_path / "tiny.gguf"), tmp_path)
    reported: list[int] = []
    worker = QuantizationWorker()
    worker.collect_group(order, 0, lambda tokens: reported.append(tokens))
    manifest = worker.merge(order, lambda tokens: reported.append(tokens))
    assert reported == [128] * 4
    assert (manifest.n_tokens, manifest.n_chunks, manifest.ctx, manifest.n_tensors) == (512, 4, 128, 14)
    assert manifest.sha256 == file_sha256(order.output_path)
    assert manifest.tensors_without_data == ()
    assert load_manifest(ImatrixFiles(order.output_path).manifest) == manifest


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    order = imatrix_order(write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=3)), tmp_path)
    collect(order, lambda tokens: None)
    matrix = read_imatrix(order.output_path)
    assert (matrix.datasets, matrix.chunk_count, matrix.chunk_size) == (("text.txt",), 4, 128)
    entry = matrix.entries["blk.1.ffn_up_exps.weight"]
    assert entry.sum_squares.shape == (3, 256)
    assert entry.counts.sum() == 2 * 512
    data = quantization_data(matrix, "x.gguf").importance["blk.1.ffn_up_exps.weight"]
    np.testing.assert_allclose(data.reshape(3, 256)[1], entry.sum_squares[1] / entry.counts[1], rtol=1e-6)


def test_a_failure_leaves_no_manifest_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = imatrix_order(write_tiny_model(tmp_path / "tiny.gguf"), tmp_path)
    collect(order, lambda tokens: None)

    def full_disk(*_arguments: object, **_more: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(collecting, "write_imatrix", full_disk)
    with pytest.raises(OSError, match="no space"):
        collect(order, lambda tokens: None)
    assert not ImatrixFiles(order.output_path).manifest.exists()
    assert not list(Path(order.output_path).parent.glob(".*.part"))


def test_too_little_text_is_bad_input_that_names_the_flag(tmp_path: Path) -> None:
    order = imatrix_order(write_tiny_model(tmp_path / "tiny.gguf"), tmp_path)
    with pytest.raises(BadInput, match="--dataset-size"):
        collect(replace(order, dataset_size=1_000_000), lambda tokens: None)
    assert not Path(order.output_path).parent.exists()


def test_activations_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    row = next(row for row in read_layout(model).tensors if row.name == "blk.0.attn_v.weight")
    with model.open("r+b") as file:
        file.seek(row.offset)
        file.write(np.full(256, np.inf, np.float16).tobytes())
    with pytest.raises(LlamaError, match="not finite"):
        collect(imatrix_order(model, tmp_path), lambda tokens: None)


@pytest.mark.parametrize("content", [b"", b"\x05\x00\x00\x00", b"a text of some length, and no matrix"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "old.dat"
    other.write_bytes(content)
    with pytest.raises(BadInput, match=r"--imatrix.*invalid or cut short"):
        read_imatrix(other)
    with pytest.raises(BadInput, match="holds something else"):
        read_imatrix(write_tiny_model(tmp_path / "tiny.gguf"))
    with pytest.raises(BadInput, match="No such file"):
        read_imatrix(tmp_path / "missing.gguf")


def dat_file(path: Path, *, tail: bytes) -> Path:
    """Write a file with one matrix of three columns, after two calls."""
    name = b"blk.0.attn_q.weight"
    values = np.array([2.0, 4.0, 1.0], np.float32).tobytes()
    path.write_bytes(struct.pack("<ii", 1, len(name)) + name + struct.pack("<ii", 2, 3) + values + tail)
    return path


def test_the_older_format_is_read_with_and_without_its_tail(tmp_path: Path) -> None:
    tail = struct.pack("<ii", 7, 5) + b"a.txt"
    matrix = read_imatrix(dat_file(tmp_path / "new.dat", tail=tail))
    assert (matrix.datasets, matrix.chunk_count) == (("a.txt",), 7)
    # The file stores mean squares times calls: 2/2, 4/2, 1/2.
    assert quantization_data(matrix, "x").importance["blk.0.attn_q.weight"].tolist() == [1.0, 2.0, 0.5]
    older = read_imatrix(dat_file(tmp_path / "old.dat", tail=b""))
    assert (older.datasets, older.chunk_count) == ((), 0)


def test_older_and_newer_format_give_the_same_importance(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    imatrix_order(model, tmp_path)
    for kind in ("gguf", "dat"):
        arguments = ("-m", model, "-f", tmp_path / "text.txt", "-o", tmp_path / f"m.{kind}", "--output-format", kind)
        run_program("llama-imatrix", *arguments, "--chunks", 4, "-c", 512, "-t", 1, "-nr", "--no-ppl")
    newer, older = (quantization_data(read_imatrix(tmp_path / f"m.{kind}"), "m") for kind in ("gguf", "dat"))
    assert newer.importance.keys() == older.importance.keys()
    for name, values in newer.importance.items():
        np.testing.assert_allclose(older.importance[name], values, rtol=1e-6)


def assert_same(ours: Path | str, theirs: Path) -> None:
    """Assert the same tensors, each element within 1e-4 of max(|a|, 1e-3 max|a|).

    llama-imatrix sums in float32, we sum in float64.
    """
    mine, other = read_imatrix(ours), read_imatrix(theirs)
    assert mine.entries.keys() == other.entries.keys()
    assert (mine.chunk_count, mine.chunk_size) == (other.chunk_count, other.chunk_size)
    assert [(row.name, row.shape) for row in read_layout(Path(ours)).tensors] == [
        (row.name, row.shape) for row in read_layout(theirs).tensors
    ]
    for name, entry in mine.entries.items():
        a, b = entry.sum_squares, other.entries[name].sum_squares
        assert entry.counts.tolist() == other.entries[name].counts.tolist()
        assert (np.abs(a - b) <= 1e-4 * np.maximum(np.abs(a), 1e-3 * np.abs(a).max())).all(), name


@pytest.mark.parametrize("n_experts", [0, 4])
def test_the_matrix_of_a_tiny_model_matches_llama_imatrix(tmp_path: Path, n_experts: int) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_experts=n_experts))
    order = imatrix_order(model, tmp_path, dataset_size=2048, ctx=512)
    theirs = tmp_path / "theirs.gguf"
    text = tmp_path / "text.txt"
    run_program(
        "llama-imatrix", "-m", model, "-f", text, "-o", theirs, "--chunks", 4, "-c", 512, "-t", 1, "-nr", "--no-ppl"
    )
    collect(order, lambda tokens: None)
    assert_same(order.output_path, theirs)


@pytest.mark.slow
def test_the_matrix_of_a_real_model_matches_llama_imatrix(tmp_path: Path) -> None:
    if not ENGLISH.is_file():
        pytest.skip(f"the calibration text {ENGLISH.name} is not beside the project, in ../shared/data/calibration")
    order = imatrix_order(smollm2_path(), tmp_path, dataset_size=2048, ctx=512)
    text = tmp_path / "text.txt"
    text.write_text(ENGLISH.read_text(encoding="utf-8")[:20_000], encoding="utf-8")
    theirs = tmp_path / "theirs.gguf"
    model = order.model_path
    run_program(
        "llama-imatrix", "-m", model, "-f", text, "-o", theirs, "--chunks", 4, "-c", 512, "-t", 2, "-nr", "--no-ppl"
    )
    collect(replace(order, threads=2), lambda tokens: None)
    assert_same(order.output_path, theirs)
