"""The speed of a plan's models: measured once in a process of its own, and kept unless the machine was busy."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inputs import SourceArm
from actors.orchestrator.sources.speeds import Timed, measure_sources, sources_of, this_machine
from conf.files import write_json
from tests.orchestrator.small_plan import MODEL, make_inputs, make_small_plan


def _plan(tmp_path: Path, path: str) -> Plan:
    return make_small_plan(tmp_path, inputs=make_inputs(models=(replace(MODEL, path=path),)))


@pytest.fixture
def measured(tmp_path: Path, tiny_path: str) -> tuple[Plan, Timed]:
    plan, said = _plan(tmp_path, tiny_path), []
    found = measure_sources(plan, HashCache(tmp_path), said.append)
    assert said == [f"Measuring how fast {Path(tiny_path).name} works"]
    return plan, found[tiny_path]


def test_a_model_is_measured_in_every_kind_of_work(measured: tuple[Plan, Timed]) -> None:
    speed = measured[1].speed
    assert min(speed.prompt, speed.answer, speed.text) > 0
    assert set(speed.quantized) == {"F16", "Q8_0", "Q4_K"}
    assert 0 <= measured[1].busy <= 1


def test_a_file_that_is_model_and_arm_is_measured_once(tmp_path: Path) -> None:
    plan = _plan(tmp_path, "/models/no such file")
    (arm, *others) = plan.arms
    given = SourceArm("given", "/models/no such file", MODEL.sha256, MODEL.size_bytes)
    twice = replace(plan, arms=(replace(arm, existing=given), *others))
    assert [source.path for source in sources_of(twice)] == ["/models/no such file"]


def test_what_is_kept_is_not_measured_again(tmp_path: Path) -> None:
    plan, cache = _plan(tmp_path, "/models/no such file"), HashCache(tmp_path)
    (source,) = sources_of(plan)
    speed = {"prompt": 1.0, "answer": 2.0, "text": 3.0, "sequences": 4, "quantized": {}}
    cache.keep(source.kept_as(this_machine()), json.dumps({"speed": speed, "busy": 0.0}))
    cache.save()
    said: list[str] = []
    found = measure_sources(plan, HashCache(tmp_path), said.append)
    assert (asdict(found[source.path].speed), said) == (speed, [])


@pytest.mark.parametrize("kept", ["[]", "{}", "no JSON"])
def test_a_damaged_entry_is_measured_again(tmp_path: Path, kept: str) -> None:
    plan, cache = _plan(tmp_path, "/models/no such file"), HashCache(tmp_path)
    (source,) = sources_of(plan)
    cache.keep(source.kept_as(this_machine()), kept)
    said: list[str] = []
    assert measure_sources(plan, cache, said.append) == {}  # there is no such file
    assert said[1].startswith("The speed of no such file is not known: LlamaError: llama.cpp cannot load")


def test_a_cache_that_was_written_by_hand_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / ".file_hashes.json", {"a": "b", "c": 1})
    cache = HashCache(tmp_path)
    assert (cache.kept("a"), cache.kept("c")) == ("b", None)
