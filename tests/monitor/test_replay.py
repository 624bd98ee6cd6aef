"""The replay server enforces what Ray's dashboard enforces, and runs where there is only an old Python."""

from __future__ import annotations

import ast
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitor.playing import replayed, seen
from tests.monitor.replay import HERE, Dashboard

OURS = {"User-Agent": "QuantAssay/0"}
BROWSER = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0)"}


@pytest.fixture(scope="module")
def server() -> Iterator[Dashboard]:
    with replayed() as started:
        yield started


def ask(address: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None) -> tuple[int, str]:
    request = urllib.request.Request(address, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("headers", [BROWSER, {**OURS, "Origin": "http://x"}, {**OURS, "Sec-Fetch-Mode": "cors"}])
def test_a_browser_may_read_and_not_write(server: Dashboard, headers: dict[str, str]) -> None:
    address = f"{server.address}/browser/steer/api/jobs/"
    assert ask(address, headers)[0] == 200
    assert ask(address, headers, "POST", b"{}") == (405, "'POST' method not allowed for browser traffic.")
    assert ask(address, OURS, "POST", b"{}")[0] == 200


def test_the_token_is_asked_for_in_the_words_of_ray(server: Dashboard) -> None:
    address = f"{server.address}/token/token_running/api/jobs/"
    assert ask(address, OURS) == (401, "Unauthorized: Missing authentication token")
    assert ask(address, {**OURS, "Authorization": "Bearer x"}) == (403, "Forbidden: Invalid authentication token")
    assert ask(address, {**OURS, "Authorization": "Bearer replayed-token"})[0] == 200
    assert ask(address, {**OURS, "x-ray-authorization": "Bearer replayed-token"})[0] == 200


def test_paths_are_exact(server: Dashboard) -> None:
    assert ask(f"{server.address}/paths/steer/api/jobs", OURS)[0] == 404
    assert ask(f"{server.address}/paths/no_such_conversation/api/jobs/", OURS) == (404, "404: Not Found")


def test_a_job_of_type_driver_is_not_stopped(server: Dashboard) -> None:
    answer = ask(f"{server.address}/stop/steer/api/jobs/03000000/stop", OURS, "POST", b"")
    assert answer == (400, "Can only stop submission type jobs")


def test_each_run_begins_at_the_beginning_and_the_last_answer_is_repeated(server: Dashboard) -> None:
    address = "server_error/api/jobs/"
    assert [ask(f"{server.address}/one/{address}", OURS)[0] for _ in range(3)] == [500, 200, 200]
    assert ask(f"{server.address}/two/{address}", OURS)[0] == 500


def test_what_was_asked_can_be_read(server: Dashboard) -> None:
    ask(f"{server.address}/asked/steer/api/jobs/?a=1", OURS, "POST", json.dumps({"entrypoint": "true"}).encode())
    (one,) = seen(server, "asked", "steer")
    assert (one["method"], one["path"], one["query"]) == ("POST", "api/jobs/", {"a": "1"})
    assert (one["user_agent"], one["has_token"]) == ("QuantAssay/0", False)
    assert json.loads(one["body"]) == {"entrypoint": "true"}


def test_it_needs_nothing_but_an_old_python() -> None:
    source = (HERE / "replay.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    } | {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)


def test_a_folder_of_conversations_may_lie_anywhere(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    talk = {"about": "x", "exchanges": [{"method": "GET", "path": "x", "answers": [{"status": 200, "body": "y"}]}]}
    (tmp_path / "one" / "conversation.json").write_text(json.dumps(talk), encoding="utf-8")
    with replayed(tmp_path) as server:
        assert ask(f"{server.address}/a/one/x", OURS) == (200, "y")
