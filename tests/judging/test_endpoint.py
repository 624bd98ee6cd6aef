"""Judges behind an endpoint: what is sent, what a server may refuse, and servers that misbehave."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest

from actors.errors import EndpointFailed, EndpointRefused
from actors.items import Message
from actors.judging.asking import Declined, JudgeCall, Reply
from actors.judging.endpoint import EndpointJudge
from actors.orders import Endpoint
from tests.conftest import ignore
from tests.judging.completion_server import Response, completion_server, refused, said
from tests.judging.orders import RULES, verdict
from tests.raw_server import raw_server

KEY = "sk-judge-very-secret"


def call(number: int = 0, text: str = "score it") -> JudgeCall:
    return JudgeCall(f"key {number}", (Message("system", "be fair"), Message("user", text)), number, (1, 5))


@contextlib.contextmanager
def judge_at(
    url: str, *, attempts: int = 3, concurrency: int = 4, timeout_s: float = 20.0, key: str | None = KEY
) -> Iterator[EndpointJudge]:
    judge = EndpointJudge(Endpoint(url, "judge-model", concurrency, timeout_s, attempts), RULES, key)
    try:
        yield judge
    finally:
        judge.close()


def ask(judge: EndpointJudge, calls: list[JudgeCall]) -> dict[str, Reply | Declined]:
    found: dict[str, Reply | Declined] = {}
    judge.ask(calls, lambda call, reply: found.update({call.key: reply}), ignore)
    return found


def form_of(body: dict[str, Any]) -> str:
    return str(body.get("response_format", {}).get("type", "text"))


def test_what_is_asked_and_what_comes_back() -> None:
    tokens: list[int] = []
    with completion_server(lambda number, body: said(verdict(4))) as (url, requests), judge_at(url) as judge:
        found: dict[str, Reply | Declined] = {}
        judge.ask([call(0), call(1)], lambda one, reply: found.update({one.key: reply}), tokens.append)
    assert found["key 0"] == Reply(verdict(4), "real-name", "fp_7", 50, 10) and sum(tokens) == 120
    body = requests[0].body
    assert (requests[0].path, requests[0].authorization) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert body["messages"] == [{"role": "system", "content": "be fair"}, {"role": "user", "content": "score it"}]
    settings = {name: body[name] for name in ("model", "temperature", "max_tokens", "seed")}
    assert settings == {"model": "judge-model", "temperature": 0.7, "max_tokens": 200, "seed": 0}
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True and schema["schema"]["properties"]["score"]["enum"] == [1, 2, 3, 4, 5]
    assert list(schema["schema"]["properties"]) == ["reason", "score"], "a judge reasons before it scores"


@pytest.mark.parametrize("known", ["json_object", "text"])
@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_json_schema_is_asked_in_a_weaker_form_and_that_is_remembered(known: str, status: int) -> None:
    order = ["json_schema", "json_object", "text"]

    def reply(number: int, body: dict[str, Any]) -> Response:
        accepted = order.index(form_of(body)) >= order.index(known)
        return said(verdict(3)) if accepted else refused("This response_format type is unavailable now", status)

    with completion_server(reply) as (url, requests), judge_at(url) as judge:
        assert len(ask(judge, [call(number) for number in range(5)])) == 5
        assert len(ask(judge, [call(9)])) == 1
    assert [form_of(one.body) for one in requests] == [*order[: order.index(known)], *[known] * 6]


def test_models_that_know_another_name_of_the_token_limit_and_no_seed_are_asked_so() -> None:
    def reply(number: int, body: dict[str, Any]) -> Response:
        for name in ("max_tokens", "seed"):
            if name in body:
                return refused(f"Unsupported parameter: '{name}'", param=name, code="unsupported_parameter")
        return said(verdict(3))

    with completion_server(reply) as (url, requests), judge_at(url) as judge:
        ask(judge, [call(0), call(1)])
    assert len(requests) == 4
    assert requests[-1].body["max_completion_tokens"] == 200 and form_of(requests[-1].body) == "json_schema"


def test_a_call_that_is_refused_in_every_form_is_declined_and_others_keep_their_form() -> None:
    def reply(number: int, body: dict[str, Any]) -> Response:
        filtered = body["messages"][1]["content"] == "bad"
        return refused(f"content filter, key {KEY}") if filtered else said(verdict(3))

    with completion_server(reply) as (url, requests), judge_at(url, concurrency=1) as judge:
        found = ask(judge, [call(0, "bad"), call(1), call(2)])
    declined = found["key 0"]
    assert isinstance(declined, Declined) and "content filter" in declined.reason and KEY not in declined.reason
    assert isinstance(found["key 1"], Reply) and isinstance(found["key 2"], Reply)
    assert [form_of(one.body) for one in requests[3:]] == ["json_schema"] * 2


def test_a_judge_that_refuses_everything_has_failed() -> None:
    with (
        completion_server(lambda number, body: refused("'temperature' must be 1", param="temperature")) as (url, _),
        judge_at(url) as judge,
        pytest.raises(EndpointFailed, match=r"refused every call.*'temperature' must be 1"),
    ):
        ask(judge, [call(0), call(1)])


def test_a_judge_that_has_answered_may_refuse_all_calls_of_a_later_ask() -> None:
    def reply(number: int, body: dict[str, Any]) -> Response:
        return said("no verdict") if number == 1 else refused("filtered")

    with completion_server(reply) as (url, _), judge_at(url) as judge:
        assert isinstance(ask(judge, [call(0)])["key 0"], Reply)
        assert isinstance(ask(judge, [call(0)])["key 0"], Declined)


def test_no_more_calls_run_at_a_time_than_allowed() -> None:
    lock = threading.Lock()
    running, most = 0, 0

    def reply(number: int, body: dict[str, Any]) -> Response:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.03)
        with lock:
            running -= 1
        return said(verdict(3))

    with completion_server(reply) as (url, requests), judge_at(url, concurrency=3) as judge:
        assert len(ask(judge, [call(number) for number in range(13)])) == 13
    assert (most, len(requests)) == (3, 13)


def test_a_busy_server_is_asked_again_when_it_says() -> None:
    times: list[float] = []

    def reply(number: int, body: dict[str, Any]) -> Response:
        times.append(time.monotonic())
        return Response(b"{}", 429, {"Retry-After": "1"}) if number == 1 else said(verdict(3))

    with completion_server(reply) as (url, _), judge_at(url) as judge:
        assert len(ask(judge, [call()])) == 1
    assert times[1] - times[0] >= 1.0, "its first pause alone would be half a second"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_says_no_time_is_asked_again_a_few_times(status: int) -> None:
    def reply(number: int, body: dict[str, Any]) -> Response:
        return Response(b"busy", status) if number == 1 else said(verdict(3))

    with completion_server(reply) as (url, requests), judge_at(url) as judge:
        assert len(ask(judge, [call()])) == 1
    assert len(requests) == 2


@pytest.mark.parametrize(("status", "attempts"), [(429, 5), (429, 1), (503, 5)])
def test_a_server_that_wants_a_pause_of_hours_is_refused_with_the_time_when_to_go_on(
    status: int, attempts: int
) -> None:
    """It comes again however often one asks, so no other block of the judge is tried either."""
    started = time.monotonic()
    told = (
        r"asks to wait 86,400 s, until 20..-..-.. ..:.. UTC\. A job waits 120 s at most: start the same command again"
    )
    with (
        completion_server(lambda number, body: Response(b"{}", status, {"Retry-After": "86400"})) as (url, requests),
        judge_at(url, attempts=attempts) as judge,
        pytest.raises(EndpointRefused, match=told),
    ):
        ask(judge, [call()])
    assert len(requests) == 1 and time.monotonic() - started < 10


def test_a_pause_within_the_time_limit_of_an_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    def reply(number: int, body: dict[str, Any]) -> Response:
        in_two_hundred_seconds = formatdate(time.time() + 200.5, usegmt=True)
        asked = {1: "250", 2: in_two_hundred_seconds}.get(number)
        return said(verdict(3)) if asked is None else Response(b"{}", 429, {"Retry-After": asked})

    monkeypatch.setattr("actors.engines.endpoint_client.asyncio.sleep", sleep)
    with completion_server(reply) as (url, requests), judge_at(url, timeout_s=300.0) as judge:
        assert len(ask(judge, [call()])) == 1
    assert len(requests) == 3
    assert pauses[0] == 250.0 and 190 < pauses[1] <= 201


@pytest.mark.parametrize("asked", ["soon", "", "nan", "-5"])
def test_a_pause_that_is_none_is_not_waited_for(asked: str) -> None:
    with (
        completion_server(lambda number, body: Response(b"{}", 429, {"Retry-After": asked})) as (url, requests),
        judge_at(url, attempts=2) as judge,
        pytest.raises(EndpointFailed, match="RateLimitError") as raised,
    ):
        ask(judge, [call()])
    assert not isinstance(raised.value, EndpointRefused) and len(requests) == 2


def test_replies_before_a_failure_are_kept_and_no_call_begins_after_it() -> None:
    def reply(number: int, body: dict[str, Any]) -> Response:
        return said(verdict(3)) if number <= 3 else Response(f"no more for {KEY}".encode(), 500)

    found: dict[str, Reply | Declined] = {}
    with completion_server(reply) as (url, requests), judge_at(url, attempts=1, concurrency=2) as judge:
        with pytest.raises(EndpointFailed) as raised:
            judge.ask([call(n) for n in range(20)], lambda one, reply: found.update({one.key: reply}), ignore)
        assert KEY not in str(raised.value) and "(judge-model)" in str(raised.value)
    assert len(found) == 3 and len(requests) <= 6


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps({"choices": [{"message": {"content": verdict(5)}}]}).encode()[:-20], "is no JSON"),
        (b"<html>busy</html>", "is no JSON"),
        (b'{"choices": []}', "is no chat completion"),
        (b'{"choices": [{"message": {"content": {"score": 5}}}]}', "is no chat completion"),
        (b'{"result": "5"}', "is no chat completion"),
    ],
)
def test_an_answer_that_is_cut_off_or_has_another_schema_fails(body: bytes, reason: str) -> None:
    with (
        completion_server(lambda number, asked: Response(body)) as (url, _),
        judge_at(url) as judge,
        pytest.raises(EndpointFailed, match=reason),
    ):
        ask(judge, [call()])


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "pause_s", "reason"),
    [
        (lambda: itertools.chain([HEAD, b'{"choices": "'], itertools.repeat(b"x" * 65536)), 0.0, "more than 4 MiB"),
        (lambda: itertools.chain([HEAD], itertools.repeat(b" ")), 0.05, "no whole answer within 1 s"),
        (lambda: [HEAD[:20]], 0.0, "APIConnectionError"),
    ],
    ids=["endless", "slow", "cut off"],
)
def test_a_stream_without_end_ends(pieces: Callable[[], Any], pause_s: float, reason: str) -> None:
    started = time.monotonic()
    with (
        raw_server(pieces(), pause_s) as address,
        judge_at(f"{address}/v1", attempts=1, timeout_s=1.0 if pause_s else 20.0) as judge,
        pytest.raises(EndpointFailed, match=reason),
    ):
        ask(judge, [call()])
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_never_goes_to_the_host_of_a_redirect(status: int) -> None:
    with completion_server(lambda number, body: said(verdict(5))) as (other, stolen):
        there = {"Location": f"{other}/chat/completions"}
        with (
            completion_server(lambda number, body: Response(b"", status, there)) as (url, _),
            judge_at(url) as judge,
            pytest.raises(EndpointRefused, match="redirects are not followed") as raised,
        ):
            ask(judge, [call()])
    assert stolen == [] and KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "is_final"), [(400, True), (401, True), (403, True), (404, True), (429, False), (500, False)]
)
def test_a_refusal_that_comes_again_is_told_apart(status: int, is_final: bool) -> None:
    with (
        completion_server(lambda number, body: refused("no", status)) as (url, requests),
        judge_at(url, attempts=1) as judge,
        pytest.raises(EndpointFailed) as raised,
    ):
        ask(judge, [call()])
    assert isinstance(raised.value, EndpointRefused) is is_final
    assert len(requests) == (3 if status == 400 else 1)  # a request may be refused because of its form


def test_a_judge_that_is_away_fails_the_block() -> None:
    with judge_at("http://127.0.0.1:9/v1", attempts=1) as judge, pytest.raises(EndpointFailed, match=r"127\.0\.0\.1:9"):
        ask(judge, [call()])


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({}, ("real-name", "fp_7")),
        ({"model": None, "system_fingerprint": 7}, (None, None)),
        ({"model": "\ud800x", "system_fingerprint": "y" * 1000}, ("\ufffdx", "y" * 200)),
    ],
)
def test_only_texts_are_taken_as_names(reported: dict[str, Any], expected: tuple[str | None, str | None]) -> None:
    with completion_server(lambda number, body: said("x", **reported)) as (url, _), judge_at(url, key=None) as judge:
        (reply,) = ask(judge, [call()]).values()
    assert isinstance(reply, Reply) and (reply.model, reply.fingerprint) == expected


def test_an_answer_in_parts_is_read_like_any_other() -> None:
    parts = [{"type": "text", "text": part} for part in (verdict(4)[:9], verdict(4)[9:])]
    with completion_server(lambda number, body: said(parts)) as (url, _), judge_at(url) as judge:
        (reply,) = ask(judge, [call()]).values()
    assert isinstance(reply, Reply) and reply.text == verdict(4)


def test_an_empty_answer_is_a_reply_that_holds_no_verdict() -> None:
    with completion_server(lambda number, body: said(None)) as (url, _), judge_at(url) as judge:
        assert ask(judge, [call()]) == {"key 0": Reply("", "real-name", "fp_7", 50, 10)}
