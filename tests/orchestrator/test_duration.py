"""The estimated time of a plan: what counts, what is assumed, and what is not in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.evaluation.speed import Speed
from actors.orchestrator.duration import FIXED_S, duration_of, hours_and_minutes
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.speeds import Timed, tensor_kind
from tests.orchestrator.small_plan import MODEL, make_small_plan
from tests.orchestrator.test_passes import SIZES, plan_of

SPEED = Speed(prompt=100.0, answer=10.0, text=50.0, sequences=4, quantized={"F16": 1e3, "Q8_0": 1e3, "Q4_K": 1e2})
TIMED = {MODEL.path: Timed(SPEED, busy=0.0)}


def _plan(tmp_path: Path) -> Plan:
    """Return the small plan without what is measured once per arm."""
    return replace(make_small_plan(tmp_path), checks=(), performances=())


def test_answers_prompts_weights_and_matrices_are_added_up(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    found = duration_of(plan, (), TIMED, workers=1)
    assert found is not None
    # Three arms, 40 items, 3 seeds, half of 16 tokens each, at 10 tokens per second.
    answers = 3 * 40 * 3 * 8 / 10
    # "2+2?" is one token; in the other benchmark "x", " a" and " b" are 1.25 tokens.
    prompts = 3 * 40 * (1 + 1.25) / 100
    assert found.phases["evaluating"] == pytest.approx(answers + prompts, rel=0.01)
    assert found.phases["quantizing"] == pytest.approx(
        (1000 / 1e3 + 1000 / 1e3 + 1000 / 1e2) / plan.arms[0].order.threads
    )
    (matrix,) = plan.imatrices
    assert found.phases["importance matrix"] == pytest.approx(sum(matrix.order.group_tokens) / 100)
    assert found.phases["everything else"] == FIXED_S
    assert found.longest == pytest.approx(found.seconds + answers)


def test_workers_share_the_work_but_not_the_rest(tmp_path: Path) -> None:
    one, two = (duration_of(_plan(tmp_path), (), TIMED, workers) for workers in (1, 2))
    assert one is not None and two is not None
    assert one.seconds - FIXED_S == pytest.approx(2 * (two.seconds - FIXED_S))


def test_units_whose_workers_take_other_places_are_shared_by_those(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    one, four = (duration_of(plan, (), TIMED, 1, {block.unit: workers for block in plan.blocks}) for workers in (1, 4))
    assert one is not None and four is not None
    assert four.phases["evaluating"] == pytest.approx(one.phases["evaluating"] / 4)
    assert four.phases["quantizing"] == one.phases["quantizing"]


def test_what_is_done_takes_no_time(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    done = [block.unit for block in plan.blocks] + [arm.unit or "" for arm in plan.arms]
    done += [one.unit for one in plan.imatrices] + [one.unit for one in (*plan.checks, *plan.performances)]
    found = duration_of(plan, done, TIMED, workers=1)
    assert found is not None
    assert (found.seconds, found.longest) == (FIXED_S, FIXED_S)


def test_an_arm_that_was_not_measured_is_named_and_nothing_measured_is_no_estimate(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    given = replace(plan.arms[0], name="given", unit=None, order=None, gguf_path="/given.gguf")
    found = duration_of(replace(plan, arms=(*plan.arms, given)), (), TIMED, workers=1)
    assert found is not None and found.unknown == ("given",)
    assert duration_of(plan, (), {}, workers=1) is None


def test_a_reference_counts_again_in_every_pass_without_its_own_block(tmp_path: Path) -> None:
    one_pass, two_passes = (
        duration_of(plan_of(tmp_path, sizes), (), TIMED, workers=1) for sizes in (SIZES, {**SIZES, "q8_0": 800})
    )
    assert one_pass is not None and two_passes is not None
    # Ten chunks of three tokens, at 50 tokens per second.
    assert two_passes.phases["evaluating"] - one_pass.phases["evaluating"] == pytest.approx(10 * 3 / 50)


def test_a_second_arm_of_a_made_reference_is_as_fast_as_their_source(tmp_path: Path) -> None:
    found = duration_of(make_small_plan(tmp_path, noise_floor=True), (), TIMED, workers=1)
    assert found is not None and found.unknown == ()


def test_most_weights_of_a_file_type_have_the_type_in_its_name() -> None:
    known = {"q4_k_m": "Q4_K", "q8_0": "Q8_0", "f16": "F16", "iq4_xs": "IQ4_XS", "q5_1": "Q5_1", "nothing": None}
    assert {method: tensor_kind(method) for method in known} == known


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45.2, "45 s"), (89.0, "89 s"), (90.0, "2 min"), (3599.0, "1 h 00 min"), (12000.0, "3 h 20 min")],
)
def test_times_are_in_hours_and_minutes(seconds: float, text: str) -> None:
    assert hours_and_minutes(seconds) == text
