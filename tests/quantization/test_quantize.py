"""An arm is made completely or not at all: it is verified and described, and its manifest is written last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actors.errors import ConflictError, LlamaError
from actors.hashing import file_sha256
from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import read_header
from actors.llama.gguf_layout import read_layout
from actors.llama.overrides import TypeOverrides
from actors.llama.quantizer import plan_quantization, quantize
from actors.quantization import quantize as making
from actors.quantization.actor import QuantizationWorker
from actors.quantization.imatrix import collect
from actors.quantization.quantize import OverrideUse, load_manifest, make_arm
from actors.quantization.verify import verify
from actors.recipes import ByteBudget, Recipe, resolve_recipe
from actors.stored_files import ArmFiles, ImatrixFiles
from conf.faults import BadInput
from conf.files import read_json, write_json
from tests.llama_programs import run_program
from tests.quantization.orders import arm_order, imatrix_order
from tests.small_model import smollm2_path
from tests.tiny_model import TinyShape, write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="module")
def matrix(tiny: Path) -> str:
    order = imatrix_order(tiny, tiny.parent)
    collect(order, lambda tokens: None)
    return order.output_path


def tensor_data(path: Path) -> dict[str, bytes]:
    content = path.read_bytes()
    return {row.name: content[row.offset : row.offset + row.n_bytes] for row in read_layout(path).tensors}


def test_the_worker_makes_an_arm_with_manifest_and_log(tiny: Path, matrix: str, tmp_path: Path) -> None:
    order = arm_order(tiny, tmp_path, "q4_k_m", imatrix=matrix)
    manifest = QuantizationWorker().make_arm(order)
    files = ArmFiles.in_own_folder(order.output_path)
    assert load_manifest(files.manifest) == manifest
    assert manifest.sha256 == file_sha256(files.gguf)
    assert manifest.size_bytes == files.gguf.stat().st_size
    # The last of 2 blocks gets more bits for attn_v and ffn_down; so does the output (src/llama-quant.cpp).
    assert manifest.types == {"f32": 5, "q4_k": 13, "q6_k": 3}
    assert manifest.fallbacks.count == 0
    assert manifest.imatrix is not None
    assert set(manifest.imatrix.tensors_without_data) == {"token_embd.weight", "output.weight"}
    assert "quant size" in files.log.read_text(encoding="utf-8")
    header = read_header(files.gguf)
    assert (header.file_type, header.has_chat_template, header.name) == ("Q4_K_M", True, "Tiny")


@pytest.mark.parametrize("name", ["q4_k_m", "iq3_s", "auto"])
def test_the_file_does_not_depend_on_the_number_of_threads(tiny: Path, matrix: str, tmp_path: Path, name: str) -> None:
    recipe = Recipe("auto", "AUTO", "q4_k_m", budget=ByteBudget("t7", target_bpw=7.0)) if name == "auto" else name
    made = [
        make_arm(replace(arm_order(tiny, tmp_path / str(threads), recipe, imatrix=matrix), threads=threads))
        for threads in (1, 2, 4)
    ]
    assert len({manifest.sha256 for manifest in made}) == 1


def test_the_manifest_names_sources_and_durations(tiny: Path, matrix: str, tmp_path: Path) -> None:
    order = arm_order(tiny, tmp_path, "q4_k_m", imatrix=matrix)
    manifest = make_arm(order)
    assert manifest.imatrix is not None and manifest.imatrix.sha256 == file_sha256(matrix)
    calibration = manifest.imatrix.calibration
    assert calibration is not None
    assert (calibration.mix, calibration.n_tokens, calibration.ctx) == ("default", 512, 128)
    content = file_sha256(tiny.parent / "text.txt")
    assert [(text.name, text.sha256, text.n_chunks) for text in calibration.texts] == [("text.txt", content, 4)]
    assert {"quant_assay", "python", "gguf", "llama_cpp_python", "ggml", "cpu_features"} == set(manifest.versions)
    assert manifest.durations is not None and manifest.decodes is not None
    steps = (manifest.durations.quantize_s, manifest.durations.verify_s, manifest.durations.hash_s)
    assert min(steps) > 0
    assert sum(steps) <= manifest.seconds
    assert manifest.decodes.finite
    assert (len(manifest.decodes.tokens), manifest.decodes.prompt_tokens > 4) == (4, True)


def test_texts_are_unknown_for_a_matrix_without_its_own_manifest(tiny: Path, matrix: str, tmp_path: Path) -> None:
    alone = tmp_path / "alone.gguf"
    alone.write_bytes(Path(matrix).read_bytes())
    order = arm_order(tiny, tmp_path, "q4_k_m", imatrix=str(alone))
    without = make_arm(order)
    write_json(ImatrixFiles(alone).manifest, read_json(ImatrixFiles(matrix).manifest) | {"sha256": "of another file"})
    with_anothers = make_arm(order)
    for made in (without, with_anothers):
        assert made.imatrix is not None and made.imatrix.calibration is None


def test_a_file_that_loads_but_does_not_decode_is_refused(tmp_path: Path) -> None:
    """Every weight is finite, but the products are not: norms of 3e38 overflow in the first block."""
    model = write_tiny_model(tmp_path / "tiny.gguf", dtype="f32")
    with model.open("r+b") as file:
        for row in read_layout(model).tensors:
            if row.name.endswith("norm.weight"):
                file.seek(row.offset)
                file.write(np.full(256, 3e38, np.float32).tobytes())
    order = arm_order(model, tmp_path, "f32")
    with pytest.raises(ConflictError, match=r"does not decode.*not finite"):
        make_arm(order)
    assert not any(Path(order.output_path).parent.iterdir())


def test_fallbacks_of_a_real_model_are_counted(tmp_path: Path) -> None:
    manifest = make_arm(arm_order(smollm2_path(), tmp_path, "q4_k_m"))
    assert manifest.fallbacks.count == 180
    assert manifest.fallbacks.tensors_quantized == 211
    assert sum(manifest.fallbacks.by_type.values()) == 180
    assert len(manifest.fallbacks.names) == 20


@pytest.mark.parametrize("recipe", ["f16", "bf16", "f32"])
def test_lossless_arms_ignore_the_matrix(tiny: Path, matrix: str, tmp_path: Path, recipe: str) -> None:
    with_matrix = make_arm(arm_order(tiny, tmp_path / "with", recipe, imatrix=matrix))
    without = make_arm(arm_order(tiny, tmp_path / "without", recipe))
    assert with_matrix.imatrix is None
    assert with_matrix.sha256 == without.sha256


def test_the_matrix_changes_the_output(tiny: Path, matrix: str, tmp_path: Path) -> None:
    weighted = make_arm(arm_order(tiny, tmp_path / "with", "q4_k_m", imatrix=matrix))
    plain = make_arm(arm_order(tiny, tmp_path / "without", "q4_k_m"))
    assert weighted.types == plain.types
    assert weighted.sha256 != plain.sha256


def test_a_type_that_needs_a_matrix_is_refused_without_one(tiny: Path, matrix: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--imatrix.*iq2_xxs cannot be made without one"):
        make_arm(arm_order(tiny, tmp_path, "iq2_xxs"))
    assert make_arm(arm_order(tiny, tmp_path, "iq2_xxs", imatrix=matrix)).bits_per_weight < 4


def test_the_matrix_of_another_model_is_refused(matrix: str, tmp_path: Path) -> None:
    wider = write_tiny_model(tmp_path / "wider.gguf", shape=TinyShape(n_embd=512))
    with pytest.raises(BadInput, match="collected from this model"):
        make_arm(arm_order(wider, tmp_path, "q4_k_m", imatrix=matrix))


def test_a_failed_arm_leaves_neither_file_nor_manifest(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = arm_order(tiny, tmp_path, "q8_0")
    make_arm(order)

    def broken(*_arguments: object, **_more: object) -> None:
        raise LlamaError("llama.cpp cannot quantize")

    monkeypatch.setattr(making, "quantize", broken)
    with pytest.raises(LlamaError):
        make_arm(order)
    files = ArmFiles.in_own_folder(order.output_path)
    assert not files.manifest.exists()
    assert not list(files.gguf.parent.glob(".*.part"))


def test_a_file_of_another_type_than_planned_is_refused(tiny: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.gguf"
    quantize(tiny, made, resolve_type("q8_0"), imatrix=None, threads=1)
    source, q8_0, q4_0 = read_layout(tiny), resolve_type("q8_0"), resolve_type("q4_0")
    verify(made, source=source, plan=plan_quantization(tiny, q8_0, with_imatrix=False), quant_type=q8_0)
    with pytest.raises(ConflictError, match="not of the planned type"):
        verify(made, source=source, plan=plan_quantization(tiny, q4_0, with_imatrix=False), quant_type=q4_0)


def test_a_changed_chat_template_is_refused(tiny: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other.gguf", chat_template="{{ messages[0]['content'] }}")
    kind = resolve_type("f16")
    plan = plan_quantization(tiny, kind, with_imatrix=False)
    with pytest.raises(ConflictError, match=r"tokenizer\.chat_template"):
        verify(other, source=read_layout(tiny), plan=plan, quant_type=kind)


@pytest.mark.parametrize("recipe", ["q4_k_m", "q2_k_s"])
def test_tensors_made_with_a_matrix_match_llama_quantize(tiny: Path, matrix: str, tmp_path: Path, recipe: str) -> None:
    order = arm_order(tiny, tmp_path, recipe, imatrix=matrix)
    theirs = tmp_path / "theirs.gguf"
    run_program("llama-quantize", "--imatrix", matrix, tiny, theirs, recipe, 2)
    make_arm(order)
    assert tensor_data(Path(order.output_path)) == tensor_data(theirs)


def test_metadata_matches_llama_quantize_key_by_key(tiny: Path, matrix: str, tmp_path: Path) -> None:
    order = arm_order(tiny, tmp_path, "q4_k_m", imatrix=matrix)
    theirs = tmp_path / "theirs.gguf"
    run_program("llama-quantize", "--imatrix", matrix, tiny, theirs, "q4_k_m", 2)
    make_arm(order)
    ours, other = read_layout(Path(order.output_path)), read_layout(theirs)
    assert list(ours.raw) == list(other.raw)
    # llama-quantize writes its local folders into the file; we write only the name.
    different = {key for key in ours.raw if ours.raw[key] != other.raw[key]}
    assert different == {"quantize.imatrix.file"}
    assert ours.metadata["quantize.imatrix.file"] == Path(str(other.metadata["quantize.imatrix.file"])).name


def test_an_older_matrix_has_the_same_effect_as_in_llama_quantize(tiny: Path, tmp_path: Path) -> None:
    imatrix_order(tiny, tmp_path)
    older, theirs = tmp_path / "m.dat", tmp_path / "theirs.gguf"
    arguments = ("-m", tiny, "-f", tmp_path / "text.txt", "-o", older, "--output-format", "dat", "--no-ppl", "-nr")
    run_program("llama-imatrix", *arguments, "--chunks", 4, "-c", 512, "-t", 1)
    run_program("llama-quantize", "--imatrix", older, tiny, theirs, "q4_k_m", 2)
    order = arm_order(tiny, tmp_path, "q4_k_m", imatrix=str(older))
    make_arm(order)
    assert tensor_data(Path(order.output_path)) == tensor_data(theirs)


def test_the_manifest_describes_each_override(tiny: Path, matrix: str, tmp_path: Path) -> None:
    recipe = Recipe("mine", "MINE", "q4_k_m", TypeOverrides("q6_k", "q8_0", ((r"blk\.0\..*", "q8_0"),)))
    order = arm_order(tiny, tmp_path, recipe, imatrix=matrix)
    manifest = make_arm(order)
    assert (manifest.recipe, manifest.method, manifest.file) == ("mine", "q4_k_m", "tiny-MINE.gguf")
    assert set(manifest.overrides) == {
        OverrideUse("output", "q6_k", 1, 0, 0),
        OverrideUse("embedding", "q8_0", 1, 0, 0),
        OverrideUse(r"blk\.0\..*", "q8_0", 7, 0, 2),
    }
    assert load_manifest(ArmFiles.in_own_folder(order.output_path).manifest) == manifest


def test_fallbacks_of_an_override_are_counted(tmp_path: Path) -> None:
    recipe = Recipe("mine", "MINE", "q8_0", TypeOverrides(tensors=(("ffn_up", "q6_k"), ("attn_v", "q5_k"))))
    manifest = make_arm(arm_order(smollm2_path(), tmp_path, recipe))
    assert set(manifest.overrides) == {OverrideUse("ffn_up", "q6_k", 0, 30, 0), OverrideUse("attn_v", "q5_k", 0, 30, 0)}
    assert manifest.fallbacks.by_type == {"q5_1": 30, "q8_0": 30}


def test_a_manifest_from_before_recipes_can_be_read(tiny: Path, tmp_path: Path) -> None:
    order = arm_order(tiny, tmp_path, "q4_k_m")
    made = make_arm(order)
    path = ArmFiles.in_own_folder(order.output_path).manifest
    row = read_json(path)
    del row["method"], row["overrides"], row["durations"], row["decodes"]
    write_json(path, row)
    assert load_manifest(path) == replace(made, durations=None, decodes=None)


def test_a_tensor_of_another_type_than_ordered_is_refused(tiny: Path, tmp_path: Path) -> None:
    made, kind = tmp_path / "made.gguf", resolve_type("q4_k_m")
    quantize(tiny, made, kind, imatrix=None, threads=1)
    plan = plan_quantization(tiny, kind, with_imatrix=False)
    for recipe in ("q4_k_l", "q4_k_m-fp16"):
        overrides = resolve_recipe(recipe, {}).overrides
        with pytest.raises(ConflictError, match=r"but the recipe orders (Q8_0|F16) \((output|embedding)\)"):
            verify(made, source=read_layout(tiny), plan=plan, quant_type=kind, overrides=overrides)


@pytest.mark.parametrize(("name", "method", "kind"), [("q4_k_l", "q4_k_m", "q8_0"), ("iq2_xxs-fp16", "iq2_xxs", "f16")])
def test_recipes_made_with_a_matrix_match_llama_quantize(
    tiny: Path, matrix: str, tmp_path: Path, name: str, method: str, kind: str
) -> None:
    order = arm_order(tiny, tmp_path, resolve_recipe(name, {}), imatrix=matrix)
    theirs = tmp_path / "theirs.gguf"
    arguments = ("--imatrix", matrix, "--output-tensor-type", kind, "--token-embedding-type", kind)
    run_program("llama-quantize", *arguments, tiny, theirs, method, 2)
    make_arm(order)
    assert tensor_data(Path(order.output_path)) == tensor_data(theirs)
