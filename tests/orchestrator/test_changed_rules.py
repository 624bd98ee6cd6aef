"""Changes of the claim on average, and benchmarks that are left out, after a look: what results say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.orchestrator.looks import history_notices, note_begun
from actors.orchestrator.planning.make_plan import make_plan
from actors.orchestrator.results import write_results
from actors.store import RunDirectory
from conf.files import read_json
from reporting.documents.sentences.looks import rule_sentences
from reporting.results_folder import read_findings
from reporting.terminal.summary import summary_table
from reporting.wording import Words
from tests.orchestrator.player import damaged, write_block
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, modified

TOTAL = 400
DESCRIBED = {"created_at": "2025-01-01T00:00:00+00:00", "command": "c", "settings": {}, "versions": {}}


def _sentences(run: RunDirectory, lang: Any = "en") -> list[str]:
    return rule_sentences(read_findings(run.comparison), Words(lang))


def _two(storage: Path, pipeline: str, names: tuple[str, ...], **statistics: Any) -> RunDirectory:
    """Evaluate benchmarks to the end. The arm q4_k_m loses nothing on the first, and much on the second."""
    run, scores = RunDirectory(storage / pipeline), {"first": 0.0, "second": 0.4, "third": 0.0}
    benchmarks = tuple(
        modified(deterministic(TOTAL), name=name, title={"en": name, "ja": name}, data_hash=name) for name in names
    )
    config = make_config(benchmarks=list(names), execution={"self_check": False}, statistics=statistics)
    plan = make_plan(config, pipeline, run, make_inputs(benchmarks={"tiny": benchmarks}), {})
    note_begun(plan, config, run)
    for block in plan.blocks:
        write_block(plan, block, damaged("q4_k_m", share=scores[block.benchmark]))
    write_results(plan, run, config, DESCRIBED, (), history_notices(plan, config, run))
    return run


def _changes(run: RunDirectory) -> list[tuple[str, Any, Any]]:
    analysis = read_json(run.analysis)
    assert analysis["rules_fixed"] is not bool(analysis["rule_changes"])
    return [(one["rule"], one["before"], one["now"]) for one in analysis["rule_changes"]]


def test_what_was_changed_about_the_claim_on_average_is_told(tmp_path: Path) -> None:
    both = ("first", "second")
    even = "first 0.5, second 0.5"
    assert _changes(_two(tmp_path / "a", "one", both)) == []
    assert _changes(_two(tmp_path / "a", "two", both, margins={"pooled": 0.5})) == [("pooled", 0.01, 0.5)]
    _two(tmp_path / "b", "one", both)
    run = _two(tmp_path / "b", "two", both, tiers={"pooled": {"first": 3, "second": 1}})
    assert _changes(run) == [("pool", even, "first 0.75, second 0.25")]
    assert any(f"The mean over benchmarks was changed from {even}" in text for text in _sentences(run))
    assert any("平均の対象と重みは、結果を 1 回見た後に" in text for text in _sentences(run, "ja"))
    _two(tmp_path / "c", "one", both)
    assert _changes(_two(tmp_path / "c", "two", both, tiers={"pooled": []})) == [("pool", even, None)]


def test_a_benchmark_that_is_left_out_after_a_look_is_told(tmp_path: Path) -> None:
    _two(tmp_path, "one", ("first", "second"))
    run = _two(tmp_path, "two", ("first",))
    assert _changes(run) == [("benchmarks", "second", "first")]
    assert any("second: evaluated before, and left out of this run" in text for text in _sentences(run))
    assert any("second は以前に評価されたが" in text for text in _sentences(run, "ja"))
    summary = summary_table(read_json(run.comparison), read_json(run.analysis))
    assert "evaluated before, and left out of this run: second" in summary and "fixed before" not in summary
    # A benchmark more is no change, and the whole run again leaves nothing out.
    assert _changes(_two(tmp_path / "b", "one", ("first",))) == []
    assert _changes(_two(tmp_path / "b", "two", ("first", "third"))) == []
    assert [rule for rule, *_ in _changes(_two(tmp_path, "one", ("first", "second")))] == []


def test_benchmarks_that_only_inform_are_not_named_as_those_that_verdicts_go_by(tmp_path: Path) -> None:
    _two(tmp_path, "one", ("first", "second"))
    run = _two(tmp_path, "two", ("first", "third"), tiers={"inform": ["third"]})
    notices = read_json(run.comparison)["notices"]
    assert "Evaluated before, and left out of this run: second. Its verdicts go by first only." in notices
