"""From the blocks of a plan to the records that the statistics start from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from actors.json_lines import write_jsonl
from actors.orchestrator.early_stop import read_early_stop
from actors.orchestrator.plan import Plan
from actors.orchestrator.records import read_records
from actors.orchestrator.results import check_results, write_results
from actors.records import Record
from actors.store import RunDirectory
from conf.faults import BadInput
from conf.files import read_json
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, make_small_plan, modified


def test_records_have_the_shared_source_of_their_item_even_if_their_block_failed(tmp_path: Path) -> None:
    benchmark = deterministic(4)
    items = tuple(
        dataclasses.replace(item, cluster="article 1" if n < 2 else None) for n, item in enumerate(benchmark.items)
    )
    benchmark = modified(benchmark, items=items)
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (benchmark,)}))
    written = plan.blocks[0]
    path = Path(written.records_path)
    path.parent.mkdir(parents=True)
    write_jsonl(path, [Record(item.item_id, 0, item.prompt_hash, None, "correct", score=1.0) for item in items])
    records = read_records(plan, make_config(), read_early_stop(plan, make_config(), ())).records
    clusters = ["article 1", "article 1", None, None]
    for arm, outcome in ((written.arm, "correct"), (plan.blocks[-1].arm, "unscored")):
        own = records.filter(records["arm"] == arm).sort("item_id")
        assert own["cluster"].to_list() == clusters
        assert own["outcome"].to_list() == [outcome] * 4


DESCRIPTION = {"created_at": "2025-01-01T00:00:00+00:00", "command": "c", "settings": {}, "versions": {}}


def test_a_plan_that_the_result_files_cannot_hold_is_refused_before_the_start(tmp_path: Path) -> None:
    check_results(_titled(tmp_path, "chosen"), make_config(), DESCRIPTION)
    with pytest.raises(BadInput, match=r"quantization_comparison\.json: got .*benchmarks\[0\]\.name"):
        check_results(_titled(tmp_path, "No name"), make_config(), DESCRIPTION)


def _titled(root: Path, name: str) -> Plan:
    benchmark = modified(deterministic(4), name=name, title={"en": "Chosen", "ja": "選択"})
    return make_small_plan(root, inputs=make_inputs(benchmarks={"tiny": (benchmark,)}))


def test_a_function_has_as_many_items_as_it_scored(tmp_path: Path) -> None:
    benchmark = modified(deterministic(1), kind="function", title={"en": "Check", "ja": "検査"})
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (benchmark,)}))
    for block in plan.blocks:
        path = Path(block.records_path)
        path.parent.mkdir(parents=True)
        write_jsonl(path, [Record(f"question {n}", 0, "hash", None, "correct", score=1.0) for n in range(3)])
    run = RunDirectory(tmp_path / "p")
    write_results(plan, run, make_config(), DESCRIPTION, (), ())
    (described,) = read_json(run.comparison)["benchmarks"]
    assert (described["n_items"], described["n_items_total"]) == (3, 3)


def test_a_records_file_that_cannot_be_read_fails_its_findings_and_no_others(tmp_path: Path) -> None:
    benchmark = modified(deterministic(4), title={"en": "Chosen", "ja": "選択"})
    plan = make_small_plan(tmp_path, inputs=make_inputs(benchmarks={"tiny": (benchmark,)}))
    for block in plan.blocks:
        path = Path(block.records_path)
        path.parent.mkdir(parents=True)
        rows = [Record(item.item_id, 0, item.prompt_hash, None, "correct", score=1.0) for item in benchmark.items]
        if block.arm == "q8_0":
            rows[0] = dataclasses.replace(rows[0], completion_tokens=10**30)
        write_jsonl(path, rows)
    run = RunDirectory(tmp_path / "p")
    written = write_results(plan, run, make_config(), DESCRIPTION, (), ())
    (failure,) = written.failures
    assert (failure.unit, failure.arm, failure.phase) == ("findings/chosen.q8_0", "q8_0", "statistics")
    assert "Delete it, and run the same command again" in failure.error
    rows = {row["arm"]: row for row in read_json(run.comparison)["results"]}
    assert rows["q8_0"]["unscored_reasons"] == {"findings_failed": 4} and rows["q8_0"]["mean"] is None
    assert rows["f16"]["mean"] == rows["q4_k_m"]["mean"] == 1.0
    assert [one["unit"] for one in read_json(run.comparison)["failures"]] == [failure.unit]
