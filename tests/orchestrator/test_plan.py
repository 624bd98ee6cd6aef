"""The plan: names, keys, blocks, cells and seed groups."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.items import Generate, Item, TemplateUse
from actors.llama.overrides import TypeOverrides
from actors.orchestrator.plan import Plan, PlannedImatrix
from actors.orchestrator.planning.blocks import seed_groups
from actors.orchestrator.planning.matrices import plan_imatrix
from actors.orchestrator.sources.inputs import SourceArm, SourceImatrix, TemplateUses
from actors.orders import THINKING_VERSION, Endpoint
from actors.quantization_orders import CalibrationText
from actors.recipes import Recipe, protected, resolve_recipe
from actors.store import RunDirectory
from conf.faults import BadInput
from conf.schema.pipeline import PipelineConfig
from conf.schema.protection import Protection, TokenWeights
from conf.schema.recipes import RecipeSettings
from tests.orchestrator.small_plan import (
    KINDS,
    MODEL,
    deterministic,
    make_config,
    make_inputs,
    make_small_plan,
    modified,
    sampled,
)


def test_the_reference_of_a_quantized_source_is_f16_and_names_the_source_type(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    assert [(arm.name, arm.reference, arm.dequantized_from) for arm in plan.arms] == [
        ("f16", None, "Q4_1"),
        ("q8_0", "f16", "Q4_1"),
        ("q4_k_m", "f16", "Q4_1"),
    ]


def test_only_types_that_use_an_imatrix_wait_for_it(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    assert {arm.name: bool(arm.needs) for arm in plan.arms} == {"f16": False, "q8_0": False, "q4_k_m": True}
    assert plan.arm("q8_0").imatrix is None


def test_no_imatrix_is_collected_if_no_arm_uses_it(tmp_path: Path) -> None:
    assert make_small_plan(tmp_path, quantizations=["f16", "q8_0"]).imatrices == ()


def test_the_imatrix_of_a_quantized_model_is_collected_on_its_dequantized_reference(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    (imatrix,) = plan.imatrices
    assert (imatrix.order.model_path, imatrix.needs) == (plan.arm("f16").gguf_path, (plan.arm("f16").unit,))


def test_the_imatrix_of_an_unquantized_model_is_collected_on_the_model_itself(tmp_path: Path) -> None:
    whole = dataclasses.replace(MODEL, source_type="F16", dequantized_from=None)
    (imatrix,) = make_small_plan(tmp_path, inputs=make_inputs(models=(whole,))).imatrices
    assert (imatrix.order.model_path, imatrix.needs) == (MODEL.path, ())


def test_with_a_second_imatrix_each_lossy_type_is_made_again_under_the_name_of_that_imatrix(tmp_path: Path) -> None:
    texts = (CalibrationText("/text", "b" * 64, 1.0),)
    sources = (SourceImatrix("default", texts=texts), SourceImatrix("none"))
    plan = make_small_plan(tmp_path, inputs=make_inputs(imatrices=sources), imatrix=["default", "none"])
    assert [arm.name for arm in plan.arms] == ["f16", "q8_0", "q4_k_m", "q4_k_m+none"]
    assert plan.arm("q4_k_m+none").imatrix is None
    assert plan.arm("q4_k_m+none").key_hash != plan.arm("q4_k_m").key_hash


def test_with_several_models_arms_have_model_names_and_each_model_has_a_reference(tmp_path: Path) -> None:
    other = dataclasses.replace(MODEL, name="other", sha256="c" * 64)
    inputs = make_inputs(
        models=(MODEL, other),
        benchmarks={"tiny": (sampled(),), "other": (sampled(),)},
        predicted_bytes={(name, kind, False): 600 for name in ("tiny", "other") for kind in ("f16", "q8_0")},
    )
    models = [{"name": "tiny", "path": "/a"}, {"name": "other", "path": "/b"}]
    plan = make_small_plan(tmp_path, inputs=inputs, models=models, quantizations=["f16", "q8_0"])
    assert [(arm.name, arm.reference) for arm in plan.arms] == [
        ("tiny~f16", None),
        ("tiny~q8_0", "tiny~f16"),
        ("other~f16", None),
        ("other~q8_0", "other~f16"),
    ]


def test_without_a_lossless_arm_no_arm_has_a_reference(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path, quantizations=["q8_0", "q4_k_m"])
    assert {arm.reference for arm in plan.arms} == {None}


def test_an_existing_gguf_is_an_arm_that_nobody_has_to_make(tmp_path: Path) -> None:
    arm = SourceArm("published", "/x.gguf", "d" * 64, 700, 4.5, "q4_k_m")
    planned = make_small_plan(tmp_path, inputs=make_inputs(arms=(arm,))).arm("published")
    assert (planned.unit, planned.order, planned.reference, planned.gguf_path) == (None, None, "f16", "/x.gguf")


def test_blocks_cover_every_item_once_and_the_last_block_is_shorter(tmp_path: Path) -> None:
    blocks = [block for block in make_small_plan(tmp_path).blocks if (block.arm, block.benchmark) == ("f16", "asked")]
    assert [(block.first, block.n_items, block.seeds) for block in blocks] == [(0, 32, (0, 1, 2)), (32, 8, (0, 1, 2))]
    assert [Path(block.records_path).name for block in blocks] == ["00000-32.g0.jsonl", "00032-8.g0.jsonl"]


def test_a_deterministic_benchmark_has_one_cell_per_arm_for_any_number_of_runs(tmp_path: Path) -> None:
    cells = [(cell.benchmark, cell.seed) for cell in make_small_plan(tmp_path).cells if cell.arm == "f16"]
    assert cells == [("asked", 0), ("asked", 1), ("asked", 2), ("chosen", 0)]


def test_the_key_does_not_depend_on_runs_limit_or_workers(tmp_path: Path) -> None:
    def keys(**values: object) -> set[str]:
        return {directory.path for directory in make_small_plan(tmp_path, **values).directories}

    assert keys() == keys(runs=5, limit=7, execution={"max_workers": 4, "attempts": 5})


@pytest.mark.parametrize(
    "values",
    [{"layout": {"threads": 7}}, {"layout": {"n_batch": 512}}, {"sampling": {"temperature": 0.1}}],
)
def test_the_key_changes_with_settings_that_change_the_output(tmp_path: Path, values: dict[str, object]) -> None:
    changed = make_small_plan(tmp_path, **values)
    asked = {d.path for d in changed.directories if d.benchmark == "asked"}
    assert asked.isdisjoint(d.path for d in make_small_plan(tmp_path).directories)


@pytest.mark.parametrize("changes", [{"sequences": 8}, {"unified": False}, {"share_prefixes": False}])
def test_the_key_changes_with_the_layout_of_the_kv_cache(tmp_path: Path, changes: dict[str, Any]) -> None:
    other = modified(deterministic(), **changes)
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (sampled(), other)}))
    same = {d.path for d in plan.directories} & {d.path for d in make_small_plan(tmp_path).directories}
    assert {Path(path).name.split(".")[0] for path in same} == {"asked"}


def test_sampling_does_not_change_the_key_of_a_likelihood_benchmark(tmp_path: Path) -> None:
    def chosen(**values: object) -> list[str]:
        return [d.path for d in make_small_plan(tmp_path, **values).directories if d.benchmark == "chosen"]

    assert chosen() == chosen(sampling={"temperature": 0.1})


def test_a_changed_data_set_changes_the_key(tmp_path: Path) -> None:
    other = modified(deterministic(), data_hash="d3")
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (sampled(), other)}))
    before = {d.path for d in make_small_plan(tmp_path).directories if d.benchmark == "chosen"}
    assert before.isdisjoint(d.path for d in plan.directories)


def test_more_runs_add_a_second_seed_group_and_keep_the_first(tmp_path: Path) -> None:
    first = make_small_plan(tmp_path)
    known = {directory.path: directory.seed_groups for directory in first.directories}
    second = make_small_plan(tmp_path, known=known, runs=5)
    assert {block.records_path for block in first.blocks} < {block.records_path for block in second.blocks}
    asked = next(d for d in second.directories if d.benchmark == "asked")
    assert asked.seed_groups == ((0, 1, 2), (3, 4))


def test_other_seeds_get_separate_files(tmp_path: Path) -> None:
    first = make_small_plan(tmp_path)
    known = {directory.path: directory.seed_groups for directory in first.directories}
    second = make_small_plan(tmp_path, known=known, seed=10)
    asked = {block.records_path for block in first.blocks if block.benchmark == "asked"}
    assert asked.isdisjoint(block.records_path for block in second.blocks)
    assert {block.seeds for block in second.blocks if block.benchmark == "asked"} == {(10, 11, 12)}


def test_fewer_runs_read_the_same_files(tmp_path: Path) -> None:
    first = make_small_plan(tmp_path)
    known = {directory.path: directory.seed_groups for directory in first.directories}
    second = make_small_plan(tmp_path, known=known, runs=2)
    assert {block.records_path for block in second.blocks} == {block.records_path for block in first.blocks}
    assert [cell.seed for cell in second.cells if (cell.arm, cell.benchmark) == ("f16", "asked")] == [0, 1]


@given(
    known=st.integers(0, 6),
    base=st.integers(0, 3),
    runs=st.integers(1, 8),
)
def test_seed_groups_cover_every_wanted_seed_exactly_once(known: int, base: int, runs: int) -> None:
    wanted = range(base, base + runs)
    groups = seed_groups([tuple(range(known))] if known else [], wanted)
    seeds = [seed for group in groups for seed in group]
    assert set(wanted) <= set(seeds)
    assert len(seeds) == len(set(seeds))


def test_the_same_input_gives_the_same_plan(tmp_path: Path) -> None:
    assert make_small_plan(tmp_path) == make_small_plan(tmp_path)


def plan_with(tmp_path: Path, *recipes: Recipe) -> Plan:
    by_name = {recipe.name: (recipe,) for recipe in recipes}
    sizes = {("tiny", name, weighted): 600 for name in by_name for weighted in (False, True)}
    inputs = make_inputs(recipes=by_name, predicted_bytes=sizes)
    return make_small_plan(tmp_path, inputs=inputs, quantizations=list(by_name))


def test_arms_and_files_are_named_after_recipes_as_publishers_do(tmp_path: Path) -> None:
    names = ("q4_k_l", "q4_k_m-fp16", "q4_k_m")
    plan = plan_with(tmp_path, *(resolve_recipe(name, {}) for name in names))
    assert [arm.name for arm in plan.arms] == list(names)
    files = [Path(arm.gguf_path).name for arm in plan.arms]
    assert files == ["tiny-Q4_K_L.gguf", "tiny-Q4_K_M-fp16.gguf", "tiny-Q4_K_M.gguf"]


def test_the_key_of_a_plain_type_holds_only_its_name(tmp_path: Path) -> None:
    order = make_small_plan(tmp_path).arm("q4_k_m").order
    assert order is not None
    assert order.key["recipe"] == "q4_k_m"


def test_the_key_holds_the_content_of_a_recipe_and_not_its_name(tmp_path: Path) -> None:
    own = {
        "mine": RecipeSettings(method="q4_k_m", output="q8_0", embedding="q8_0"),
        "other": RecipeSettings(method="q4_k_m", output="q8_0", embedding="q6_k"),
        "plain": RecipeSettings(method="q4_k_m"),
    }
    names = ("mine", "q4_k_l", "other", "plain", "q4_k_m")
    keys = {arm.name: arm.key_hash for arm in plan_with(tmp_path, *(resolve_recipe(name, own) for name in names)).arms}
    assert keys["mine"] == keys["q4_k_l"]
    assert keys["plain"] == keys["q4_k_m"]
    assert len(set(keys.values())) == 3


def test_protected_arms_and_their_controls_have_distinct_names_keys_and_files(tmp_path: Path) -> None:
    plain = {name: resolve_recipe(name, {}) for name in ("f16", "q8_0", "q4_k_m")}
    made = {name: protected(recipe, Protection(level="high")) for name, recipe in plain.items()}
    sizes = {
        ("tiny", one.name + one.suffix, weighted): 600
        for both in made.values()
        for one in both
        for weighted in (False, True)
    }
    texts = (CalibrationText("/text", "b" * 64, 1.0),)
    sources = (SourceImatrix("default", texts=texts), SourceImatrix("none"))
    plan = make_small_plan(tmp_path, inputs=make_inputs(recipes=made, predicted_bytes=sizes, imatrices=sources))
    own = ["f16", "q8_0+phigh", "q8_0+none+phigh", "q8_0+phigh~plain", "q8_0+none+phigh~plain"]
    assert [arm.name for arm in plan.arms[:5]] == own
    files = {arm.name: Path(arm.gguf_path).name for arm in plan.arms}
    assert files["q4_k_m+phigh~plain"] == "tiny-Q4_K_M-phigh-plain.gguf"
    assert {arm.reference for arm in plan.arms} == {None, "f16"}
    assert len({arm.key_hash for arm in plan.arms}) == len(plan.arms) == 9
    # q8_0 itself never uses the matrix, but the control allots its bytes by it.
    assert plan.arm("q8_0+phigh~plain").needs
    # Only protected arms weight tokens by their class.
    assert [(one.mix, one.order.token_weights is not None) for one in plan.imatrices] == [
        ("default", False),
        ("default+weighted", True),
    ]
    assert plan.arm("q4_k_m+phigh").imatrix == "default+weighted"
    assert plan.arm("q4_k_m+phigh~plain").imatrix == "default"
    orders = [arm.order for arm in plan.arms if arm.order]
    measured = {order.arm: order.measured_path for order in orders}
    assert measured["q4_k_m+phigh"] == measured["q8_0+phigh"] != measured["q4_k_m+none+phigh"]
    assert measured["f16"] is None


def test_a_recipe_with_an_override_that_uses_an_imatrix_waits_for_it(tmp_path: Path) -> None:
    q8_0, f16 = Recipe("a", "A", "q8_0", TypeOverrides(output="q6_k")), Recipe("b", "B", "q8_0", TypeOverrides("f16"))
    plan = plan_with(tmp_path, q8_0, f16)
    assert [bool(arm.needs) for arm in plan.arms] == [True, False]


def _as_chat(item: Item) -> Item:
    assert isinstance(item.task, Generate)
    return dataclasses.replace(item, task=dataclasses.replace(item.task, chat=True))


def test_only_the_keys_of_chats_hold_the_chat_template(tmp_path: Path) -> None:
    chat = sampled()
    chat = modified(chat, items=tuple(_as_chat(item) for item in chat.items))
    made = [
        make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (chat, deterministic())}, **more))
        for more in ({}, {"template_uses": TemplateUses({"tiny": TemplateUse("x")})})
    ]
    (asked, chosen), (other_asked, other_chosen) = (
        [directory.key for directory in plan.directories if directory.arm == "f16"] for plan in made
    )
    assert chosen == other_chosen and asked != other_asked and made[1].arm("f16").template_use == TemplateUse("x")


def test_only_the_keys_of_chats_hold_how_an_arm_thinks(tmp_path: Path) -> None:
    chat = sampled()
    chat = modified(chat, items=tuple(_as_chat(item) for item in chat.items))
    uses = [None, TemplateUse("x"), TemplateUse(thinking="off"), TemplateUse(thinking_tokens=9)]
    keys, costs = [], []
    for use in uses:
        given = TemplateUses({"tiny": use} if use else {})
        inputs = make_inputs(benchmarks={"tiny": (chat, deterministic())}, template_uses=given)
        plan = make_small_plan(tmp_path, inputs=inputs)
        keys.append([directory.key for directory in plan.directories if directory.arm == "f16"])
        costs.append(max(block.most_generated for block in plan.blocks))
    assert [key[0].get("thinking") for key in keys] == [
        None,
        None,
        {"version": THINKING_VERSION, "thinking": "off", "arguments": {}, "tokens": 0},
        {"version": THINKING_VERSION, "thinking": "template", "arguments": {}, "tokens": 9},
    ]
    assert all(key[1] == keys[0][1] for key in keys)
    assert costs[0] == costs[1] == costs[2] < costs[3]


def test_an_endpoint_is_an_arm_without_a_file_and_the_key_of_its_records_holds_its_model(tmp_path: Path) -> None:
    def planned(model: str, **asked: int) -> Plan:
        endpoint = Endpoint("http://host/v1", model, **({"concurrency": 8, "timeout_s": 60, "attempts": 5} | asked))
        url = f"http://host/v1#{model}"
        arm = SourceArm("gptq", url, endpoint=endpoint)
        return make_small_plan(tmp_path, inputs=make_inputs(arms=(arm,)))

    plan = planned("m")
    arm = plan.arm("gptq")
    assert (arm.reference, arm.predicted_bytes, arm.order, arm.unit) == ("f16", 0, None, None)
    (key, *_) = [directory.key for directory in plan.directories if directory.arm == "gptq"]
    assert (key["engine"], key["layout"]) == ("openai", None)
    # Another model is another arm. Concurrency and attempts change no answer.
    paths = [
        [one.path for one in made.directories if one.arm == "gptq"]
        for made in (plan, planned("m", concurrency=1, attempts=2), planned("other"))
    ]
    assert paths[0] == paths[1] and not set(paths[0]) & set(paths[2])


def test_a_weighted_matrix_is_a_second_matrix_of_the_same_mix(tmp_path: Path) -> None:
    inputs, run = make_inputs(), RunDirectory(tmp_path / "p")
    config = make_config(protection={"token_weights": {"mathematics": 7}})

    def planned(config: PipelineConfig, *, weighted: bool) -> PlannedImatrix:
        return plan_imatrix(config, run, inputs, MODEL, inputs.imatrices[0], weighted=weighted)

    plain, weighted = planned(config, weighted=False), planned(config, weighted=True)
    assert (plain.mix, weighted.mix) == ("default", "default+weighted")
    assert Path(weighted.file).name.startswith("default+weighted-")
    assert plain.order.token_weights is None
    assert weighted.order.token_weights == TokenWeights(mathematics=7)
    assert {**plain.order.key, **weighted.order.key} == weighted.order.key
    # Weights change only the weighted matrix.
    other = make_config(protection={"token_weights": {"mathematics": 8}})
    assert planned(other, weighted=False) == plain
    assert planned(other, weighted=True).file != weighted.file


def test_a_plan_with_more_work_than_anybody_can_wait_for_is_refused_with_its_cost(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"--runs: got '100000 \(3 arms would give 12,000,120 answers in 300,003 cells\)"
    ):
        make_small_plan(tmp_path, runs=100_000)
    with pytest.raises(BadInput, match="--runs"):
        make_small_plan(tmp_path, runs=2**31 - 1)  # told before a list of the seeds is made


def test_a_plan_without_any_arm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--quantizations: got ''; allowed: at least one quantization, or an --arm"):
        plan_with(tmp_path)


def test_names_of_arms_that_file_systems_cannot_hold_are_refused(tmp_path: Path) -> None:
    long = tuple(dataclasses.replace(MODEL, name=letter * 118) for letter in "ab")
    benchmarks = {model.name: make_inputs().benchmarks["tiny"] for model in long}
    sizes = {(model.name, kind, weighted): 1 for model in long for kind in KINDS for weighted in (True, False)}
    inputs = make_inputs(models=long, benchmarks=benchmarks, predicted_bytes=sizes)
    models = [{"name": model.name, "path": model.path} for model in long]
    with pytest.raises(BadInput, match="at most 120 bytes"):
        make_small_plan(tmp_path, inputs=inputs, models=models)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"quantizations": ["q4_k_m"]}, "Add a reference to --quantizations (f32, bf16, f16), or name one with"),
        ({"quantizations": ["f16"]}, "Add a type to --quantizations, or a file with --arm"),
        ({"quantizations": ["f16"], "noise_floor": True}, "Add a type to --quantizations"),
        ({"quantizations": ["f16", "q4_k_m"]}, None),
        ({"quantizations": ["q8_0", "q4_k_m"], "reference": "q8_0"}, None),
    ],
)
def test_a_plan_that_compares_nothing_says_so_first(
    tmp_path: Path, values: dict[str, object], advice: str | None
) -> None:
    notices = make_small_plan(tmp_path, **values).notices
    if advice is None:
        assert not any("NOTHING IS COMPARED" in notice for notice in notices)
    else:
        assert notices[0].startswith("NOTHING IS COMPARED for tiny: there will be scores, but no difference")
        assert advice in notices[0]
