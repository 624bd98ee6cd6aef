"""Text that others wrote never reaches the terminal raw."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from actors.orchestrator.actor import View
from actors.store import RunDirectory
from conf.environment import Environment
from conf.schema.models import ModelEntry
from conf.schema.pipeline import PipelineConfig
from jobs import pipeline
from jobs._display import Lines
from jobs._follower import Follower
from jobs._request import Finished, Request
from jobs._terminal import complain, say
from tests.jobs.running import ROOT

HOSTILE = "\x1b]0;title\x07\nFAILED gsm8k: all is lost\x1b[2J"


def test_every_job_prints_through_one_module() -> None:
    printing = {
        path.name
        for path in (ROOT / "jobs").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == {"_terminal.py", "_stopping.py"}  # the latter prints a text of its own while it ends the process


def test_control_characters_are_shown_as_code_points(capsys: pytest.CaptureFixture[str]) -> None:
    say("日本\x1b[31m")
    complain("\x9bx")
    assert tuple(capsys.readouterr()) == ("日本⟨U+001B⟩[31m\n", "⟨U+009B⟩x\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_work_goes_on_when_nobody_reads_any_more(stream: str) -> None:
    work = "from jobs._terminal import complain, say\nfor _ in range(9): say('x'); complain('x')\nraise SystemExit(7)"
    reading, writing = os.pipe()
    os.close(reading)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
    ended = subprocess.run([sys.executable, "-c", work], cwd=ROOT, **pipes, check=False)  # type: ignore[call-overload]
    os.close(writing)
    other = ended.stderr if stream == "stdout" else ended.stdout
    assert (ended.returncode, other) == (7, b"x\n" * 9)


def test_a_key_of_a_configuration_cannot_forge_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text('"\\e]0;title\\a\\nFAILED gsm8k: all is lost\\e[2J": 1\n', encoding="utf-8")
    assert pipeline.main(["--config", str(path)]) == 2
    out, err = capsys.readouterr()
    assert "title" in err and not any(line.startswith("FAILED") for line in (out + err).splitlines())
    assert "\x1b" not in out + err and "\x07" not in out + err


def _is_clean(text: str) -> bool:
    forged = [line for line in text.splitlines() if line.startswith("FAILED gsm8k")]
    return not forged and not any(character in text for character in "\x1b\x07\x9b")


def test_progress_for_other_programs_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    failures = ({"unit": "u", "error": HOSTILE + "\x9b"},)
    view = View("evaluate", 0, 1, 0, 1, None, 0.0, None, (), 0, (), (HOSTILE,))
    shown = Follower("p", RunDirectory("unused"))._snapshot(view, "failed")
    Lines().show(replace(shown, failures=failures))
    out = capsys.readouterr().out
    assert _is_clean(out)
    (line,) = [line for line in out.splitlines() if line.startswith("PROGRESS ")]
    assert json.loads(line.removeprefix("PROGRESS "))["failures"] == list(failures)


def test_errors_of_endpoints_and_functions_cannot_forge_a_line(tmp_path: Path) -> None:
    config = PipelineConfig(models=(ModelEntry(name="m", path="m.gguf"),))
    request = Request(config, "p", Environment(None, None, None, tmp_path), "c", True, tmp_path)
    failures = ({"unit": "records/x", "phase": "evaluate", "error": f"EndpointFailed: {HOSTILE}"},)
    text = pipeline.closing(request, Finished(RunDirectory(tmp_path), failures, (HOSTILE,), nothing_to_do=False))
    assert _is_clean(text) and "EndpointFailed" in text
