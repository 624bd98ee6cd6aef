"""`jobs.watch` sees and draws in each conversation what must come of it. The PowerShell tests play the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import pytest

from jobs._dashboard import ANSWER_S, MAX_TAIL_BYTES, Dashboard, Problem
from jobs._watched import NO_PROGRESS_YET, NO_SUCH_PIPELINE, NOT_STARTED, ViewState
from jobs.watch import look
from reporting.terminal.layout import display_width
from reporting.terminal.progress_screen import draw
from tests.monitor.playing import conversations, expected, replayed, seen
from tests.monitor.replay import HERE
from tests.monitor.replay import Dashboard as Server

LANGUAGES: tuple[Literal["ja", "en"], ...] = ("ja", "en")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with replayed() as started:
        yield started


@pytest.mark.parametrize("name", conversations())
def test_it_sees_and_draws_what_must_come(server: Server, name: str) -> None:
    wanted = expected(name)
    view = None
    with Dashboard(f"{server.address}/twin/{name}", wanted["token"], wanted["answer_s"] or ANSWER_S) as dashboard:
        for one in wanted["looks"]:
            view = look(dashboard, wanted["pipeline_id"], view)
            assert view.as_json() == one["view"]
            for lang in LANGUAGES:
                for width, lines in one["screens"][lang].items():
                    assert draw(view.as_json(), int(width), lang) == lines
                    assert max(map(display_width, lines)) <= int(width)
    asked = seen(server, "twin", name)
    assert {one["method"] for one in asked} == {"GET"}
    assert all(one["user_agent"].startswith("QuantAssay/") for one in asked)
    assert {one["has_token"] for one in asked} == {wanted["token"] is not None}


def test_no_line_of_the_log_is_asked_for_without_a_limit(server: Server) -> None:
    with Dashboard(f"{server.address}/limits/long_log", None) as dashboard:
        look(dashboard, "demo")
    lines = [int(one["query"]["lines"]) for one in seen(server, "limits", "long_log") if "lines" in one["query"]]
    assert lines == [20, 2]
    assert MAX_TAIL_BYTES == 102_400


def test_each_state_and_each_problem_occurs_in_some_conversation() -> None:
    views: list[dict[str, Any]] = [one["view"] for name in conversations() for one in expected(name)["looks"]]
    assert {view["state"] for view in views} == set(get_args(ViewState))
    own = {NO_SUCH_PIPELINE, NOT_STARTED, NO_PROGRESS_YET}
    assert {view["problem"] for view in views} - {None} == {problem.value for problem in Problem} | own


def test_every_conversation_says_what_it_is_about_and_names_no_machine() -> None:
    for path in HERE.glob("*/conversation.json"):
        text = path.read_text(encoding="utf-8")
        assert '"about": "' in text, path
        assert [word for word in ("/work", "/root", "/home", "192.168.", "qr-") if word in text] == [], path
