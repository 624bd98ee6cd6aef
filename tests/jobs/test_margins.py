"""Settings that must not change after results were seen: a run that is started again with others gives a notice."""

from __future__ import annotations

from pathlib import Path

from actors.orchestrator.planning.published import settings_of
from actors.store import RunDirectory, write_json
from conf.schema import PipelineConfig
from jobs._run_files import changed_margins, looked_before


def _config(accuracy: float) -> PipelineConfig:
    margins = {"margins": {"accuracy": accuracy}}
    return PipelineConfig.model_validate({"models": [{"name": "m", "path": "m.gguf"}], "statistics": margins})


def test_a_run_that_is_started_again_with_other_margins_gives_a_notice(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert changed_margins(run, _config(0.01)) == []
    write_json(run.plan, {"settings": settings_of(_config(0.01))})
    assert changed_margins(run, _config(0.01)) == []
    (notice,) = changed_margins(run, _config(0.05))
    assert "0.01" in notice
    assert "0.05" in notice


def test_a_run_without_margins_in_its_plan_gives_no_notice(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    write_json(run.plan, {"settings": {"runs": 5}})
    assert changed_margins(run, _config(0.05)) == []


def test_a_run_that_continues_without_early_stop_gives_a_notice(tmp_path: Path) -> None:
    run, plain = RunDirectory(tmp_path), _config(0.01)
    early = plain.model_copy(update={"statistics": plain.statistics.model_copy(update={"early_stop": True})})
    assert looked_before(run, plain) == []
    write_json(run.plan, {"settings": settings_of(early)})
    assert looked_before(run, early) == []
    (notice,) = looked_before(run, plain)
    assert "--early-stop" in notice
