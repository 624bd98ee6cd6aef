"""The progress of work on large files: what is shown when, and how long the rest takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.hashing import file_sha256
from actors.llama.gguf_file import read_header
from actors.orchestrator.sources import hashes
from actors.orchestrator.sources.hashes import HashCache
from jobs import _counter
from jobs._counter import TerminalReporter

MIB = 2**20


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(_counter.time, "monotonic", lambda: self.now_s)


def test_plain_lines_tell_how_long_the_rest_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with TerminalReporter().transfer("reading x", total_bytes=1000 * MIB) as report:
        report(MIB)
        for _ in range(2):
            clock.now_s += 10
            report(50 * MIB)
    # 51 MiB in 10 s: 949 MiB take 186 s more. Then 101 in 20 s: 178 s more.
    assert capsys.readouterr().out == (
        "reading x: 51.0 of 1,000.0 MiB, about 3 min left\n"
        "reading x: 101.0 of 1,000.0 MiB, about 3 min left\n"
        "reading x: 101.0 MiB in 20.0 s\n"
    )


@pytest.mark.parametrize(("took_s", "shown"), [(2.0, ""), (4.0, "reading x: 2.0 MiB in 4.0 s\n")])
def test_work_that_ends_in_the_quiet_time_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], took_s: float, shown: str
) -> None:
    clock = Clock(monkeypatch)
    with TerminalReporter().transfer("reading x", total_bytes=MIB, quiet_s=3.0) as report:
        report(MIB)
        clock.now_s += took_s
        report(MIB)
    assert capsys.readouterr().out == shown


def test_the_check_of_a_large_file_is_told(
    tiny_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    header, cache = read_header(tiny_path), HashCache(tmp_path, TerminalReporter())
    monkeypatch.setattr(hashes, "check_loads", lambda *_, **__: None)
    cache.check_once(header, "a", key="--model", got="tiny")
    assert capsys.readouterr().out == ""
    for _ in range(2):  # the second time, it is known
        cache.check_once(replace(header, size_bytes=hashes.LARGE_BYTES), "b", key="--model", got="tiny")
    assert capsys.readouterr().out == "Checking that llama.cpp loads tiny.gguf\n"


def test_a_large_file_is_hashed_with_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, clock = tmp_path / "large.gguf", Clock(monkeypatch)
    path.write_bytes(bytes(3 * MIB) + b"end")
    slow = _counter.Transfer._advance

    def advance(transfer: _counter.Transfer, n_bytes: int) -> None:
        slow(transfer, n_bytes)
        clock.now_s += 10  # seconds for each MiB

    monkeypatch.setattr(_counter.Transfer, "_advance", advance)
    cache = HashCache(tmp_path, TerminalReporter())
    assert cache.sha256(str(path)) == file_sha256(path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "reading large.gguf for its hash: 2.0 of 3.0 MiB, about 5 s left"
    assert lines[-1] == "reading large.gguf for its hash: 3.0 MiB in 40.0 s"
    assert cache.sha256(str(path)) and capsys.readouterr().out == ""  # known now
