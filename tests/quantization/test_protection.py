"""Bytes go where they reduce the measured error most. The control arm gets the same number of bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.llama.gguf_layout import read_layout
from actors.orchestrator.sources.recipes import predict_size
from actors.quantization.imatrix import collect
from actors.quantization.quantize import ArmManifest, load_manifest, make_arm
from actors.recipes import Recipe, protected, resolve_recipe
from actors.stored_files import ArmFiles
from conf.faults import BadInput
from conf.files import read_json
from conf.schema.protection import Protection
from conf.schema.recipes import RecipeSettings
from tests.quantization.orders import arm_order, imatrix_order
from tests.small_model import smollm2_path
from tests.split_gguf import split_gguf
from tests.tiny_model import TinyShape, write_tiny_model


def silent(tokens: int) -> None:
    """Ignore the reported tokens."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="module")
def matrix(tiny: Path) -> str:
    order = imatrix_order(tiny, tiny.parent)
    collect(order, silent)
    return order.output_path


def make(model: Path, folder: Path, recipe: Recipe, imatrix: str | None) -> tuple[ArmManifest, ArmFiles]:
    order = replace(arm_order(model, folder, recipe, imatrix=imatrix), measured_path=str(folder / "errors.json"))
    order = replace(order, output_path=str(folder / recipe.file_label / f"tiny-{recipe.file_label}.gguf"))
    manifest = make_arm(order)
    files = ArmFiles.in_own_folder(order.output_path)
    assert load_manifest(files.manifest) == manifest
    return manifest, files


def types_of(files: ArmFiles) -> dict[str, str]:
    return {tensor.name: tensor.type for tensor in read_layout(files.gguf).tensors}


@pytest.mark.parametrize("method", ["q4_k_m", "q5_0", "iq3_m", "q8_0"])
def test_a_level_has_less_error_than_its_control_of_equal_size(
    tiny: Path, matrix: str, tmp_path: Path, method: str
) -> None:
    plain = resolve_recipe(method, {})
    base, _ = make(tiny, tmp_path, plain, matrix)
    (made, files), (control, _) = (
        make(tiny, tmp_path, recipe, matrix) for recipe in protected(plain, Protection(level="max"))
    )
    use, other = made.budget, control.budget
    assert base.budget is None and use is not None and other is not None
    assert use.predicted_error is not None and use.predicted_error_base is not None
    assert use.predicted_error_control is not None and use.bound is not None
    assert use.bound <= use.predicted_error <= use.predicted_error_control <= use.predicted_error_base
    assert use.spent_bytes <= use.budget_bytes and use.lowered == 0 < use.raised
    assert made.size_bytes > base.size_bytes
    assert other.predicted_error is None and other.measuring_seconds is None
    # The table beside the manifest matches the types in the file.
    table = {row["tensor"]: row for row in read_json(files.allocation)["tensors"]}
    found = types_of(files)
    assert {name: row["type"].upper() for name, row in table.items()} == {name: found[name] for name in table}
    assert made.bits_per_weight - base.bits_per_weight == pytest.approx(use.added_bpw, abs=1e-3)


def test_a_protected_arm_and_its_control_have_the_predicted_size(tmp_path: Path) -> None:
    # Enough layers that one step is small compared with the whole file.
    model = write_tiny_model(tmp_path / "deep.gguf", shape=TinyShape(n_layers=16))
    for method, rel in (("q4_k_m", 0.002), ("q8_0", 0.005)):
        recipes = protected(resolve_recipe(method, {}), Protection(level="medium"))
        made, control = (make(model, tmp_path, recipe, None)[0].size_bytes for recipe in recipes)
        predicted = predict_size(str(model), recipes[0], with_imatrix=False)
        assert (made, control) == pytest.approx((predicted, predicted), rel=rel)


def test_the_predicted_size_of_a_real_model_with_short_rows_includes_the_budget() -> None:
    path = smollm2_path()
    (recipe, _) = protected(resolve_recipe("q4_k_m", {}), Protection(level="high"))
    plain = predict_size(str(path), replace(recipe, budget=None), with_imatrix=True)
    predicted = predict_size(str(path), recipe, with_imatrix=True)
    # 134,515,008 weights with half a bit each.
    assert predicted - plain == pytest.approx(134_515_008 / 16, abs=8)


def test_known_errors_are_not_measured_again(tiny: Path, matrix: str, tmp_path: Path) -> None:
    (recipe,) = protected(resolve_recipe("q4_k_m", {}), Protection(level="low", controls=False))
    first, _ = make(tiny, tmp_path, recipe, matrix)
    (higher,) = protected(resolve_recipe("q4_k_m", {}), Protection(level="max", controls=False))
    second, _ = make(tiny, tmp_path, higher, matrix)
    assert first.budget is not None and second.budget is not None
    assert first.budget.measuring_seconds and second.budget.measuring_seconds == 0
    assert (second.budget.predicted_error or 1) < (first.budget.predicted_error or 0)


