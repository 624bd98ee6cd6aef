"""Names are resolved to recipes: those of llama.cpp, of publishers, and custom ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.llama.overrides import NO_OVERRIDES, TypeOverrides
from actors.recipes import (
    ByteBudget,
    Recipe,
    check_custom_recipes,
    match_recipe_at_end,
    needs_imatrix,
    protected,
    resolve_recipe,
)
from conf.faults import BadInput
from conf.load import load, published_recipes
from conf.schema.protection import Protection, size_bytes
from conf.schema.recipes import RecipeSettings


def custom(**settings: Any) -> dict[str, RecipeSettings]:
    return {"mine": RecipeSettings.model_validate({"method": "q4_k_m"} | settings)}


def faults_of(recipes: dict[str, RecipeSettings]) -> str:
    with pytest.raises(BadInput) as caught:
        check_custom_recipes(recipes)
    return str(caught.value)


def test_a_plain_type_is_a_recipe_identified_by_its_name() -> None:
    recipe = resolve_recipe("Q4_K", {})
    assert recipe == Recipe("q4_k_m", "Q4_K_M", "q4_k_m", NO_OVERRIDES)
    assert recipe.identity == "q4_k_m"


@pytest.mark.parametrize(
    ("name", "label", "method", "kind"),
    [
        ("q4_k_l", "Q4_K_L", "q4_k_m", "q8_0"),
        ("Q5_K_L", "Q5_K_L", "q5_k_m", "q8_0"),
        ("q6_k_l", "Q6_K_L", "q6_k", "q8_0"),
        ("q3_k_xl", "Q3_K_XL", "q3_k_l", "q8_0"),
        ("iq4_xs_l", "IQ4_XS_L", "iq4_xs", "q8_0"),
        ("q4_k_m-fp16", "Q4_K_M-fp16", "q4_k_m", "f16"),
        ("q8_0-FP16", "Q8_0-fp16", "q8_0", "f16"),
    ],
)
def test_publishers_names_resolve_to_recipes(name: str, label: str, method: str, kind: str) -> None:
    recipe = resolve_recipe(name, {})
    assert recipe == Recipe(name.lower(), label, method, TypeOverrides(kind, kind))


def test_a_llama_cpp_type_wins_over_a_suffix_rule() -> None:
    assert resolve_recipe("q3_k_l", {}).overrides == NO_OVERRIDES


def test_published_recipes_are_valid() -> None:
    check_custom_recipes({f"{name}-copy": settings for name, settings in published_recipes().recipes.items()})
    for name in published_recipes().recipes:
        assert resolve_recipe(name, {}).name == name


@pytest.mark.parametrize("name", ["f16-fp16", "q8_0_l", "q4_k_m-fp8", "-fp16", "q4_k_n"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="--quantizations"):
        resolve_recipe(name, {})


def test_a_custom_recipe_is_suggested_as_a_near_name() -> None:
    with pytest.raises(BadInput, match="Did you mean 'mine'"):
        resolve_recipe("mne", custom())


def test_custom_recipes_keep_the_order_of_their_patterns() -> None:
    recipes = custom(output="Q6_K", embedding="q8_0", tensors={r"blk\.0\..*": "q8_0", "attn_v": "Q5_K"})
    check_custom_recipes(recipes)
    recipe = resolve_recipe("mine", recipes)
    assert recipe == Recipe(
        "mine", "MINE", "q4_k_m", TypeOverrides("q6_k", "q8_0", ((r"blk\.0\..*", "q8_0"), ("attn_v", "q5_k")))
    )
    assert recipe.identity == {
        "method": "q4_k_m",
        "output": "q6_k",
        "embedding": "q8_0",
        "tensors": [[r"blk\.0\..*", "q8_0"], ["attn_v", "q5_k"]],
    }


def test_bits_are_checked_but_change_nothing() -> None:
    assert resolve_recipe("mine", custom(method="q4_0", bits=4)).identity == "q4_0"
    assert "recipes.mine.bits: got 5; allowed: 4" in faults_of(custom(method="q4_0", bits=5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "q4_km"}, "'q4_k_m'"),
        ({"method": "f16"}, "a quantized llama.cpp type"),
        ({"output": "q80"}, "'q8_0'"),
        ({"embedding": "q4_k_m"}, "recipes.mine.embedding"),
        ({"tensors": {"blk.(": "q8_0"}}, "regular expression"),
        ({"tensors": {"blk": "q9_0"}}, "recipes.mine.tensors"),
    ],
)
def test_faults_in_custom_recipes_are_named(settings: dict[str, Any], message: str) -> None:
    assert message in faults_of(custom(**settings))


def test_all_faults_are_reported_at_once() -> None:
    message = faults_of(custom(method="nope", output="nope", tensors={"blk": "nope"}))
    assert all(part in message for part in ("mine.method", "mine.output", "mine.tensors"))


def test_a_level_makes_a_protected_recipe_and_its_control() -> None:
    plain = resolve_recipe("q4_k_m", {})
    made, control = protected(plain, Protection(level="high"))
    assert (made.name + made.suffix, made.file_label) == ("q4_k_m+phigh", "Q4_K_M-phigh")
    assert (control.name + control.suffix, control.file_label) == ("q4_k_m+phigh~plain", "Q4_K_M-phigh-plain")
    assert made.budget == ByteBudget("phigh", extra_bpw=0.5)
    assert len({str(one.identity) for one in (plain, made, control)}) == 3
    assert protected(plain, Protection(level="high", controls=False)) == (made,)
    assert protected(plain, Protection()) == (plain,)
    f16 = resolve_recipe("f16", {})
    assert protected(f16, Protection(level="max")) == (f16,)


def test_targets_appear_in_names() -> None:
    plain = resolve_recipe("q4_k_m", {})
    names = [
        protected(plain, Protection.model_validate(settings))[0].suffix
        for settings in ({"target_bpw": 4.5}, {"target_size": "4.2GiB"}, {"target_size": "900MiB"})
    ]
    assert names == ["+tbpw4.5", "+tsize4300.8MiB", "+tsize900MiB"]


def test_a_recipe_with_its_own_level_keeps_its_name_and_level() -> None:
    (recipe, control) = protected(
        resolve_recipe("mine", custom(method="q4_0", bits=4, protection="low")), Protection(level="max")
    )
    assert (recipe.suffix, control.suffix, control.file_label) == ("", "~plain", "MINE-plain")
    assert recipe.budget == ByteBudget("", extra_bpw=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "extreme"}, "'none', 'low', 'medium', 'high' or 'max'"),
        ({"level": "low", "target_bpw": 4.5}, "exclude each other"),
        ({"target_size": "4.2"}, "a size has a unit"),
        ({"target_size": "4.2 gallons"}, "a size has a unit"),
        ({"target_bpw": 0}, "greater than 0"),
    ],
)
def test_invalid_protection_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(None, {"models": [{"name": "m", "path": "/m.gguf"}], "protection": settings})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4.2GiB", 4_509_715_660), ("900 MiB", 943_718_400), ("4.5GB", 4_500_000_000), ("12kib", 12_288), ("7B", 7)],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("name", ["q4_k_m", "q4_k", "q4_k_l", "q4_0-fp16"])
def test_a_custom_recipe_cannot_reuse_a_known_name(name: str) -> None:
    assert "stand for something else" in faults_of({name: RecipeSettings(method="q4_0")})


def test_an_override_may_need_an_importance_matrix() -> None:
    assert not needs_imatrix(resolve_recipe("q4_k_l", {}))
    assert needs_imatrix(resolve_recipe("iq2_xxs-fp16", {}))
    assert needs_imatrix(resolve_recipe("mine", custom(tensors={"ffn_up": "iq2_s"})))


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        ("m-Q4_K_L", "Q4_K_L"),
        ("m.q4_k_m-fp16", "q4_k_m-fp16"),
        ("m-IQ4_XS_L", "IQ4_XS_L"),
        ("m-Q3_K_L", "Q3_K_L"),
        ("mq4_0", None),
        ("m-fp16", None),
    ],
)
def test_recipes_are_found_at_the_end_of_file_names(stem: str, found: str | None) -> None:
    match = match_recipe_at_end(stem)
    assert (match[1] if match else None) == found


def test_schema_faults_name_their_key(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("recipes: {mine: {method: q4_0, tensor: {a: q8_0}}, 'Not This': {method: q4_0}, bare: {}}\n")
    with pytest.raises(BadInput) as caught:
        load(path, {"models": [{"name": "m", "path": "/m.gguf"}]})
    faults = {fault.key: str(fault) for fault in caught.value.faults}
    assert "'tensors'" in faults["recipes.mine.tensor"]
    assert set(faults) == {"recipes.mine.tensor", "recipes.Not This", "recipes.bare.method"}
