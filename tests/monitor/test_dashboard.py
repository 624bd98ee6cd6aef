"""The client of the dashboard: what it sends, what it refuses, and what it never does with the token."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.environment import read_ray_token
from conf.faults import BadInput
from jobs._dashboard import MAX_BYTES, Dashboard, DashboardError, Problem
from tests.monitor.playing import replayed, seen
from tests.monitor.replay import Dashboard as Server
from tests.raw_server import page, raw_server

TOKEN = "a-token-that-nobody-may-see"


@pytest.fixture
def server() -> Iterator[Server]:
    with replayed() as started:
        yield started


def problem_of(address: str, answer_s: float = 5.0) -> Problem:
    with Dashboard(address, TOKEN, answer_s) as dashboard, pytest.raises(DashboardError) as caught:
        dashboard.jobs()
    shown = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in shown
    return caught.value.problem


def test_a_slow_trickle_ends_at_the_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with raw_server([head, *[b" "] * 100], pause_s=0.1) as address:
        assert problem_of(address, answer_s=0.5) is Problem.TIMED_OUT


def test_too_long_an_answer_is_not_read_to_its_end() -> None:
    with raw_server(page(b"[" + b" " * MAX_BYTES + b"]"), pause_s=0) as address:
        assert problem_of(address) is Problem.NO_DASHBOARD


def test_deeply_nested_json_is_no_dashboard() -> None:
    with raw_server(page(b"[" * 100_000), pause_s=0) as address:
        assert problem_of(address) is Problem.NO_DASHBOARD


@pytest.mark.parametrize("answer", [b"not http at all\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n["])
def test_what_is_no_answer_is_unreachable(answer: bytes) -> None:
    with raw_server([answer], pause_s=0) as address:
        assert problem_of(address) is Problem.UNREACHABLE


def test_nobody_listens() -> None:
    assert problem_of("http://127.0.0.1:9") is Problem.UNREACHABLE


def test_a_redirect_is_not_followed(server: Server) -> None:
    with raw_server(page(b"[]"), pause_s=0) as other:
        head = f"HTTP/1.1 302 Found\r\nLocation: {other}/api/jobs/\r\nContent-Length: 0\r\n\r\n".encode()
        with raw_server([head], pause_s=0) as address:
            assert problem_of(address) is Problem.NO_DASHBOARD


def test_a_proxy_of_the_environment_does_not_catch_loopback(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Dashboard(f"{server.address}/proxy/succeeded", None) as dashboard:
        assert len(dashboard.jobs()) == 1


def test_the_token_goes_to_the_dashboard_alone(server: Server) -> None:
    with Dashboard(f"{server.address}/token/token_running/", "replayed-token") as dashboard:
        assert [job["submission_id"] for job in dashboard.jobs()] == ["qa-demo"]
    assert [one["has_token"] for one in seen(server, "token", "token_running")] == [True]


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1:8265", "ftp://h:1", "http://", "http://user:pass@h:8265", "http://h/?token=pass", "http://h:x"],
)
def test_an_address_that_is_none_is_bad_input(address: str) -> None:
    with pytest.raises(BadInput) as caught:
        Dashboard(address, TOKEN)
    assert "--address" in str(caught.value)
    assert "pass" not in str(caught.value).replace("password", "")


def test_the_token_is_looked_for_where_ray_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    assert read_ray_token() is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("from-home\n")
    assert read_ray_token() == "from-home"
    (tmp_path / "other").write_text(" from-path ")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "other"))
    assert read_ray_token() == "from-path"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "from-variable")
    assert read_ray_token() == "from-variable"
