"""The progress on a terminal and for other programs."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from actors.orchestrator.progress import Snapshot
from jobs import _display
from jobs._display import Lines, LiveBar, describe, screen
from reporting.terminal.layout import display_width
from reporting.validate import validate

RUNNING = Snapshot(
    schema_version=1,
    pipeline_id="p",
    state="running",
    phase="evaluate",
    done=5,
    total=20,
    cells_done=5,
    cells_total=15,
    percent=40.0,
    tokens_per_second=1234.0,
    elapsed_s=75.0,
    seconds_left=125.0,
    cpu_percent=190.0,
    memory_bytes=2**30,
    process_id=1,
    workers=2,
    failures=(),
    notices=(),
    updated_at="2025-01-01T00:00:00+00:00",
    working_on=("q8_0 on gsm8k", "q4_k_m on gsm8k"),
    phases=(
        {"name": "quantize", "state": "passed"},
        {"name": "evaluate", "state": "now"},
        {"name": "statistics", "state": "to_come"},
    ),
    arms=(
        {"name": "q8_0", "cells_done": 3, "cells_total": 5},
        {"name": "q4_k_m", "cells_done": 2, "cells_total": 10},
    ),
    benchmarks=({"name": "gsm8k", "cells_done": 5, "cells_total": 15},),
)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_display, "time", clock)
    return clock


def _progress_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("PROGRESS ")]


def test_programs_get_a_line_every_five_seconds_while_only_resources_change(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()
    for second in range(11):
        clock.now = 100.0 + second
        lines.show(replace(RUNNING, elapsed_s=float(second), cpu_percent=10.0 * second, tokens_per_second=second + 1.0))
    assert len(_progress_lines(capsys)) == 3  # after 0, 5 and 10 seconds


@pytest.mark.parametrize(
    "change",
    [{"done": 6}, {"cells_done": 6}, {"working_on": ("q8_0 on math",)}, {"failures": ({"unit": "u", "error": "e"},)}],
)
def test_work_that_is_done_or_begun_is_told_within_a_second(
    change: dict[str, object], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()
    lines.show(RUNNING)
    clock.now += 0.5
    lines.show(replace(RUNNING, **change))  # type: ignore[arg-type]
    assert len(_progress_lines(capsys)) == 1
    clock.now += 0.5
    lines.show(replace(RUNNING, **change))  # type: ignore[arg-type]
    (line,) = _progress_lines(capsys)
    validate("progress", json.loads(line.removeprefix("PROGRESS ")))


def test_a_new_state_is_told_at_once(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.show(RUNNING)
    lines.show(replace(RUNNING, state="done", phase="done"))
    assert len(_progress_lines(capsys)) == 2


def test_the_screen_shows_phases_arms_and_benchmarks_and_fits_80_columns() -> None:
    many = replace(RUNNING, working_on=tuple(f"日本語の非常に長い名前~q{n} on gsm8k" for n in range(8)))
    for snapshot in (
        RUNNING,
        many,
        replace(RUNNING, elapsed_s=4e5, seconds_left=9e5, failures=({"unit": "a" * 99, "error": "b" * 999},) * 9),
    ):
        lines = screen(snapshot, 80)
        assert max(map(display_width, lines)) <= 80
        shown = "\n".join(lines)
        assert snapshot.working_on[0] in shown
        assert "[x] quantizing  [>] evaluating  [ ] statistics" in shown
        assert "arms: q8_0 3/5 | q4_k_m 2/10" in shown
        assert "benchmarks: gsm8k 5/15" in shown


def test_the_bar_keeps_markup_and_escape_codes_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(_display, "Console", lambda: Console(file=shown, width=80, force_terminal=True))
    with LiveBar() as bar:
        bar.show(replace(RUNNING, working_on=("[red]q8_0[/red]\x1b]0;title\x07",)))
    assert "[red]q8_0[/red]?]0;title?" in shown.getvalue()


def test_a_plain_line_says_the_times_first() -> None:
    assert describe(RUNNING) == (
        "1:15 elapsed, about 2:05 left  cells 5/15  1,234 tok/s  CPU 190%  memory 1.0 GiB"
        "  q8_0 on gsm8k; q4_k_m on gsm8k"
    )
