"""The history of looks in the storage, and what results say of it: real records, real files, no models."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

from actors.orchestrator.looks import history_notices, note_begun, read_looks
from actors.orchestrator.plan import Plan, PlannedBlock
from actors.orchestrator.planning.make_plan import make_plan
from actors.orchestrator.results import write_results
from actors.store import RunDirectory
from conf.files import read_json
from conf.schema.pipeline import PipelineConfig
from reporting.documents.sentences.looks import look_sentences, rule_sentences
from reporting.results_folder import read_findings
from reporting.terminal.summary import summary_table
from reporting.wording import Words
from stats.looks import PlannedLook, critical_values
from stats.paired import difference_interval
from tests.orchestrator.player import Score, damaged, write_block
from tests.orchestrator.small_plan import deterministic, make_config, make_inputs, modified

TOTAL = 400
_BY_PROBABILITY = {"verdict_score": {"chosen": "gold_probability"}}
DESCRIBED = {"created_at": "2025-01-01T00:00:00+00:00", "command": "c", "settings": {}, "versions": {}}


def _planned(storage: Path, pipeline: str, items: int, **values: Any) -> tuple[Plan, PipelineConfig, RunDirectory]:
    values = {"execution": {"self_check": False}} | values
    benchmark = modified(deterministic(items), n_items_total=TOTAL, title={"en": "Chosen", "ja": "選択"})
    run = RunDirectory(storage / pipeline)
    inputs = make_inputs(benchmarks={"tiny": (benchmark,)})
    config = make_config(**values)
    return make_plan(config, pipeline, run, inputs, {}), config, run


def _look(storage: Path, pipeline: str, items: int, share: float = 0.0, **values: Any) -> dict[str, Any]:
    """Evaluate the first items in a pipeline of its own, and return the row of the damaged arm."""
    plan, config, run = _planned(storage, pipeline, items, **values)
    note_begun(plan, config, run)
    for block in plan.blocks:
        write_block(plan, block, damaged("q4_k_m", share=share))
    write_results(plan, run, config, DESCRIBED, (), history_notices(plan, config, run))
    rows = read_json(run.analysis)["comparisons"]
    (row,) = [one for one in rows if one["arm"] == "q4_k_m"]
    return dict(row)


def _sentences(run: RunDirectory, lang: Any = "en") -> list[str]:
    findings = read_findings(run.comparison)
    return [*rule_sentences(findings, Words(lang)), *look_sentences(findings, Words(lang))]


def test_a_single_look_at_all_items_is_as_it_always_was(tmp_path: Path) -> None:
    row = _look(tmp_path, "one", TOTAL, share=0.1)
    look = row["look"]
    assert (look["number"], look["allowed_for"], look["earlier"]) == (1, True, [])
    assert look["ci95"] == row["ci95"] == look["ci95_one_look"]
    assert row["p_value"] == look["p_value_one_look"]
    run = RunDirectory(tmp_path / "one")
    assert _sentences(run) == []
    analysis = read_json(run.analysis)
    assert analysis["rules_fixed"] is True and analysis["rule_changes"] == []
    assert "The margins were fixed before the run." in summary_table(read_json(run.comparison), analysis)


def test_a_second_look_under_another_pipeline_id_is_noted_and_widens_the_interval(tmp_path: Path) -> None:
    first = _look(tmp_path, "one", 150, share=0.15)
    second = _look(tmp_path, "two", TOTAL, share=0.15)
    assert first["look"]["number"] == 1 and first["ci95"] == first["look"]["ci95_one_look"]
    look = second["look"]
    assert (look["number"], look["planned_items"], look["allowed_for"]) == (2, TOTAL, True)
    (earlier,) = look["earlier"]
    assert (earlier["n_items"], earlier["pipeline_id"], earlier["verdict"]) == (150, "one", first["verdict"])
    value = critical_values([PlannedLook(150 / TOTAL), PlannedLook(1.0)])[-1]
    assert look["critical_value"] == pytest.approx(value)
    low, high = second["ci95"]
    inner_low, inner_high = look["ci95_one_look"]
    assert (high - low) / (inner_high - inner_low) == pytest.approx(value / 1.96, rel=1e-2)
    assert second["p_value"] > look["p_value_one_look"]
    run = RunDirectory(tmp_path / "two")
    assert any("look 2 at this comparison (before: 150 items); the interval" in text for text in _sentences(run))
    assert any("2 回目である" in text for text in _sentences(run, "ja"))
    summary = summary_table(read_json(run.comparison), read_json(run.analysis))
    assert "look 2 at q4_k_m (before: 150 items): the interval is widened for it" in summary


def test_the_same_data_again_are_no_new_look(tmp_path: Path) -> None:
    first = _look(tmp_path, "one", 150)
    assert _look(tmp_path, "again", 150, lang="ja") == first
    _look(tmp_path, "two", TOTAL)
    assert _look(tmp_path, "one", 150) == first
    assert _look(tmp_path, "three", TOTAL)["look"]["number"] == 2


def test_a_first_look_at_a_part_keeps_the_rest_of_the_level_unless_it_is_the_whole_plan(tmp_path: Path) -> None:
    margin = {"margins": {"accuracy": 0.05, "relative": 0.5}}
    part = _look(tmp_path, "one", 74, statistics=margin)
    alone = _look(tmp_path / "other", "one", 74, statistics={**margin, "planned_items": 74})
    # No answer differs: the interval is ±z²/(n + z²), 4.9 points at 74 items and more at the look's level.
    assert part["ci95"] == alone["ci95"] and part["ci95"][0] > -0.05
    assert (alone["verdict"], alone["look"]["planned_items"]) == ("no_worse", 74)
    assert (part["verdict"], part["verdict_grounds"]) == ("undecided", ["kept_for_later_looks"])
    assert part["look"]["ci95"][0] < -0.05
    (text,) = [
        one
        for one in _sentences(RunDirectory(tmp_path / "one"))
        if "q4_k_m: the 95% interval" in one or "would decide" in one
    ]
    assert "74 of 400 planned items" in text


def test_after_the_plan_is_spent_nothing_new_is_claimed_but_a_claim_can_be_confirmed(tmp_path: Path) -> None:
    plan = {"margins": {"accuracy": 0.05, "relative": 0.5}, "planned_items": 40}
    assert _look(tmp_path, "one", 40, statistics=plan)["verdict"] == "undecided"
    raised = {**plan, "planned_items": None}
    row = _look(tmp_path, "two", 300, statistics=raised)
    assert row["ci95"][0] > -0.05 and not row["look"]["allowed_for"]
    assert (row["verdict"], row["verdict_grounds"]) == ("undecided", ["looks_spent"])
    assert any("does not allow for it" in text for text in _sentences(RunDirectory(tmp_path / "two")))
    claimed = {"margins": {"accuracy": 0.05, "relative": 0.5}, "planned_items": 200}
    assert _look(tmp_path / "b", "one", 200, statistics=claimed)["verdict"] == "no_worse"
    confirmed = _look(tmp_path / "b", "two", 300, statistics=claimed)
    assert confirmed["verdict"] == "no_worse" and not confirmed["look"]["allowed_for"]
    stricter = {"margins": {"accuracy": 0.02, "relative": 0.5}, "planned_items": 200}
    assert _look(tmp_path / "b", "three", 400, statistics=stricter)["verdict_grounds"] == ["looks_spent"]


def test_a_look_that_is_not_paid_for_shows_no_loss(tmp_path: Path) -> None:
    plan = {"margins": {"accuracy": 0.03, "relative": 0.5}}
    paid = _look(tmp_path / "a", "one", 300, share=0.06, statistics={**plan, "planned_items": 300})
    assert paid["verdict_grounds"] == ["loss_shown", "spans_margin"]
    _look(tmp_path / "b", "one", 40, statistics={**plan, "planned_items": 40})
    spent = _look(tmp_path / "b", "two", 300, share=0.06, statistics=plan)
    assert spent["verdict_grounds"] == ["spans_margin"] and not spent["look"]["allowed_for"]


def test_the_plan_cannot_be_lowered_after_a_look(tmp_path: Path) -> None:
    _look(tmp_path, "one", 100)
    row = _look(tmp_path, "two", 200, statistics={"planned_items": 200})
    assert row["look"]["planned_items"] == TOTAL


def test_early_stop_spends_everything(tmp_path: Path) -> None:
    _look(tmp_path, "one", 100, statistics={"early_stop": True})
    row = _look(tmp_path, "two", 200)
    assert not row["look"]["allowed_for"]
    notices = read_json(RunDirectory(tmp_path / "two").comparison)["notices"]
    assert any("--early-stop before" in notice for notice in notices)
    again = _look(tmp_path, "three", 300, statistics={"early_stop": True})
    assert not again["look"]["allowed_for"]
    assert _look(tmp_path / "b", "one", 100, statistics={"early_stop": True})["look"]["allowed_for"]
    assert _look(tmp_path / "b", "two", 200, statistics={"early_stop": True})["look"]["allowed_for"]


def test_a_margin_that_was_changed_after_a_look_is_told_for_good(tmp_path: Path) -> None:
    _look(tmp_path, "one", 100)
    wider = {"margins": {"accuracy": 0.03, "relative": 0.5}}
    for pipeline, items in (("one", 100), ("two", 100), ("three", 200)):
        _look(tmp_path, pipeline, items, statistics=wider, lang="en")
        run = RunDirectory(tmp_path / pipeline)
        analysis = read_json(run.analysis)
        assert analysis["rules_fixed"] is False
        changes = analysis["rule_changes"]
        told = [(one["rule"], one["before"], one["now"]) for one in changes]
        assert told == [("accuracy", 0.01, 0.03), ("relative", 0.05, 0.5)]
        assert all((one["n_looks_before"], one["benchmarks"]) == (1, ["chosen"]) for one in changes)
        assert any("changed from 0.01 to 0.03 after 1 look" in text for text in _sentences(run))
        assert any("right answers that may be lost was changed from 0.05 to 0.5" in text for text in _sentences(run))
        assert "fixed before" not in summary_table(read_json(run.comparison), analysis)
    _look(tmp_path, "back", 200)  # the first margin again does not undo it
    changes = read_json(RunDirectory(tmp_path / "back").analysis)["rule_changes"]
    accuracy = [(one["before"], one["now"]) for one in changes if one["rule"] == "accuracy"]
    assert accuracy == [(0.01, 0.03), (0.03, 0.01)]


def test_a_margin_that_was_changed_before_anything_was_finished_is_told_too(tmp_path: Path) -> None:
    plan, config, run = _planned(tmp_path, "one", 100)
    assert history_notices(plan, config, run) == ()
    note_begun(plan, config, run)
    assert history_notices(plan, config, run) == ()
    plan, config, run = _planned(tmp_path, "one", 100, statistics={"margins": {"accuracy": 0.02}})
    (notice,) = history_notices(plan, config, run)
    assert "from 0.01 to 0.02" in notice and "0 looks before" in notice
    plan, config, run = _planned(tmp_path, "one", 100, statistics={"margins": {"ln_ppl": 0.02}})
    assert history_notices(plan, config, run) == ()  # it applies to no benchmark of this run


@pytest.mark.parametrize("plan", [{"planned_items": 100}, {"planned_items": None}])
def test_a_plan_that_is_set_after_its_look_does_not_count(tmp_path: Path, plan: dict[str, Any]) -> None:
    # At 100 of 400 items the interval at the look's level crosses the margin, and the 95% interval (±.0370) does not.
    margins = {"margins": {"accuracy": 0.0375, "relative": 0.5}}
    before = {"planned_items": 100} if plan["planned_items"] is None else {}
    first = _look(tmp_path, "one", 100, statistics={**margins, **before})
    for pipeline in ("one", "two"):
        again = _look(tmp_path, pipeline, 100, statistics={**margins, **plan})
        assert (again["verdict"], again["look"]["planned_items"]) == (first["verdict"], first["look"]["planned_items"])
    assert first["verdict"] == ("no_worse" if before else "undecided")
    if before:  # that look has spent everything
        assert not _look(tmp_path, "all", TOTAL, statistics={**margins, **plan})["look"]["allowed_for"]


def test_another_number_of_threads_begins_no_new_history(tmp_path: Path) -> None:
    def q8_0(pipeline: str, items: int, threads: int) -> dict[str, Any]:
        _look(tmp_path, pipeline, items, layout={"threads": threads})
        rows = read_json(RunDirectory(tmp_path / pipeline).analysis)["comparisons"]
        return next(dict(one) for one in rows if one["arm"] == "q8_0")

    first, again, more = q8_0("one", 200, 2), q8_0("two", 200, 1), q8_0("three", TOTAL, 1)
    assert first["look"]["number"] == 1
    # The same items with other last bits: another look, which adds nothing that is paid for.
    assert (again["look"]["number"], again["look"]["allowed_for"]) == (2, False)
    assert (more["look"]["number"], more["look"]["allowed_for"]) == (3, True)


@pytest.mark.parametrize("damage", [lambda text: text[:20], lambda text: "[]", lambda text: '{"seeds": 3}'])
def test_a_damaged_file_is_reported_or_made_anew(tmp_path: Path, damage: Callable[[str], str]) -> None:
    _look(tmp_path, "one", 100)
    files = list((tmp_path / ".looks").rglob("*.json"))
    assert len(files) == 4  # begun and finished, for two arms
    for path in files:
        path.write_text(damage(path.read_text()))
    assert _look(tmp_path, "one", 100)["look"]["number"] == 1
    assert all(json.loads(path.read_text())["n_items"] == 100 for path in files)
    for path in files:
        path.write_text(damage(path.read_text()))
    _look(tmp_path, "two", 200)
    notices = read_json(RunDirectory(tmp_path / "two").comparison)["notices"]
    assert all(any(str(path) in notice for notice in notices) for path in files)


def test_two_pipelines_at_once_both_leave_their_look(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(lambda items: _look(tmp_path, f"p{items}", items), (100, 200)))
    assert len(rows) == 2
    assert _look(tmp_path, "last", 300)["look"]["number"] == 3


def test_the_intervals_of_a_text_are_widened_like_the_others() -> None:
    values = np.random.default_rng(1).normal(0.0, 1.0, 40)
    usual = difference_interval(values, proportion=False)
    wider = difference_interval(values, proportion=False, tail=float(special.ndtr(2.5)))
    ratio = special.stdtrit(39, special.ndtr(2.5)) / special.stdtrit(39, 0.975)
    assert (wider.high - wider.low) / (usual.high - usual.low) == pytest.approx(ratio)  # type: ignore[union-attr]


def test_the_history_is_read_from_the_storage_of_all_pipelines(tmp_path: Path) -> None:
    _look(tmp_path, "one", 100)
    plan, config, run = _planned(tmp_path, "two", 200)
    history = read_looks(plan, config, run).histories["q4_k_m", "chosen"]
    assert [look.pipeline_id for look in history.earlier] == ["one"]
    assert history.now.pipeline_id == "two"


def test_another_score_of_the_same_records_is_another_look_and_is_told(tmp_path: Path) -> None:
    _look(tmp_path, "one", TOTAL)
    same = _planned(tmp_path, "same", TOTAL)
    other = _planned(tmp_path, "other", TOTAL, statistics=_BY_PROBABILITY)
    assert [len(read_looks(*run).histories["q4_k_m", "chosen"].earlier) for run in (same, other)] == [0, 1]
    assert history_notices(*same) == ()
    (notice,) = history_notices(*other)
    assert "goes by was changed from the benchmark's own metric to gold_probability" in notice


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_claim_by_one_score_confirms_none_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lang: str
) -> None:
    write = write_block

    def with_logliks(plan: Plan, block: PlannedBlock, score: Score) -> list[dict[str, Any]]:
        records = write(plan, block, score)
        likely = [one | {"choice_logliks": [-1, -3] if one["score"] else [-3, -1]} for one in records]
        Path(block.records_path).write_text("".join(json.dumps(one) + "\n" for one in likely))
        return records

    monkeypatch.setitem(_look.__globals__, "write_block", with_logliks)
    margins = {"accuracy": 0.05, "gold_probability": 0.05, "relative": 0.5}
    settings = {"margins": margins, "planned_items": 200}
    assert _look(tmp_path, "one", 200, statistics=settings)["verdict"] == "no_worse"
    row = _look(tmp_path, "two", 300, statistics={**settings, **_BY_PROBABILITY})
    assert (row["metric"], row["verdict"], row["verdict_grounds"]) == ("gold_probability", "undecided", ["looks_spent"])
    run = RunDirectory(tmp_path / "two")
    analysis = read_json(run.analysis)
    assert analysis["rules_fixed"] is False
    assert "score of the verdict changed" in summary_table(read_json(run.comparison), analysis)
    own = {"en": "from the benchmark's own metric to ", "ja": "ベンチマーク本来の指標 から "}[lang]
    assert any(own in text for text in _sentences(run, lang))


def test_a_tier_that_was_changed_is_told(tmp_path: Path) -> None:
    def planned(**statistics: Any) -> tuple[Plan, PipelineConfig, RunDirectory]:
        config, run = make_config(statistics=statistics), RunDirectory(tmp_path / "one")
        return make_plan(config, "one", run, make_inputs(), {}), config, run

    first = planned()
    note_begun(*first)
    assert history_notices(*first) == ()
    pool, tier = sorted(history_notices(*planned(tiers={"inform": ["chosen"]})))
    assert "The tier was changed from each to inform after the evaluation had begun" in tier
    assert tier.endswith("0 looks before): chosen.")
    assert "The mean over benchmarks was changed from asked 0.5, chosen 0.5 to none" in pool
