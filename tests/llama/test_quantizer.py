"""Predictions of a quantization are exact, and the results equal those of llama-quantize."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.errors import LlamaError
from actors.llama import library
from actors.llama.file_types import known_types, resolve_type
from actors.llama.gguf_layout import read_layout
from actors.llama.quantizer import ImatrixData, plan_quantization, quantize
from actors.llama.trial import load_and_decode
from conf.faults import BadInput
from tests.llama_programs import run_program
from tests.small_model import smollm2_path
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def tensor_data(path: Path) -> dict[str, bytes]:
    content = path.read_bytes()
    return {row.name: content[row.offset : row.offset + row.n_bytes] for row in read_layout(path).tensors}


def test_types_are_found_by_any_spelling_that_llama_quantize_accepts() -> None:
    assert resolve_type("Q4_K_M") == resolve_type("q4_k") == known_types()["q4_k_m"]
    assert {name for name, kind in known_types().items() if not kind.lossy} == {"f32", "f16", "bf16"}
    with pytest.raises(BadInput, match=r"--quantizations.*'q4_k_m'"):
        resolve_type("q4_km")


@pytest.mark.parametrize("name", sorted(known_types()))
def test_llama_cpp_can_make_every_known_type(tiny: Path, name: str) -> None:
    kind = known_types()[name]
    with library.captured_log() as log:
        plan_quantization(tiny, kind, with_imatrix=False)
    assert any("will require an imatrix" in line for line in log) == kind.needs_imatrix


@pytest.mark.parametrize("name", ["f32", "bf16", "q8_0", "q4_k_m", "q2_0", "iq4_xs"])
def test_size_and_types_are_predicted(tiny: Path, tmp_path: Path, name: str) -> None:
    made = tmp_path / "made.gguf"
    quantize(tiny, made, resolve_type(name), imatrix=None, threads=2)
    plan = plan_quantization(tiny, resolve_type(name), with_imatrix=False)
    # The header may grow by the file type and similar keys, and by padding.
    assert 0 <= made.stat().st_size - plan.size_bytes <= 128
    assert {row.name: row.type for row in read_layout(made).tensors} == {row.name: row.type for row in plan.tensors}
    assert not plan.fallbacks
    load_and_decode(made, threads=1)


def test_fallbacks_for_short_rows_are_listed() -> None:
    plan = plan_quantization(smollm2_path(), resolve_type("q4_k_m"), with_imatrix=True)
    assert len(plan.fallbacks) == 180
    first = next(row for row in plan.fallbacks if row.name == "blk.0.ffn_up.weight")
    assert (first.fallback_from, first.type) == ("Q4_K", "Q5_0")


def test_provenance_is_written_and_long_names_are_cut_between_characters(tiny: Path, tmp_path: Path) -> None:
    importance = {"blk.0.attn_q.weight": np.ones(256, np.float32)}
    matrix = ImatrixData(importance, "matrix.gguf", "文" * 60, n_chunks=7)
    log = quantize(tiny, tmp_path / "made.gguf", resolve_type("q4_0"), imatrix=matrix, threads=1)
    metadata = read_layout(tmp_path / "made.gguf").metadata
    assert metadata["quantize.imatrix.file"] == "matrix.gguf"
    assert metadata["quantize.imatrix.dataset"] == "文" * 42
    assert (metadata["quantize.imatrix.entries_count"], metadata["quantize.imatrix.chunks_count"]) == (1, 7)
    assert any("have importance matrix data with 1 entries" in line for line in log)


def test_an_error_includes_the_last_log_lines(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(LlamaError, match="requires an imatrix"):
        quantize(tiny, tmp_path / "made.gguf", resolve_type("iq2_xxs"), imatrix=None, threads=1)


def test_a_file_with_a_value_that_is_not_finite_fails(tiny: Path, tmp_path: Path) -> None:
    content = bytearray(tiny.read_bytes())
    row = next(row for row in read_layout(tiny).tensors if row.name == "blk.1.ffn_down.weight")
    content[row.offset : row.offset + 2] = np.float16(np.nan).tobytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(content)
    with pytest.raises(LlamaError, match="cannot load"):
        load_and_decode(broken, threads=1)


@pytest.mark.parametrize("name", ["q4_k_m", "q8_0"])
def test_tensor_data_equals_that_of_llama_quantize(tmp_path: Path, name: str) -> None:
    model = smollm2_path()
    run_program("llama-quantize", "--allow-requantize", model, tmp_path / "theirs.gguf", name, 2)
    quantize(model, tmp_path / "ours.gguf", resolve_type(name), imatrix=None, threads=2)
    assert tensor_data(tmp_path / "ours.gguf") == tensor_data(tmp_path / "theirs.gguf")
