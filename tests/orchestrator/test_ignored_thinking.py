"""An arm that did not think as it was told to is noticed in the results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from actors.items import TemplateUse
from actors.orchestrator.ignored_thinking import ignored_thinking
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.inputs import SourceArm, TemplateUses
from actors.orders import Endpoint
from reporting.frames import RECORD_SCHEMA
from tests.orchestrator.small_plan import deterministic, make_inputs, make_small_plan, modified, sampled

FAR = SourceArm("far", "http://host/v1#m", endpoint=Endpoint("http://host/v1", "m", 1, 1.0, 1), model="tiny")


def plan_of(folder: Path, told: Any, *, chat: bool = True) -> Plan:
    asked = sampled(4)
    items = tuple(replace(item, task=replace(item.task, chat=chat)) for item in asked.items)
    uses = TemplateUses(arms={"far": TemplateUse(thinking=told, arguments='{"thinking": true}')})
    benchmarks = {"tiny": (modified(asked, items=items), deterministic(4))}
    return make_small_plan(folder, inputs=make_inputs(arms=(FAR,), benchmarks=benchmarks, template_uses=uses))


def records_of(*answers: dict[str, Any], arm: str = "far", benchmark: str = "asked") -> pl.DataFrame:
    common = {"arm": arm, "benchmark": benchmark, "outcome": "wrong", "text": "b"}
    rows = [dict.fromkeys(RECORD_SCHEMA) | common | answer for answer in answers]
    return pl.DataFrame(rows, schema=RECORD_SCHEMA)


@pytest.mark.parametrize("answer", [{"thoughts": "a"}, {"thought_tokens": 3}])
def test_thoughts_of_an_arm_that_was_told_not_to_think_are_noticed(answer: dict[str, Any], tmp_path: Path) -> None:
    records = records_of(answer, {}, {})
    (notice,) = ignored_thinking(plan_of(tmp_path, "off"), records)
    assert notice.startswith("far was told not to think, but 1 of its 3 answers") and "server may ignore" in notice
    assert ignored_thinking(plan_of(tmp_path, "on"), records) == []
    assert ignored_thinking(plan_of(tmp_path, "template"), records) == []


def test_an_arm_that_was_told_to_think_and_never_does_is_noticed(tmp_path: Path) -> None:
    (notice,) = ignored_thinking(plan_of(tmp_path, "on"), records_of({}, {}))
    assert notice.startswith("far was told to think, but none of its 2 answers")
    assert ignored_thinking(plan_of(tmp_path, "off"), records_of({}, {})) == []


def test_only_answers_of_that_arm_to_chats_count(tmp_path: Path) -> None:
    told = plan_of(tmp_path, "on")
    unscored = records_of({"text": None, "outcome": "unscored"})
    for records in (unscored, records_of({}, arm="f16"), records_of({}, benchmark="chosen"), records_of()):
        assert ignored_thinking(told, records) == []
    assert ignored_thinking(plan_of(tmp_path, "on", chat=False), records_of({})) == []
