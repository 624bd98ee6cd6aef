"""Overrides: every type can be made, each tensor gets the requested type, and llama-quantize gives the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.llama import ggml
from actors.llama.file_types import known_types, resolve_type
from actors.llama.gguf_layout import read_layout
from actors.llama.overrides import (
    TypeOverrides,
    bits_of,
    check_fit,
    check_pattern,
    requested_types,
    resolve_tensor_type,
    settable_types,
)
from actors.llama.quantizer import ImatrixData, plan_quantization, quantize
from actors.llama.trial import load_and_decode
from conf.faults import BadInput
from tests.llama_programs import run_program
from tests.small_model import smollm2_path
from tests.tiny_model import write_tiny_model

Q8_0_ENDS = TypeOverrides("q8_0", "q8_0", ((r"blk\.0\..*", "q8_0"), ("attn_v", "q5_k")))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def tensor_data(path: Path) -> dict[str, bytes]:
    content = path.read_bytes()
    return {row.name: content[row.offset : row.offset + row.n_bytes] for row in read_layout(path).tensors}


def types_of(path: Path) -> dict[str, str]:
    return {row.name: row.type for row in read_layout(path).tensors}


@pytest.mark.parametrize(
    "name",
    # llama.cpp makes the table of these two for seconds, once in every process.
    [pytest.param(name, marks=[pytest.mark.slow] * name.startswith("iq1_")) for name in settable_types()],
)
def test_every_tensor_type_can_be_made(tiny: Path, tmp_path: Path, name: str) -> None:
    importance = {row.name: np.ones(row.shape[0], np.float32) for row in read_layout(tiny).tensors}
    matrix = ImatrixData(importance, "matrix.gguf", "", 1)
    made = tmp_path / "made.gguf"
    overrides = TypeOverrides(tensors=((r"blk\.1\.ffn_(up|down)", name),))
    quantize(tiny, made, resolve_type("q8_0"), imatrix=matrix, threads=1, overrides=overrides)
    assert types_of(made)["blk.1.ffn_down.weight"] == types_of(made)["blk.1.ffn_up.weight"] == name.upper()
    load_and_decode(made, threads=1)


def test_bits_per_weight_match_the_number_in_the_name() -> None:
    lossy = [name for name, kind in known_types().items() if kind.lossy]
    assert {name: bits_of(name) for name in lossy} == {
        name: int(next(sign for sign in name if sign.isdigit())) for name in lossy
    }


@pytest.mark.parametrize(
    "overrides",
    [
        Q8_0_ENDS,
        TypeOverrides(output="q8_0"),
        TypeOverrides(embedding="f16"),
        TypeOverrides("f16", "f16"),
        TypeOverrides(output="q6_k", tensors=(("token_embd|output", "q5_0"),)),
        TypeOverrides(tensors=((".", "q5_1"),)),
    ],
)
@pytest.mark.parametrize("model", ["tiny", "tied"])
def test_llama_cpp_gives_the_requested_types(tiny: Path, model: str, overrides: TypeOverrides) -> None:
    path = tiny if model == "tiny" else smollm2_path()  # SmolLM2 has tied embeddings
    plan = plan_quantization(path, resolve_type("q4_0"), with_imatrix=False, overrides=overrides)
    planned = {row.name: row for row in plan.tensors}
    requested = requested_types(planned, overrides)
    assert requested
    for name, order in requested.items():
        row = planned[name]
        is_kept = row.type == row.source_type == "F32"
        assert is_kept or order.type in (row.type, row.fallback_from), (name, order, row)
    plain = {row.name: row.type for row in plan_quantization(path, resolve_type("q4_0"), with_imatrix=False).tensors}
    unnamed = planned.keys() - requested.keys()
    assert {name: planned[name].type for name in unnamed} == {name: plain[name] for name in unnamed}


def test_the_predicted_size_is_right_within_one_percent(tiny: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.gguf"
    kind = resolve_type("q4_k_m")
    quantize(tiny, made, kind, imatrix=None, threads=1, overrides=Q8_0_ENDS)
    predicted = plan_quantization(tiny, kind, with_imatrix=False, overrides=Q8_0_ENDS).size_bytes
    assert abs(made.stat().st_size - predicted) <= 0.01 * predicted
    assert predicted > plan_quantization(tiny, kind, with_imatrix=False).size_bytes


def test_llama_cpp_gets_no_expression_of_the_user(tiny: Path) -> None:
    # A look-behind does not exist in C++, and `ffn_(?#...)up` is an error there.
    overrides = TypeOverrides(tensors=((r"(?<=blk\.1\.)ffn_(?#the wide ones)(up|gate)", "q8_0"),))
    plan = plan_quantization(tiny, resolve_type("q4_0"), with_imatrix=False, overrides=overrides)
    assert {row.name for row in plan.tensors if row.type == "Q8_0"} == {
        "blk.1.ffn_up.weight",
        "blk.1.ffn_gate.weight",
    }


@pytest.mark.parametrize("method", ["q4_k_m", "q4_0"])
def test_tensor_data_equals_that_of_llama_quantize(tiny: Path, tmp_path: Path, method: str) -> None:
    theirs, ours = tmp_path / "theirs.gguf", tmp_path / "ours.gguf"
    words = ["--output-tensor-type", "q8_0", "--token-embedding-type", "q8_0"]
    for pattern, kind in Q8_0_ENDS.tensors:
        words += ["--tensor-type", f"{pattern}={kind}"]
    run_program("llama-quantize", *words, tiny, theirs, method, 2)
    quantize(tiny, ours, resolve_type(method), imatrix=None, threads=2, overrides=Q8_0_ENDS)
    assert types_of(ours) == types_of(theirs)
    assert tensor_data(ours) == tensor_data(theirs)


def test_tensor_data_of_a_tied_model_equals_that_of_llama_quantize(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.gguf", tmp_path / "ours.gguf"
    words = ["--allow-requantize", "--output-tensor-type", "f16", "--token-embedding-type", "f16"]
    run_program("llama-quantize", *words, smollm2_path(), theirs, "q4_0", 2)
    quantize(
        smollm2_path(),
        ours,
        resolve_type("q4_0"),
        imatrix=None,
        threads=2,
        overrides=TypeOverrides(output="f16", embedding="f16"),
    )
    assert tensor_data(ours) == tensor_data(theirs)


def test_an_unknown_tensor_type_gives_similar_names() -> None:
    assert resolve_tensor_type("Q4_K", key="k") == "q4_k"
    with pytest.raises(BadInput, match=r"'q8_0'"):
        resolve_tensor_type("q80", key="k")
    for name in ("q8_k", "i8", "q4_k_m"):
        with pytest.raises(BadInput, match="a tensor type"):
            resolve_tensor_type(name, key="k")


@pytest.mark.parametrize("pattern", ["blk.(", "[[:digit:]]", "*", "a{99999999999}", "(" * 5000 + ")" * 5000])
def test_a_pattern_that_is_invalid_or_ambiguous_is_refused(pattern: str) -> None:
    with pytest.raises(BadInput, match="regular expression"):
        check_pattern(pattern, key="recipes.mine.tensors")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (TypeOverrides(tensors=(("no_such_tensor", "q8_0"),)), "found in a tensor's name"),
        # llama.cpp would abort the process for these two.
        (TypeOverrides(embedding="q6_k"), "rows of 576 values"),
        (TypeOverrides(tensors=((".", "iq2_xxs"),)), r"no data for token_embd\.weight"),
        (TypeOverrides(tensors=((r"([a-z0-9_.]+)+#", "q8_0"),)), r"got '\(\[a-z.*takes too much time"),
    ],
)
def test_overrides_that_do_not_fit_the_model_are_refused(overrides: TypeOverrides, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        check_fit(read_layout(smollm2_path()).tensors, overrides, key="recipes.mine")


def test_the_types_that_require_importance() -> None:
    assert {name for name, kind in ggml.tensor_types().items() if ggml.requires_importance(kind)} == {
        "IQ1_S",
        "IQ2_XS",
        "IQ2_XXS",
    }
