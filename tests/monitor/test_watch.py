"""`python -m jobs.watch`: exit codes, plain lines, and the screen that is overwritten in place."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs import watch
from tests.monitor.playing import expected, replayed
from tests.monitor.replay import HERE
from tests.monitor.replay import Dashboard as Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere")
    with replayed() as started:
        yield started


def watched(server: Server, name: str, *more: str) -> int:
    return watch.main(["--pipeline-id", "demo", "--address", f"{server.address}/run/{name}", *more])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("succeeded", 0),
        ("failed", 1),
        ("failed_early", 1),
        ("stopped", 3),
        ("no_pipeline", 2),
        ("token_missing", 1),
        ("html", 1),
    ],
)
def test_the_exit_code_says_how_it_ended(server: Server, name: str, code: int) -> None:
    assert watched(server, name) == code
    assert watched(server, name, "--once") == code


def test_once_shows_the_screen_of_a_running_pipeline(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert watched(server, "old_clock", "--once", "--lang", "ja") == 0
    assert capsys.readouterr().out.splitlines() == expected("old_clock")["looks"][0]["screens"]["ja"]["80"]


def pause_with(monkeypatch: pytest.MonkeyPatch, pause: Callable[[float], None]) -> None:
    """Replace the pause between two looks. The server of this process has pauses of its own."""
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))


def talk(folder: Path, logs: list[str], statuses: list[str]) -> None:
    """Write a conversation whose job has these logs and states, one after the other."""
    source = json.loads((HERE / "succeeded" / "conversation.json").read_text(encoding="utf-8"))
    listed, _, tail = source["exchanges"]
    whole: str = tail["answers"][0]["body"]
    (job,) = listed["answers"][0]["json"]
    listed["answers"] = [{"status": 200, "json": [{**job, "status": status}]} for status in statuses]
    tail["answers"] = [{"status": 200, "body": log or whole} for log in logs]
    (folder / "made").mkdir()
    (folder / "made" / "conversation.json").write_text(json.dumps(source), encoding="utf-8")


def progress(**values: Any) -> str:
    """Return the progress line of a running pipeline with other values."""
    source = json.loads((HERE / "old_clock" / "conversation.json").read_text(encoding="utf-8"))
    line = source["exchanges"][2]["answers"][0]["body"].splitlines()[-1]
    return f"PROGRESS {json.dumps({**json.loads(line.removeprefix('PROGRESS ')), **values})}\n"


def test_without_a_terminal_there_is_a_line_for_each_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pause_with(monkeypatch, lambda _: None)
    logs = [progress(), progress(cpu_percent=3.0, elapsed_s=9999.0, memory_bytes=1), progress(percent=90.0), ""]
    talk(tmp_path, logs, ["RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"])
    with replayed(tmp_path) as server:
        assert watched(server, "made") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert [share in line for share, line in zip(("85%", "90%", "100%"), lines, strict=True)] == [True] * 3
    assert "State: done" in lines[2]
    assert "\x1b" not in "".join(lines)


def test_it_goes_on_when_a_dashboard_that_has_answered_starts_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    pause_with(monkeypatch, slept.append)
    talk(tmp_path, [progress(), ""], ["RUNNING", "SUCCEEDED"])
    path = tmp_path / "made" / "conversation.json"
    value = json.loads(path.read_text())
    first, last = value["exchanges"][0]["answers"]
    faults: list[dict[str, Any]] = [{"cut": True}, {"status": 403}, {"status": 404}, {"status": 429}, {"status": 429}]
    value["exchanges"][0]["answers"] = [first, *faults, last]
    path.write_text(json.dumps(value))
    with replayed(tmp_path) as server:
        assert watched(server, "made") == 0
    assert slept == [2.0, 2.0, 2.0, 2.0, 4.0, 8.0]
    out = capsys.readouterr().out
    assert out.count("The dashboard does not answer.") == 1
    assert "State: done" in out.splitlines()[-1]


def test_it_ends_when_nothing_has_answered_for_long(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pause_with(monkeypatch, lambda _: None)
    monkeypatch.setattr(watch, "PATIENCE_S", 0.0)
    assert watch.main(["--pipeline-id", "demo", "--address", "http://127.0.0.1:9"]) == 1


def test_ctrl_c_ends_with_130(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    pause_with(monkeypatch, interrupt)
    assert watched(server, "old_clock") == 130


@pytest.mark.parametrize("words", [["--interval", "0.1"], ["--interval", "nan"], ["--interval", "4000"]])
def test_an_interval_out_of_range_is_bad_input(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        watch.main(["--pipeline-id", "demo", *words])
    assert ended.value.code == 2


def test_a_bad_address_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert watch.main(["--pipeline-id", "demo", "--address", "nowhere"]) == 2
    assert "--address" in capsys.readouterr().err


def test_on_a_terminal_the_screen_is_overwritten_in_place(tmp_path: Path) -> None:
    talk(tmp_path, [progress(), progress(percent=90.0), ""], ["RUNNING", "RUNNING", "SUCCEEDED"])
    master, slave = pty.openpty()
    with replayed(tmp_path) as server:
        address = f"{server.address}/run/made"
        command = [sys.executable, "-m", "jobs.watch", "--pipeline-id", "demo", "--address", address, "--interval", "1"]
        environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "RAY_AUTH_TOKEN_PATH": "/nowhere"}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=slave, stdin=slave) as process:
            os.close(slave)
            shown = b"".join(iter(lambda: _read(master), b"")).decode()
            assert process.wait(60) == 0
    os.close(master)
    assert "\x1b[1A" in shown
    assert "\x1b[2J" not in shown
    assert shown.rstrip().splitlines()[-1].startswith("q8_0: no worse") or "State: done" in shown


def _read(terminal: int) -> bytes:
    """Return what a program has written to a terminal; nothing once it has ended."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
