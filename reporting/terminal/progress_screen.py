"""The screen of a running pipeline, drawn as lines of text at any width, in Japanese or English.

The driver shows it while it works, `jobs.watch` shows it from elsewhere, and the PowerShell module draws the same lines
(`tests/monitor` holds both to the same screens). Characters stay within what the console fonts of Windows have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from reporting.terminal.layout import clean, display_width
from reporting.terminal.progress_words import CLOSING, PHASES, PROBLEMS, STATES, WORDS
from reporting.wording import VERDICTS

ScreenLang = Literal["ja", "en"]
_Row = Mapping[str, Any]

BAR_WIDTH = 40
_LEAST_BAR = 12
_GAP = "   "
_MOST_LISTED = 3
"""Failures, and pieces of work, that are shown; the others are counted."""
_MOST_NODES = 4
_MOST_GROUPS = 8
"""Arms, and benchmarks, whose cells are shown."""
_MARKS = {"passed": "[x]", "now": "[>]"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def draw(view: _Row, width: int, lang: ScreenLang) -> list[str]:
    """Return the screen as lines of at most `width` columns.

    Args:
        view: a `PipelineView` as JSON.
        width: columns, at least 20.
        lang: `ja` or `en`.
    """
    say = _Speaker(lang)
    lines = _head(view, width, say)
    if view["phase"] is not None:
        lines += _packed(_counts(view, say), _GAP, width)
        if view["state"] == "running":
            lines += _plan(view, width, say)
        lines += _listed(view["working_on"], width, say)
    lines += _resources(view, width, say)
    if view["elapsed_s"] is not None:
        lines += _packed(_times(view, say), _GAP, width)
    lines += _failures(view, width, say)
    if view["phase"] is None or view["state"] not in ("running", "pending"):
        lines += _end(view, width, say)
    if view["problem"]:
        lines += _folded("! " + say.of(PROBLEMS.get(view["problem"], (view["problem"],) * 2)), width)
    return [_cut(_plain(line), width).rstrip(" ") for line in lines]


class _Speaker:
    """Picks the language."""

    def __init__(self, lang: ScreenLang) -> None:
        self.lang = lang

    def of(self, pair: tuple[str, str]) -> str:
        return pair[0] if self.lang == "ja" else pair[1]

    def __call__(self, name: str, *values: object) -> str:
        return self.of(WORDS[name]).format(*values)


def _head(view: _Row, width: int, say: _Speaker) -> list[str]:
    """Return title, id and bar: on one line if there is room for a bar, else on two or three."""
    title, name = say("title"), str(view["pipeline_id"])
    words = f"{title}  {name}"
    if view["percent"] is None:
        return [words] if display_width(words) <= width else [title, name]
    share = f" {_whole(view['percent'])}%"
    room = width - display_width(words) - 2 - 2 - len(share)
    if room >= _LEAST_BAR:
        return [f"{words}  {_bar(view['percent'], min(room, BAR_WIDTH))}{share}"]
    own_line = _bar(view["percent"], min(width - 2 - len(share), BAR_WIDTH)) + share
    return [words, own_line] if display_width(words) <= width else [title, name, own_line]


def _bar(percent: float, width: int) -> str:
    filled = int(percent * width / 100)
    return f"[{'█' * filled}{' ' * (width - filled)}]"


def _counts(view: _Row, say: _Speaker) -> Iterable[str]:
    yield say("phase", say.of(PHASES.get(view["phase"], (view["phase"],) * 2)))
    if view["cells_done"] is not None and view["cells_total"] is not None:
        yield say("cells", view["cells_done"], view["cells_total"])
    yield say("failed", len(view["failures"]))
    if view["tokens_per_second"] is not None:
        yield f"{_whole(view['tokens_per_second']):,} tok/s"
    if view["attempts"] == 2:
        yield say("attempts_once")
    elif view["attempts"] > 2:
        yield say("attempts", view["attempts"] - 1)


def _plan(view: _Row, width: int, say: _Speaker) -> list[str]:
    """Return the phases passed and to come, and the cells done by arm and by benchmark."""
    phases = [
        f"{_MARKS.get(one['state'], '[ ]')} {say.of(PHASES.get(one['name'], (one['name'],) * 2))}"
        for one in view["phases"]
    ]
    lines = _packed(phases, "  ", width)
    for name in ("arms", "benchmarks"):
        groups = view[name]
        parts = [f"{one['name']} {one['cells_done']}/{one['cells_total']}" for one in groups[:_MOST_GROUPS]]
        if len(groups) > _MOST_GROUPS:
            parts.append(say("more", len(groups) - _MOST_GROUPS))
        if parts:
            lines += _packed([f"{say(name)}: {parts[0]}", *parts[1:]], " | ", width, indent="  ")
    return lines


def _resources(view: _Row, width: int, say: _Speaker) -> list[str]:
    """Return the use of resources: first of the job, then of each node by everything that runs there."""
    lines = []
    if view["cpu_percent"] is not None and view["state"] == "running":
        used = [f"{say('job')}: {say('cpu', _whole(view['cpu_percent']))}"]
        if view["memory_bytes"] is not None:
            used.append(say("memory", _gib(view["memory_bytes"])))
        lines += _packed(used, " | ", width)
    for node in view["nodes"][:_MOST_NODES]:
        parts = [
            f"{say('node', node['name'])}: {say('cpu', _whole(node['cpu_percent']))}",
            say("memory", _of(node["memory_used_bytes"], node["memory_total_bytes"])),
        ]
        parts += [_gpu(gpu) for gpu in node["gpus"]]
        lines += _packed(parts, " | ", width, indent="  ")
    if len(view["nodes"]) > _MOST_NODES:
        lines.append(say("more_nodes", len(view["nodes"]) - _MOST_NODES))
    return lines


def _gpu(gpu: _Row) -> str:
    share = "" if gpu["percent"] is None else f" {_whole(gpu['percent'])}%"
    memory = ""
    if gpu["memory_used_bytes"] is not None and gpu["memory_total_bytes"]:
        memory = f" {_of(gpu['memory_used_bytes'], gpu['memory_total_bytes'])}"
    return f"GPU{gpu['index']}{share}{memory}"


def _of(used_bytes: int, total_bytes: int) -> str:
    return f"{_tenths(used_bytes / 2**30)}/{_gib(total_bytes)}"


def _gib(n_bytes: int) -> str:
    return f"{_tenths(n_bytes / 2**30)} GiB"


def _whole(value: float) -> int:
    """Round half up. Python and .NET format halves differently, and both screens must be the same."""
    return math.floor(value + 0.5)


def _tenths(value: float) -> str:
    tenths = math.floor(10 * value + 0.5)
    return f"{tenths // 10}.{tenths % 10}"


def _times(view: _Row, say: _Speaker) -> Iterable[str]:
    yield say("elapsed", _clock(view["elapsed_s"]))
    if view["state"] == "running":
        left = view["seconds_left"]
        yield say("left_unknown") if left is None else say("left", _clock(left))


def _clock(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds; the hours may be more than 24."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest:02}"


def _end(view: _Row, width: int, say: _Speaker) -> list[str]:
    lines = [say("state", say.of(STATES[view["state"]]))]
    for headline in view["headlines"].get(say.lang, ()):
        lines += _folded(headline, width)
    verdicts = [
        f"{one['arm']}: {say.of(VERDICTS.get(one['verdict'], (one['verdict'],) * 2))}" for one in view["verdicts"]
    ]
    lines += _packed(verdicts, _GAP, width)
    return lines + [_cut("  " + _plain(line), width) for line in view["log_end"]]


# --- lines ----------------------------------------------------------------------------------------


def _packed(parts: Iterable[str], gap: str, width: int, indent: str = "") -> list[str]:
    """Put parts side by side, and go on with the next line, behind `indent`, where one has no room."""
    lines: list[str] = []
    for part in parts:
        if lines and display_width(lines[-1]) + len(gap) + display_width(part) <= width:
            lines[-1] += gap + part
        else:
            lines.append(indent + part if lines else part)
    return lines


def _listed(texts: Sequence[str], width: int, say: _Speaker) -> list[str]:
    lines = [_cut("- " + _plain(text), width) for text in texts[:_MOST_LISTED]]
    hidden = len(texts) - _MOST_LISTED
    return [*lines, "- " + say("more", hidden)] if hidden > 0 else lines


def _failures(view: _Row, width: int, say: _Speaker) -> list[str]:
    """Return what failed and why, at most two lines each."""
    lines = []
    for one in view["failures"][:_MOST_LISTED]:
        folded = _folded(f"! {one['unit']}: {one['error']}", width)
        lines += folded if len(folded) <= 2 else [folded[0], _cut(folded[1] + "...", width)]
    hidden = len(view["failures"]) - _MOST_LISTED
    return [*lines, "! " + say("more", hidden)] if hidden > 0 else lines


def _folded(text: str, width: int) -> list[str]:
    """Break a text at any character, but at the last space of a line if one is near its end.

    No line begins with a Japanese character that closes something: the character before it goes along.
    """
    lines, line = [], ""
    for character in _plain(text):
        if display_width(line + character) > width:
            head, space, word = line.rpartition(" ")
            if space and character != " " and display_width(word) < width // 2:
                lines.append(head)
                line = word
            elif character in CLOSING:
                lines.append(line[:-1])
                line = line[-1]
            else:
                lines.append(line)
                line = ""
        line += "" if character == " " and not line else character
    return [*lines, line] if line else lines


def _plain(text: str) -> str:
    """Return a text without colours and tabs, and with question marks in place of other control characters."""
    return clean(_COLOUR.sub("", text).replace("\t", " "))


def _cut(text: str, width: int) -> str:
    """Return a text that is cut to `width` columns; three dots stand for the rest."""
    if display_width(text) <= width:
        return text
    kept = ""
    for character in text:
        if display_width(kept + character) > width - 3:
            break
        kept += character
    return kept + "..."
