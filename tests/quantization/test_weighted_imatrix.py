"""Matrices with token weights: their sums, their file and manifest, and what llama.cpp does with them."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from actors.llama.activations import ActivationCollector
from actors.llama.gguf_layout import read_layout
from actors.llama.model import Model
from actors.quantization.calibration import make_chunks
from actors.quantization.groups import added
from actors.quantization.imatrix import collect, collect_shard, load_manifest
from actors.quantization.imatrix_file import quantization_data, read_imatrix, write_imatrix
from actors.quantization.quantize import make_arm
from actors.quantization.weighting import ClassUse, make_weighting
from actors.quantization_orders import CalibrationText, ChunkRules, ImatrixOrder
from actors.stored_files import ImatrixFiles
from actors.token_classes import class_rules
from conf.files import read_json, write_json
from conf.schema.protection import TokenWeights
from tests.llama_programs import run_program
from tests.quantization.orders import arm_order, imatrix_order
from tests.tiny_model import TinyShape, write_tiny_model

CTX = 64
TEXT = "the theorem of 12 and the other thing, 3 kg of 水素 in the end. " * 300
WHOLE = TokenWeights(mathematics=4, science=3, other=1)
FRACTIONS = TokenWeights(mathematics=2.6, science=1.7, other=1.1)


def tensor_data(path: Path) -> dict[str, bytes]:
    """Return the bytes of each tensor."""
    content = path.read_bytes()
    return {row.name: content[row.offset : row.offset + row.n_bytes] for row in read_layout(path).tensors}


def silent(tokens: int) -> None:
    """Ignore the reported tokens."""


@pytest.fixture(scope="module", params=[0, 3])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = TinyShape(n_experts=request.param)
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf", shape=shape)


def weighted_order(model: Path, folder: Path, weights: TokenWeights | None, *, n_chunks: int = 20) -> ImatrixOrder:
    order = imatrix_order(model, folder, dataset_size=n_chunks * CTX, ctx=CTX)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    return replace(order, token_weights=weights)


@pytest.mark.parametrize("weights", [WHOLE, FRACTIONS])
def test_the_file_holds_weighted_sums_and_sums_of_weights(model: Path, tmp_path: Path, weights: TokenWeights) -> None:
    order = weighted_order(model, tmp_path, weights, n_chunks=4)
    manifest = collect(order, silent)
    assert manifest.token_weighting is not None
    uses = manifest.token_weighting.classes
    total = sum(use.weight * use.tokens for use in uses.values())
    matrix = read_imatrix(order.output_path)
    assert matrix.weighting == manifest.token_weighting
    assert sum(use.tokens for use in uses.values()) == 4 * CTX
    for name, entry in matrix.entries.items():
        slots = 2 if "_exps" in name else 1
        assert entry.counts.sum() == pytest.approx(slots * total, rel=1e-6)
    with Model(model) as loaded, ActivationCollector(loaded, ctx=CTX, threads=1) as collector:
        calibration = make_chunks(loaded, order.texts, dataset_size=4 * CTX, ctx=CTX, token_weights=weights)
        chunks = zip(calibration.chunks, calibration.weights, strict=True)
        sums = reduce(added, [collector.submit(chunk).result() for chunk in chunks])
        for name, entry in sums.items():
            # There is only one group here. Files store 32-bit floats.
            assert matrix.entries[name].sum_squares.tolist() == entry.sum_squares.astype(np.float32).tolist()


def test_weights_of_one_give_the_unweighted_matrix(model: Path, tmp_path: Path) -> None:
    plain, ones = (
        weighted_order(model, tmp_path / name, weights)
        for name, weights in (("plain", None), ("ones", TokenWeights(mathematics=1, science=1)))
        if (tmp_path / name).mkdir() is None
    )
    assert collect(plain, silent).token_weighting is None
    collect(ones, silent)
    first, second = read_imatrix(plain.output_path), read_imatrix(ones.output_path)
    assert first.weighting is None
    for name, entry in first.entries.items():
        assert entry.sum_squares.tobytes() == second.entries[name].sum_squares.tobytes()
        assert entry.counts.tobytes() == second.entries[name].counts.tobytes()


def test_the_manifest_names_weight_and_share_of_each_class(tmp_path: Path) -> None:
    order = weighted_order(write_tiny_model(tmp_path / "tiny.gguf"), tmp_path, WHOLE)
    manifest = collect(order, silent)
    assert manifest.token_weighting is not None
    assert manifest.token_weighting.rules == class_rules()
    uses = manifest.token_weighting.classes
    assert {label: use.weight for label, use in uses.items()} == {"mathematics": 4.0, "science": 3.0, "other": 1.0}
    assert all(use.tokens > 50 for use in uses.values())
    assert uses["science"].share == uses["science"].tokens / manifest.n_tokens
    total = sum(use.weight * use.tokens for use in uses.values())
    assert uses["science"].weighted_share == pytest.approx(3 * uses["science"].tokens / total)
    path = ImatrixFiles(order.output_path).manifest
    assert load_manifest(path) == manifest
    row = read_json(path)
    del row["token_weighting"]
    write_json(path, row)
    assert load_manifest(path) == replace(manifest, token_weighting=None)  # an older manifest


def test_shares_worked_out_by_hand() -> None:
    # 10 tokens with weight 1 and 2 with weight 5: each class makes up half of the total.
    weighting = make_weighting("r", {"mathematics": 5.0, "other": 1.0}, {"mathematics": 2, "other": 10})
    assert weighting.classes == {
        "mathematics": ClassUse(5.0, 2, 2 / 12, 0.5),
        "other": ClassUse(1.0, 10, 10 / 12, 0.5),
    }


def test_weights_stay_with_their_chunks_when_shuffled(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    halves = []
    for name, content in (("words.txt", "the other thing " * 60), ("numbers.txt", "12345 67890 " * 60)):
        (tmp_path / name).write_text(content, encoding="utf-8")
        halves.append(CalibrationText(str(tmp_path / name), "of the file", 0.5))
    with Model(model, vocab_only=True) as vocabulary:
        made = make_chunks(vocabulary, halves, dataset_size=8 * CTX, ctx=CTX, rules=ChunkRules(1), token_weights=WHOLE)
        plain = make_chunks(vocabulary, halves, dataset_size=8 * CTX, ctx=CTX, rules=ChunkRules(1))
        has_digits = [any(b"1" in vocabulary.piece(token) for token in chunk) for chunk in made.chunks]
    assert made.chunks == plain.chunks
    assert plain.weights == (None,) * 8
    # BOS replaces the first token of each chunk, and has weight 1.
    assert all(weights is not None and weights[0] == 1 for weights in made.weights)
    assert [bool(weights is not None and weights.max() == 4) for weights in made.weights] == has_digits
    assert sorted(has_digits) == [False] * 4 + [True] * 4
    assert has_digits != sorted(has_digits)


def test_shards_and_interruptions_do_not_change_the_file(model: Path, tmp_path: Path) -> None:
    order = weighted_order(model, tmp_path, FRACTIONS)
    collect(order, silent)
    whole = Path(order.output_path).read_bytes()
    again = replace(order, output_path=str(tmp_path / "again.gguf"))
    for shard in (1, 0):
        collect_shard(again, shard, 2, silent)
    reported: list[int] = []
    collect(again, reported.append)
    assert reported == [20 * CTX]
    assert Path(again.output_path).read_bytes() == whole


def test_groups_with_different_weights_are_not_reused(model: Path, tmp_path: Path) -> None:
    order = weighted_order(model, tmp_path, WHOLE)
    collect_shard(order, 0, 1, silent)
    reported: list[int] = []
    collect(replace(order, token_weights=FRACTIONS), reported.append)
    assert reported == [CTX] * 20


@pytest.mark.parametrize("recipe", ["q4_k_m", "q2_k"])
def test_llama_quantize_gives_the_same_tensors(model: Path, tmp_path: Path, recipe: str) -> None:
    order = weighted_order(model, tmp_path, FRACTIONS)
    collect(order, silent)
    theirs = tmp_path / "theirs.gguf"
    run_program("llama-quantize", "--imatrix", order.output_path, model, theirs, recipe, 2)
    arm = arm_order(model, tmp_path, recipe, imatrix=order.output_path)
    make_arm(arm)
    assert tensor_data(Path(arm.output_path)) == tensor_data(theirs)


def test_llama_imatrix_reads_it_with_rounded_counts(model: Path, tmp_path: Path) -> None:
    order = weighted_order(model, tmp_path, FRACTIONS)
    collect(order, silent)
    theirs = tmp_path / "theirs.gguf"
    run_program("llama-imatrix", "-m", model, "--in-file", order.output_path, "-o", theirs)
    ours, read = read_imatrix(order.output_path), read_imatrix(theirs)
    assert ours.entries.keys() == read.entries.keys()
    importance, theirs_importance = (quantization_data(one, "x").importance for one in (ours, read))
    for name, entry in ours.entries.items():
        assert read.entries[name].counts.tolist() == np.rint(entry.counts).tolist()
        assert importance[name].tobytes() == theirs_importance[name].tobytes()


def test_an_incomplete_weighting_in_a_file_is_ignored(tmp_path: Path) -> None:
    order = weighted_order(write_tiny_model(tmp_path / "tiny.gguf"), tmp_path, WHOLE, n_chunks=1)
    collect(order, silent)
    matrix = read_imatrix(order.output_path)
    part = make_weighting("r", {"other": 1.0}, {"other": 1})
    write_imatrix(tmp_path / "part.gguf", replace(matrix, weighting=part), group_chunks=8)
    assert read_imatrix(tmp_path / "part.gguf").weighting is None
    assert asdict(matrix)["weighting"]["classes"]["science"]["weight"] == 3.0