def test_the_same_order_gives_the_same_bytes(tiny: Path, matrix: str, tmp_path: Path) -> None:
    for recipe in protected(resolve_recipe("q4_k_m", {}), Protection(level="high")):
        made, _ = make(tiny, tmp_path / "one", recipe, matrix)
        again, _ = make(tiny, tmp_path / "two", recipe, matrix)
        assert made.sha256 == again.sha256


def test_a_split_model_has_the_same_errors_as_the_whole_one(tiny: Path, matrix: str, tmp_path: Path) -> None:
    (recipe, _) = protected(resolve_recipe("q4_k_m", {}), Protection(level="high"))
    parts = split_gguf(tiny, tmp_path, 3)
    whole, _ = make(tiny, tmp_path / "whole", recipe, matrix)
    split, _ = make(parts[0], tmp_path / "parts", recipe, matrix)
    assert whole.budget is not None and split.budget is not None
    assert split.budget.predicted_error == whole.budget.predicted_error
    assert split.types == whole.types


def test_a_target_is_met_and_may_be_smaller_than_the_method(tiny: Path, matrix: str, tmp_path: Path) -> None:
    recipe, control = protected(resolve_recipe("q4_k_m", {}), Protection(target_bpw=4.0))
    made, _ = make(tiny, tmp_path, recipe, matrix)
    assert made.budget is not None and made.budget.lowered > 0 > made.budget.added_bpw
    assert 3.8 < made.bits_per_weight <= 4.0
    beside, _ = make(tiny, tmp_path, control, matrix)
    assert beside.budget is not None and beside.bits_per_weight <= 4.0
    size = made.size_bytes + 5000
    (by_size,) = protected(resolve_recipe("q4_k_m", {}), Protection(target_size=size, controls=False))
    sized, _ = make(tiny, tmp_path, by_size, matrix)
    assert 0.97 * size < sized.size_bytes <= size


@pytest.mark.parametrize(
    ("settings", "flag"), [({"target_bpw": 1.0}, "--target-bpw"), ({"target_size": "100KiB"}, "--target-size")]
)
def test_a_target_out_of_reach_names_the_smallest_one(tiny: Path, settings: dict[str, object], flag: str) -> None:
    (recipe, _) = protected(resolve_recipe("q4_k_m", {}), Protection.model_validate(settings))
    with pytest.raises(BadInput, match=rf"{flag}.*at least") as caught:
        predict_size(str(tiny), recipe, with_imatrix=True)
    least = caught.value.faults[0].allowed.split()[2]
    key = flag[2:].replace("-", "_")
    (fits, _) = protected(resolve_recipe("q4_k_m", {}), Protection.model_validate({key: least}))
    predict_size(str(tiny), fits, with_imatrix=True)


def test_types_set_by_the_recipe_do_not_change(tiny: Path, matrix: str, tmp_path: Path) -> None:
    custom = {
        "custom_q4": RecipeSettings(
            method="q4_0", bits=4, protection="max", output="q8_0", tensors={r"blk\.0\.ffn_up": "q4_1"}
        )
    }
    recipe, _ = protected(resolve_recipe("custom_q4", custom), Protection())
    made, files = make(tiny, tmp_path, recipe, matrix)
    found = types_of(files)
    assert (made.recipe, files.gguf.name) == ("custom_q4", "tiny-CUSTOM_Q4.gguf")
    assert (found["output.weight"], found["blk.0.ffn_up.weight"]) == ("Q8_0", "Q4_1")
    assert made.budget is not None and made.budget.raised > 0
    assert {use.by for use in made.overrides} == {"output", r"blk\.0\.ffn_up"}
    # A method with blocks of 32 gets no other quantized types.
    assert set(made.types) <= {"f32", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "f16"}


def test_experts_are_measured_and_get_types(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "experts.gguf", shape=TinyShape(n_experts=4))
    order = imatrix_order(model, tmp_path)
    collect(order, silent)
    (recipe, _) = protected(resolve_recipe("q4_k_m", {}), Protection(level="high"))
    made, files = make(model, tmp_path, recipe, order.output_path)
    assert made.budget is not None and made.budget.raised > 0
    rows = {row["tensor"]: row for row in read_json(files.allocation)["tensors"]}
    assert rows["blk.0.ffn_up_exps.weight"]["rows"] == 4 * 512
