"""Endpoints that misbehave: each gives one failure that names the address, within seconds and without much memory."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import resource
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from actors.engines import Answer, Refused
from actors.engines.openai import BAD_COUNTS, OpenAIEngine
from actors.errors import EndpointFailed
from actors.items import Generate, Item, Message
from actors.orders import Endpoint
from conf.schema.answers import Sampling
from tests.conftest import ignore

KEY = "sk-very-secret"
SAMPLING = Sampling(max_tokens=16)
ITEM = Item("a", Generate((Message("user", "A"),), True, (), 8), "x", "h")
PLAIN = Item("a", Generate((Message("user", "A"),), False, (), 8), "x", "h")
JSON = b"application/json"
HEAD = b"HTTP/1.1 %s\r\nContent-Type: %s\r\n%sConnection: close\r\n\r\n"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def serving(pieces: Callable[[], Iterable[bytes]]) -> Iterator[tuple[str, list[bytes]]]:
    """Answer each request with raw bytes, piece by piece, until they end or the client has gone."""
    asked: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines = iter(self.rfile.readline, b"")  # empty if the client has gone
            head = b"".join(itertools.takewhile(lambda line: line != b"\r\n", lines))
            length = [line.split(b":")[1] for line in head.splitlines() if line.lower().startswith(b"content-length")]
            if not length:
                return
            asked.append(head + self.rfile.read(int(length[0])))
            with contextlib.suppress(OSError):
                for piece in pieces():
                    self.wfile.write(piece)

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
        finally:
            server.shutdown()
            thread.join()


def said(
    body: bytes, *, status: bytes = b"200 OK", kind: bytes = b"application/json", more: bytes = b""
) -> list[bytes]:
    return [HEAD % (status, kind, more), body]


def slowly(content: bytes) -> Iterator[bytes]:
    for number in content:
        yield bytes([number])
        time.sleep(0.05)


def ask(url: str, item: Item = ITEM, *, timeout_s: float = 10.0) -> Answer | Refused:
    engine = OpenAIEngine(Endpoint(url, "the-model", 4, timeout_s, 1), KEY)
    try:
        (answer,) = engine.generate([item], [0], SAMPLING, ignore)
    finally:
        engine.close()
    return answer


def failure(pieces: Callable[[], Iterable[bytes]], item: Item = ITEM, *, timeout_s: float = 10.0) -> str:
    with serving(pieces) as (url, _), pytest.raises(EndpointFailed) as raised:
        ask(url, item, timeout_s=timeout_s)
    message = str(raised.value)
    assert message.startswith(f"{url} (the-model): ") and KEY not in message and len(message) < 700
    return message


@pytest.mark.parametrize("start", [b"", HEAD % (b"200 OK", JSON, b"")], ids=["headers", "body"])
def test_bytes_that_trickle_in_for_ever_end_at_the_time_limit(start: bytes) -> None:
    started = time.monotonic()
    message = failure(
        lambda: itertools.chain([start], slowly(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000)), timeout_s=0.5
    )
    assert "APITimeoutError" in message and "no whole answer within 0.5 s" in message
    assert time.monotonic() - started < 5


def _used_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


BOMB = gzip.compress(gzip.compress(bytes(2**27)))
"""128 MiB in two layers: less than 1 kB."""


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (lambda: itertools.chain(said(b'{"choices": "'), itertools.repeat(b"x" * 65536)), "more than 4 MiB"),
        (lambda: said(gzip.decompress(BOMB), more=b"Content-Encoding: gzip\r\n"), "more than 4 MiB"),
        (lambda: said(BOMB, more=b"Content-Encoding: gzip, gzip\r\n"), "not asked for: 'gzip, gzip'"),
        (lambda: said(b"x", more=b"Content-Encoding: br\r\n"), "not asked for: 'br'"),
        (lambda: said(b"not gzip", more=b"Content-Encoding: gzip\r\n"), "incorrect header check"),
        (lambda: said(b"{}", more=b"X-Long: " + b"x" * 300_000 + b"\r\n"), "APIConnectionError"),
        (lambda: [b"SSH-2.0-OpenSSH_9.6\r\n"], "APIConnectionError"),
        (list, "APIConnectionError"),
    ],
    ids=["endless", "bomb", "two layers", "brotli", "no gzip", "long header", "ssh", "nothing"],
)
def test_an_answer_that_is_too_large_or_no_http_fails(pieces: Callable[[], Iterable[bytes]], reason: str) -> None:
    before = _used_bytes()
    assert reason in failure(pieces)
    assert _used_bytes() - before < 100 * 2**20


def chat(message: object = None, **more: object) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], **more}).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<!DOCTYPE html><title>login</title>", "is no JSON (content type 'application/json'): '<!DOCTYPE"),
        (b"", "is no JSON"),
        (b'{"choices": [', "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"usage": ' + b"9" * 5000 + b"}", "is no JSON"),
        (b"[]", "is no chat completion: the whole answer"),
        (b"null", "is no chat completion: the whole answer"),
        (b"{}", "choices: Field required"),
        (b'{"error": "overloaded"}', "overloaded"),
        (b'{"choices": []}', "choices: List should have at least 1 item"),
        (b'{"choices": null}', "choices: Input should be a valid array"),
        (chat(None), "choices.0.message"),
        (chat({"content": 42}), "choices.0.message.content"),
        (
            chat({"content": ["a"]}),
            "choices.0.message: Value error, a part of the content is neither text",
        ),
    ],
)
def test_an_answer_that_is_no_completion_fails(body: bytes, reason: str) -> None:
    assert reason in failure(lambda: said(body))


def test_a_page_in_place_of_an_answer_is_told_by_its_type() -> None:
    message = failure(lambda: said(b"<html>", kind=b"text/html; charset=utf-8"))
    assert "(content type 'text/html; charset=utf-8'): '<html>'" in message
    assert "is no completion: choices.0.text" in failure(lambda: said(chat({"content": "x"})), PLAIN)


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_a_redirect_is_told_and_not_followed(status: bytes) -> None:
    with serving(lambda: said(chat({"content": "stolen"}))) as (other, asked):
        there = f"{other}/chat/completions"
        message = failure(lambda: said(b"", status=status, more=b"Location: %s?token=abc\r\n" % there.encode()))
    assert f"it redirects to '{there}', and redirects are not followed" in message
    assert asked == []


def test_the_query_of_the_address_is_sent_but_not_told() -> None:
    with serving(lambda: said(b"<html>")) as (url, asked), pytest.raises(EndpointFailed) as raised:
        ask(f"{url}?api-version=2026-01-01")
    assert asked[0].startswith(b"POST /v1/chat/completions?api-version=2026-01-01 ")
    assert str(raised.value).startswith(f"{url} (the-model)")


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, (0, 0)),
        ({}, (0, 0)),
        ({"prompt_tokens": 7}, (7, 0)),
        ("a lot", (0, 0)),
    ],
)
def test_tokens_that_are_not_counted_are_zero(usage: Any, counted: tuple[int, int]) -> None:
    with serving(lambda: said(chat({"content": "4"}, usage=usage))) as (url, _):
        answer = ask(url)
    assert isinstance(answer, Answer) and (answer.prompt_tokens, answer.completion_tokens) == counted


@pytest.mark.parametrize("count", [10**30, -1, 1.5, True, "5", 1e308, None, [1]])
def test_a_number_of_tokens_that_cannot_be_true_is_refused(count: object) -> None:
    with serving(lambda: said(chat({"content": "4"}, usage={"completion_tokens": count}))) as (url, _):
        assert ask(url) == Refused(BAD_COUNTS)


@pytest.mark.parametrize(
    ("content", "text"), [("\ud800 18", "\ufffd 18"), ("18\x00\u202e", "18\x00\u202e"), (None, ""), ("十八", "十八")]
)
def test_the_text_of_an_answer_can_always_be_written(content: str | None, text: str) -> None:
    with serving(lambda: said(chat({"content": content}))) as (url, _):
        answer = ask(url)
    assert isinstance(answer, Answer) and answer.text == text
    assert answer.text.encode().decode() == text


@pytest.mark.parametrize(
    ("error", "is_too_long"),
    [
        ({"code": "context_length_exceeded", "message": "too long"}, True),
        ({"code": 400, "type": "exceed_context_size_error", "message": "x"}, True),
        ({"code": 400, "type": "BadRequestError", "message": "This model's maximum context length is 8 tokens."}, True),
        ({"code": 400, "message": "The input (9 tokens) is longer than the model's context length (8 tokens)."}, True),
        ({"code": 400, "message": "the context of the question is unclear"}, False),
        ({"code": "invalid_value", "message": "This model's maximum context length is 8 tokens."}, False),
        ({"code": 400, "message": "you wrote: This model's maximum context length is 8 tokens."}, False),
        ("context_length_exceeded", False),
        (None, False),
    ],
)
def test_only_the_servers_error_code_says_that_a_prompt_is_too_long(error: object, is_too_long: bool) -> None:
    with serving(lambda: said(json.dumps({"error": error}).encode(), status=b"400 Bad Request")) as (url, _):
        if is_too_long:
            assert ask(url) == Refused("context_too_long")
        else:
            with pytest.raises(EndpointFailed, match="BadRequestError"):
                ask(url)


def test_the_first_failure_ends_the_block() -> None:
    numbers = itertools.count()

    def pieces() -> Iterable[bytes]:
        return said(b"<html>") if next(numbers) == 3 else itertools.chain(said(b"{"), slowly(b" " * 10_000))

    started = time.monotonic()
    with serving(pieces) as (url, asked), pytest.raises(EndpointFailed, match="no JSON"):
        engine = OpenAIEngine(Endpoint(url, "the-model", 4, 30.0, 1), KEY)
        try:
            engine.generate([ITEM] * 8, [0, 1], SAMPLING, ignore)
        finally:
            engine.close()
    assert time.monotonic() - started < 10 and len(asked) == 4
