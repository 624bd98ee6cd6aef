"""Several models in one plan: what is made of each, its reference, and the existing arms that belong to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inputs import SourceArm
from actors.orchestrator.sources.naming import arm_of_given_file, check_references, described_by, owners_of_arms
from actors.orchestrator.sources.recipes import resolve_recipes, with_canonical_types
from conf.faults import BadInput
from conf.schema.models import ModelEntry
from tests.orchestrator.small_plan import KINDS, MODEL, make_config, make_inputs, make_small_plan, sampled


def make_plan_of(root: Path, models: list[dict[str, Any]], arms: tuple[SourceArm, ...] = (), **values: Any) -> Plan:
    """Return a plan of models, each given by its entry in the configuration."""
    sources = tuple(dataclasses.replace(MODEL, name=model["name"], sha256=model["name"][0] * 64) for model in models)
    sizes = {(model.name, kind, False): 600 for model in sources for kind in KINDS}
    sizes |= {(model.name, kind, True): 600 for model in sources for kind in KINDS}
    inputs = make_inputs(
        models=sources, arms=arms, benchmarks={model.name: (sampled(),) for model in sources}, predicted_bytes=sizes
    )
    entries = [{"path": f"/{model['name']}", **model} for model in models]
    return make_small_plan(root, inputs=inputs, models=entries, **values)


def test_a_model_has_its_own_quantizations_and_its_own_reference(tmp_path: Path) -> None:
    plan = make_plan_of(
        tmp_path,
        [
            {"name": "a"},
            {"name": "b", "reference": "q8_0"},
            {"name": "c", "quantizations": ["q4_k_m"]},
            {"name": "d", "quantizations": "f16"},
            {"name": "e", "reference": "e~q8_0"},
        ],
        quantizations=["f16", "q8_0", "q4_k_m"],
    )
    assert {arm.name: arm.reference for arm in plan.arms} == {
        "a~f16": None,
        "a~q8_0": "a~f16",
        "a~q4_k_m": "a~f16",
        "b~f16": "b~q8_0",
        "b~q8_0": None,
        "b~q4_k_m": "b~q8_0",
        "c~q4_k_m": None,
        "d~f16": None,
        "e~f16": "e~q8_0",
        "e~q8_0": None,
        "e~q4_k_m": "e~q8_0",
    }
    assert [notice for notice in plan.notices if "one side only" in notice] == [
        "c has one side only (c~q4_k_m): it is shown, and not compared.",
        "d has one side only (d~f16): it is shown, and not compared.",
    ]
    assert not any("NOTHING IS COMPARED" in notice for notice in plan.notices)


def test_a_model_of_which_only_lossless_arms_are_made_needs_no_importance_matrix(tmp_path: Path) -> None:
    plan = make_plan_of(tmp_path, [{"name": "a"}, {"name": "b", "quantizations": ["f16"]}])
    assert [matrix.model for matrix in plan.imatrices] == ["a"]


def test_existing_arms_belong_to_the_model_that_is_named(tmp_path: Path) -> None:
    arms = (
        SourceArm("theirs", "/theirs.gguf", "d" * 64, 700, 4.5, "q4_k_m", model="b"),
        SourceArm("first", "/first.gguf", "e" * 64, 700, 4.5, "q4_k_m"),
    )
    plan = make_plan_of(tmp_path, [{"name": "a"}, {"name": "b"}], arms, quantizations=["f16"])
    assert [(arm.name, arm.model, arm.reference) for arm in plan.arms] == [
        ("a~f16", "a", None),
        ("first", "a", "a~f16"),
        ("b~f16", "b", None),
        ("theirs", "b", "b~f16"),
    ]


def test_the_owner_of_an_arm_is_named_or_stands_in_front_of_its_name() -> None:
    models = [{"name": name, "path": f"/{name}"} for name in ("a", "a~b", "c")]
    arms = [
        {"name": "x", "path": "/x"},
        {"name": "c~x", "path": "/x"},
        {"name": "a~b~x", "path": "/x"},
        {"name": "a~x", "path": "/x", "model": "c"},
    ]
    assert owners_of_arms(make_config(models=models, arms=arms)) == {"x": "a", "c~x": "c", "a~b~x": "a~b", "a~x": "c"}


def test_an_arm_of_an_unknown_model_is_bad_input() -> None:
    config = make_config(arms=[{"name": "x", "path": "/x", "model": "tinny"}])
    with pytest.raises(BadInput, match=r"--arm: got 'x of model tinny'; allowed: the name of a model \(tiny\).*tiny"):
        owners_of_arms(config)


@pytest.mark.parametrize(
    ("reference", "is_known"),
    [("q8_0", True), ("b~q8_0", True), ("theirs", True), ("b~theirs", False), ("q5_0", False), ("a~q8_0", False)],
)
def test_the_reference_of_a_model_is_one_of_its_own_arms(reference: str, is_known: bool) -> None:
    models = [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b", "reference": reference}]
    config = make_config(models=models, arms=[{"name": "theirs", "path": "/x", "model": "b"}])
    recipes = resolve_recipes(config)
    if is_known:
        check_references(config, recipes)
        return
    with pytest.raises(BadInput, match=r"models\.b\.reference: got .*allowed: one of the arms \(b~f16, b~q8_0"):
        check_references(config, recipes)


def test_aliases_of_types_are_replaced_in_the_entries_of_models_too() -> None:
    config = make_config(
        models=[{"name": "a", "path": "/a", "quantizations": "q4_k,q4_k_m"}, {"name": "b", "path": "/b"}]
    )
    config = with_canonical_types(config)
    assert config.models[0].quantizations == ("q4_k_m",)
    assert config.models[1].quantizations is None
    assert config.all_quantizations == ("q4_k_m", "f16", "q8_0")


def test_a_file_that_is_evaluated_as_it_is_is_an_arm_named_after_its_type(tiny_path: str, tmp_path: Path) -> None:
    entries = [{"name": "big", "path": tiny_path, "quantizations": [], "stage": "sft"}, {"name": "b", "path": "/b"}]
    config = make_config(models=entries)
    given = dataclasses.replace(MODEL, name="big", path=tiny_path, source_type="Q4_1")
    described = described_by(config.entry("big"), given)
    assert described.dequantized_from is None
    assert described.stage == "sft"
    arm = arm_of_given_file(config, described, HashCache(tmp_path))
    assert (arm.name, arm.model, arm.path) == ("big~q4_1", "big", tiny_path)
    assert arm.sha256
    assert described_by(ModelEntry(name="b", path="/b"), MODEL).dequantized_from == "Q4_1"


def test_the_reference_of_a_file_that_is_evaluated_as_it_is_may_be_that_file(tiny_path: str, tmp_path: Path) -> None:
    entry = {"name": "big", "path": tiny_path, "quantizations": []}
    model = dataclasses.replace(MODEL, name="big", path=tiny_path, source_type="Q8_0")
    fine = make_config(models=[{**entry, "reference": "q8_0"}])
    assert arm_of_given_file(fine, model, HashCache(tmp_path)).name == "q8_0"
    wrong = make_config(models=[{**entry, "reference": "q4_0"}])
    with pytest.raises(BadInput, match=r"models\.big\.reference: got 'q4_0'"):
        arm_of_given_file(wrong, model, HashCache(tmp_path))
