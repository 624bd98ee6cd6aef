"""`--methodology`: the user's own text in the documents of a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.orchestrator.plan import Plan
from actors.store import RunDirectory
from conf.environment import read_environment
from conf.files import write_json, write_text
from conf.load import dump_yaml
from conf.schema.pipeline import PipelineConfig
from jobs._request import Request
from jobs._run_files import is_finished
from reporting.file_names import in_languages
from tests.jobs.running import run, small_pipeline

PLAN = Plan("p", (), (), (), {}, (), (), (), "hash", (), {}, (), ())


def request_for(storage: Path, methodology: Path | None) -> Request:
    values = {"models": [{"name": "m", "path": "m.gguf"}], "storage": storage, "methodology": methodology}
    return Request(PipelineConfig.model_validate(values), "p", read_environment(), "a test", True, storage)


@pytest.fixture
def finished(tmp_path: Path) -> RunDirectory:
    """A run that is finished, with the user's own text as its methodology."""
    (tmp_path / "own.md").write_text("# Mine\n", encoding="utf-8")
    directory = RunDirectory(tmp_path / "p")
    write_text(directory.config, dump_yaml(request_for(tmp_path, tmp_path / "own.md").config))
    for text, scorecard in zip(
        in_languages(directory.methodology, "both"), in_languages(directory.scorecard, "both"), strict=True
    ):
        write_text(text, "# Mine\n")
        write_text(scorecard, "")
    write_json(directory.progress, {"state": "done"})
    write_json(directory.manifest, {"state": "done", "plan_hash": "hash", "files": [], "sha256": {}, "spared": []})
    return directory


def test_a_finished_run_is_finished_with_the_same_text_only(finished: RunDirectory, tmp_path: Path) -> None:
    own, other = tmp_path / "own.md", tmp_path / "other.md"
    assert is_finished(PLAN, finished, frozenset(), request_for(tmp_path, own))
    assert not is_finished(PLAN, finished, frozenset(), request_for(tmp_path, None))
    other.write_text("# Mine\n", encoding="utf-8")
    assert is_finished(PLAN, finished, frozenset(), request_for(tmp_path, other))
    other.write_text("# Another\n", encoding="utf-8")
    assert not is_finished(PLAN, finished, frozenset(), request_for(tmp_path, other))


def test_a_run_with_the_standard_text_is_written_again_with_the_users_own(
    finished: RunDirectory, tmp_path: Path
) -> None:
    write_text(finished.config, dump_yaml(request_for(tmp_path, None).config))
    assert is_finished(PLAN, finished, frozenset(), request_for(tmp_path, None))
    assert not is_finished(PLAN, finished, frozenset(), request_for(tmp_path, tmp_path / "own.md"))


@pytest.mark.slow
def test_the_documents_of_a_pipeline_have_the_users_own_text(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "own.md").write_text("# How we measured\n", encoding="utf-8")
    storage = tmp_path / "runs"
    ended = run("pipeline", *small_pipeline(tiny_model, storage, "own", "--methodology", str(tmp_path / "own.md")))
    assert ended.code == 0, ended.out + ended.err
    for written in in_languages(RunDirectory(storage / "own").methodology, "both"):
        assert written.read_text(encoding="utf-8") == "# How we measured\n"
