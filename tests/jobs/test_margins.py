"""Margins are fixed before a run: a run that is started again with others says so."""

from __future__ import annotations

from pathlib import Path

from actors.store import RunDirectory, write_json
from conf.schema import PipelineConfig
from jobs._preflight import settings_of
from jobs._runner import changed_margins


def _config(accuracy: float) -> PipelineConfig:
    margins = {"margins": {"accuracy": accuracy}}
    return PipelineConfig.model_validate({"models": [{"name": "m", "path": "m.gguf"}], "statistics": margins})


def test_a_run_that_is_started_again_with_other_margins_says_so(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert changed_margins(run, _config(0.01)) == []
    write_json(run.plan, {"settings": settings_of(_config(0.01))})
    assert changed_margins(run, _config(0.01)) == []
    (notice,) = changed_margins(run, _config(0.05))
    assert "0.01" in notice
    assert "0.05" in notice


def test_a_run_from_before_there_were_margins_has_nothing_to_compare(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    write_json(run.plan, {"settings": {"runs": 5}})
    assert changed_margins(run, _config(0.05)) == []
