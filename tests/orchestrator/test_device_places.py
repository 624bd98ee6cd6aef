"""Plans on machines with cards: who decodes where, what is in keys, passes, refusals and notices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.llama.devices import DeviceUse
from actors.llama.gguf_file import read_header
from actors.nodes import Nodes
from actors.orchestrator.memory_limits import NO_LIMITS, Loaded
from actors.orchestrator.placed import Placed
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.inputs import KnownWeights
from actors.orchestrator.sources.judges import _layout
from actors.orchestrator.units import units_of
from conf.faults import BadInput
from jobs._placement_text import describe_placement
from reporting.terminal.layout import WIDTH, display_width
from tests.orchestrator.device_nodes import GIB, asked, device_plan, known_of, node
from tests.orchestrator.judged_plan import endpoint_judge, gguf_judge, judged_benchmark
from tests.orchestrator.small_plan import KINDS, make_config, make_inputs, make_small_plan
from tests.tiny_model import write_tiny_model

KNOWN = known_of("70B")


def own(plan: Plan, arm: str) -> Placed:
    return next(plan.placed[block.unit] for block in plan.blocks if block.arm == arm and not block.shared_pass)


def beside(plan: Plan, arm: str) -> Placed:
    return next(plan.placed[block.unit] for block in plan.blocks if block.arm == arm and block.shared_pass)


def test_each_arm_has_the_cards_that_it_needs_and_quantizing_has_none(tmp_path: Path) -> None:
    plan = device_plan(tmp_path, (node(8, 80),), KNOWN)
    assert {arm.name: own(plan, arm.name).gpus for arm in plan.arms} == {"f16": 2, "q8_0": 1, "q4_k_m": 1}
    for unit in units_of(plan):
        placed = plan.placed[unit.id]
        quantizing = unit.phase == "quantize" or unit.id == plan.imatrices[0].unit
        assert (placed.gpus == 0) == (placed.devices is None) == quantizing
    groups = {plan.placed[unit].gpus for unit in plan.imatrices[0].group_units}
    assert groups == {2.0}
    # 12 bytes for each element of the largest tensor are 12.6 GB, but llama.cpp holds 1 GiB of rows at most.
    assert own_quantizing(plan).host.total_bytes < 1.5 * GIB


def own_quantizing(plan: Plan) -> Placed:
    return next(plan.placed[str(arm.unit)] for arm in plan.arms if arm.unit)


def test_a_pass_holds_its_reference_and_as_many_arms_as_its_cards(tmp_path: Path) -> None:
    plan = device_plan(tmp_path, (node(8, 80),), KNOWN)
    # f16 and q8_0 (139 + 74 GB) take three cards of 81.6 GB; q4_k_m (42 GB) does not fit beside both.
    passes = {block.arm: block.shared_pass for block in plan.blocks if block.shared_pass and block.first == 0}
    assert passes == {"f16": "f16/0/text/0", "q8_0": "f16/0/text/0", "q4_k_m": "f16/1/text/0"}
    assert beside(plan, "f16") is beside(plan, "q8_0")
    assert (beside(plan, "q8_0").gpus, beside(plan, "q4_k_m").gpus) == (3.0, 3.0)
    large = device_plan(tmp_path, (node(2, 141),), KNOWN)
    # Two cards of 143.8 GB: f16 and q8_0 and q4_k_m take 139 + 74 + 42 = 255 GB, which fits.
    assert {block.shared_pass for block in large.blocks if block.shared_pass and block.first == 0} == {"f16/0/text/0"}
    assert beside(large, "q4_k_m").gpus == 2.0


def test_all_models_of_a_pass_are_decoded_on_all_of_its_cards(tmp_path: Path) -> None:
    plan = device_plan(tmp_path, (node(8, 80),), KNOWN)
    three = DeviceUse("H100", 3, "layer")
    for block in plan.blocks:
        if block.shared_pass:
            assert block.reference is not None
            assert block.layout.devices == block.reference.layout.devices == three
            assert block.layout.gpu_layers == -1
    # A self-check loads the arm alone, on the cards of its other blocks.
    for check in plan.checks:
        assert {part.layout.devices for part in check.order.parts} == {own(plan, check.order.arm).devices}


def test_small_arms_share_a_card(tmp_path: Path) -> None:
    plan = device_plan(tmp_path, (node(1, 80),), known_of("8B"))
    assert own(plan, "q4_k_m").gpus == 0.25
    assert beside(plan, "q4_k_m").gpus == 0.5  # f16 and both quantizations take 28 GB of weights


def test_the_devices_are_in_the_keys_and_only_if_there_are_some(tmp_path: Path) -> None:
    on_cards = device_plan(tmp_path, (node(8, 80),), KNOWN)
    on_cpu = device_plan(tmp_path, (node(0, 80),), KNOWN)
    assert on_cpu.placed == {}
    assert all(block.layout.devices is None and block.layout.gpu_layers == 0 for block in on_cpu.blocks)
    layouts = [one.key["layout"] for one in on_cpu.directories]
    assert all("devices" not in layout for layout in layouts)
    kinds = {str(one.key["layout"]["devices"]["kind"]) for one in on_cards.directories}
    assert kinds == {"H100"}
    assert "devices" not in on_cpu.imatrices[0].order.key
    assert on_cards.imatrices[0].order.key["devices"] == {"kind": "H100", "count": 2, "split": "layer"}


def test_more_machines_of_one_kind_change_no_key(tmp_path: Path) -> None:
    one = device_plan(tmp_path, (node(8, 80),), KNOWN)
    three = device_plan(tmp_path, (node(8, 80), node(4, 80, name="b"), node(0, 0, name="c")), KNOWN)
    assert [block.unit for block in one.blocks] == [block.unit for block in three.blocks]
    assert one.plan_hash == three.plan_hash


def test_a_reference_that_fits_partly_is_said_to_be_slow(tmp_path: Path) -> None:
    plan = device_plan(tmp_path, (node(1, 80),), KNOWN)
    assert own(plan, "f16").gpu_layers == 45
    assert any(notice.startswith("f16: only 45 of 81 layers fit on 1 x H100") for notice in plan.notices)
    assert not any(notice.startswith("q8_0: ") for notice in plan.notices)


def test_a_notice_tells_only_how_a_model_lies_within_its_own_limit(tmp_path: Path) -> None:
    limits = NO_LIMITS.with_share(Loaded("arms", "f16"), 0.6)
    plan = device_plan(tmp_path, (node(1, 80),), KNOWN, limits=limits)
    told = [notice for notice in plan.notices if notice.startswith("f16: only ")]
    assert len(told) == 1 and f"only {own(plan, 'f16').gpu_layers} of 81 layers" in told[0]
    assert own(plan, "f16").gpu_layers < 45


def test_memory_that_other_programs_hold_is_told(tmp_path: Path) -> None:
    machine = node(2, 80)
    first, second = machine.devices
    busy = replace(machine, devices=(first, replace(second, free_bytes=20 * GIB)))
    plan = device_plan(tmp_path, (busy,), KNOWN)
    (told,) = [notice for notice in plan.notices if "other programs" in notice]
    assert told.startswith("a: other programs use the H100: 20.0 of 80.0 GiB are free.")
    assert not any("other programs" in notice for notice in device_plan(tmp_path, (machine,), KNOWN).notices)


def test_what_can_never_fit_is_refused_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"f16 with 131.4 GiB of weights.*7 x 24 GiB of such devices"):
        device_plan(tmp_path, (node(4, 24, memory_gib=32),), KNOWN)


def test_an_arm_and_its_reference_are_on_one_kind(tmp_path: Path) -> None:
    machines = (node(2, 80, name="a", kind="A100"), node(4, 24, name="b", kind="L4"))
    plan = device_plan(tmp_path, machines, KNOWN, benchmarks=(asked(8704),))
    assert {block.layout.devices.kind for block in plan.blocks if block.layout.devices} == {"A100"}
    assert own(plan, "q4_k_m").nodes == frozenset({"a"})


def test_a_plan_without_known_weights_is_one_of_the_cpu(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    assert plan.placed == {}


def test_a_judge_is_placed_by_its_memory_like_an_arm(tmp_path: Path) -> None:
    machines = (node(2, 80),)
    header = read_header(write_tiny_model(tmp_path / "judge.gguf"))
    judge_of, whole = Loaded("judges", "large"), NO_LIMITS
    small = _layout(make_config(), header, machines, whole, judge_of)
    assert (small.gpu_layers, small.devices) == (-1, DeviceUse("H100", 1, "none"))
    on_host = _layout(make_config(), header, (node(0, 0),), whole, judge_of)
    assert on_host == replace(small, gpu_layers=0, devices=None)
    fewer = _layout(make_config(), header, (node(0, 0),), whole.with_cache(judge_of, 1), judge_of)
    assert fewer.n_ctx < on_host.n_ctx and fewer.sequences < on_host.sequences
    # A judge of 70B in f16 takes both cards. Its GGUF waits until nothing else needs them.
    judge = replace(gguf_judge("large"), layout=replace(small, devices=DeviceUse("H100", 2, "layer")))
    shape, weights = KNOWN
    known = KnownWeights(
        shapes={"tiny": shape},
        made={("tiny", kind, weighted): weights[kind] for kind in KINDS for weighted in (False, True)},
        judges={"large": shape},
    )
    inputs = make_inputs(nodes=machines, known=known, judges=(judge,), benchmarks={"tiny": (judged_benchmark(),)})
    plan = make_small_plan(tmp_path, inputs=inputs, benchmarks=["elyza"], imatrix=["none"])
    assert {plan.placed[one.unit].gpus for one in plan.judgings} == {2.0}
    less = replace(inputs, limits=whole.with_share(judge_of, 0.5))
    plan = make_small_plan(tmp_path, inputs=less, benchmarks=["elyza"], imatrix=["none"])
    assert {0 < plan.placed[one.unit].gpu_layers < 81 for one in plan.judgings} == {True}
    asked = replace(inputs, judges=(endpoint_judge("asked"),), known=replace(known, judges={}))
    plan = make_small_plan(tmp_path, inputs=asked, benchmarks=["elyza"], imatrix=["none"])
    assert plan.judgings and not any(one.unit in plan.placed for one in plan.judgings)


def test_the_dry_run_shows_where_everything_runs(tmp_path: Path) -> None:
    nodes = (node(8, 80, kind="NVIDIA H100 80GB HBM3"), node(0, 0, name="head"))
    plan = replace(device_plan(tmp_path, nodes, KNOWN), nodes=Nodes(nodes))
    lines = describe_placement(plan, make_config())
    assert all(display_width(line) <= WIDTH for line in lines)
    rows = [" ".join(line.split()) for line in lines]
    assert "a: 8 x NVIDIA H100 80GB HBM3 (80 GiB)" in rows
    assert "f16 evaluating 2 GPUs 129.5 2.7 2.2 4" in rows
    assert "q4_k_m evaluating 1 GPU 39.0 2.7 1.0 8" in rows
    assert "q8_0 beside f16 3 GPUs 198.2 0.6 4.3 2" in rows
    # Half of 64 processors on each of two nodes, on one of which two of the three arms are made: 16 for each arm.
    assert "every arm quantizing 16 CPUs - - 1.3 8" in rows
    assert describe_placement(make_small_plan(tmp_path), make_config()) == []
