"""Endpoints: tested with a small local server with prepared replies, and with `llama-server`."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from actors.engines import Answer, Refused
from actors.engines.openai import NO_LIKELIHOODS, OpenAIEngine
from actors.errors import EndpointFailed, EndpointRefused
from actors.items import Choose, Generate, Item, Message
from actors.orders import Endpoint
from conf.schema.answers import Sampling
from tests.conftest import ignore
from tests.llama_programs import require_program

SAMPLING = Sampling(max_tokens=16, temperature=0.5)
Reply = tuple[int, dict[str, Any]]
Requests = list[tuple[str, dict[str, Any], str]]
KEY = "sk-very-secret"


def item(name: str, text: str, *, chat: bool = True, stop: tuple[str, ...] = ()) -> Item:
    return Item(name, Generate((Message("user", text),), chat, stop, 8), "x", f"hash of {name}")


@contextlib.contextmanager
def server(reply: Callable[[int, dict[str, Any]], Reply]) -> Iterator[tuple[str, Requests]]:
    """Serve `reply(number, body)` for each request. Yield the address and the list of requests."""
    asked: Requests = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                asked.append((self.path, body, self.headers["Authorization"]))
                number = len(asked)
            status, said = reply(number, body)
            sent = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}/v1", asked
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def said(text: str | None, *, chat: bool = True, finish: str = "stop") -> Reply:
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    return 200, {"id": "x", "object": "x", "created": 0, "model": "m", "choices": [choice], "usage": usage}


@contextlib.contextmanager
def engine_at(url: str, *, attempts: int = 3, concurrency: int = 4, timeout_s: float = 10.0) -> Iterator[OpenAIEngine]:
    engine = OpenAIEngine(Endpoint(url, "the-model", concurrency, timeout_s, attempts), KEY)
    try:
        yield engine
    finally:
        engine.close()


def test_each_seed_is_a_request_and_answers_come_in_order() -> None:
    def reply(number: int, body: dict[str, Any]) -> Reply:
        time.sleep(0.01 * (body["seed"] % 3))  # the last request is not the last to be answered
        return said(f"{body['messages'][-1]['content']}{body['seed']}")

    tokens: list[int] = []
    with server(reply) as (url, asked), engine_at(url) as engine:
        answers = engine.generate([item("a", "A", stop=("\n",)), item("b", "B")], [2, 1, 0], SAMPLING, tokens.append)
        usage = engine.take_usage()
    assert [answer.text for answer in answers if isinstance(answer, Answer)] == ["A2", "A1", "A0", "B2", "B1", "B0"]
    assert (sum(tokens), usage.prompt_tokens, usage.completion_tokens) == (48, 30, 18)
    path, body, authorization = asked[0]
    assert (path, authorization) == ("/v1/chat/completions", f"Bearer {KEY}")
    wanted = {"model": "the-model", "temperature": 0.5, "top_p": 0.95, "top_k": 40, "min_p": 0.05, "max_tokens": 8}
    assert {key: body[key] for key in wanted} == wanted
    assert all((request[1].get("stop") == ["\n"]) == (request[1]["messages"][0]["content"] == "A") for request in asked)


def test_plain_completions_use_their_own_path_and_report_truncation() -> None:
    with server(lambda number, body: said("4", chat=False, finish="length")) as (url, asked), engine_at(url) as engine:
        (answer,) = engine.generate([item("a", "2+2=", chat=False)], [0], SAMPLING, ignore)
    assert answer == Answer("4", None, 5, 3, "length")
    assert (asked[0][0], asked[0][1]["prompt"]) == ("/v1/completions", "2+2=")


def test_an_empty_answer_counts_as_an_answer() -> None:
    with server(lambda number, body: said(None)) as (url, _), engine_at(url) as engine:
        (answer,) = engine.generate([item("a", "A")], [0], SAMPLING, ignore)
    assert isinstance(answer, Answer) and answer.text == ""


def test_a_busy_server_is_retried() -> None:
    def reply(number: int, body: dict[str, Any]) -> Reply:
        return (503, {"error": "busy"}) if number < 3 else said("ok")

    with server(reply) as (url, asked), engine_at(url, attempts=3) as engine:
        (answer,) = engine.generate([item("a", "A")], [0], SAMPLING, ignore)
    assert isinstance(answer, Answer) and answer.text == "ok" and len(asked) == 3


def test_the_number_of_simultaneous_requests_is_limited() -> None:
    lock = threading.Lock()
    open_now, most = 0, 0

    def reply(number: int, body: dict[str, Any]) -> Reply:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        time.sleep(0.02)
        with lock:
            open_now -= 1
        return said("ok")

    with server(reply) as (url, asked), engine_at(url, concurrency=3) as engine:
        engine.generate([item(str(n), "A") for n in range(6)], [0, 1], SAMPLING, ignore)
    assert (most, len(asked)) == (3, 12)


def test_a_timeout_is_retried() -> None:
    def reply(number: int, body: dict[str, Any]) -> Reply:
        time.sleep(0.6 if number == 1 else 0)
        return said(f"answer {number}")

    with server(reply) as (url, _), engine_at(url, attempts=2, timeout_s=0.3) as engine:
        (answer,) = engine.generate([item("a", "A")], [0], SAMPLING, ignore)
        assert isinstance(answer, Answer) and answer.text == "answer 2"
    with (
        server(lambda number, body: reply(1, body)) as (url, _),
        engine_at(url, attempts=1, timeout_s=0.2) as engine,
        pytest.raises(EndpointFailed, match="APITimeoutError"),
    ):
        engine.generate([item("a", "A")], [0], SAMPLING, ignore)


def test_a_question_longer_than_the_context_is_refused_and_the_others_are_answered() -> None:
    def reply(number: int, body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == "long":
            return 400, {"error": {"message": "the request exceeds the available context size", "code": 400}}
        return said("ok")

    with server(reply) as (url, _), engine_at(url) as engine:
        refused, answer = engine.generate([item("a", "long"), item("b", "B")], [0], SAMPLING, ignore)
    assert refused == Refused("context_too_long")
    assert isinstance(answer, Answer) and answer.text == "ok"


@pytest.mark.parametrize(
    ("status", "kind", "is_final"),
    [
        (401, "AuthenticationError", True),
        (403, "PermissionDenied", True),
        (404, "NotFoundError", True),
        (429, "RateLimitError", False),
        (500, "Internal", False),
    ],
)
def test_a_refusal_fails_the_block_without_revealing_the_key(status: int, kind: str, is_final: bool) -> None:
    refusal = {"error": {"message": f"not with {KEY}"}}
    with (
        server(lambda number, body: (status, refusal)) as (url, _),
        engine_at(url, attempts=1) as engine,
        pytest.raises(EndpointFailed, match=kind) as raised,
    ):
        engine.generate([item(str(n), "A") for n in range(20)], [0], SAMPLING, ignore)
    assert KEY not in str(raised.value) and raised.value.__cause__ is None
    assert isinstance(raised.value, EndpointRefused) is is_final


def test_an_unreachable_endpoint_fails_the_block() -> None:
    with (
        engine_at("http://127.0.0.1:9/v1", attempts=1) as engine,
        pytest.raises(EndpointFailed, match=r"127\.0\.0\.1:9"),
    ):
        engine.generate([item("a", "A")], [0], SAMPLING, ignore)


def test_likelihoods_are_refused() -> None:
    with engine_at("http://127.0.0.1:9/v1") as engine:
        question = Item("c", Choose((Message("user", "x"),), False, (" a", " b")), 0, "h")
        assert engine.choose([question], ignore) == [Refused(NO_LIKELIHOODS)] == engine.measure([question], ignore)


def test_llama_server_answers_chats_and_completions(tiny_path: str) -> None:
    program = require_program("llama-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["-c", "1024", "-np", "2", "-t", "1", "--host", "127.0.0.1", "--port", str(port), "--no-repack"]
    command = [program, "-m", tiny_path, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(port, process)
        with engine_at(f"http://127.0.0.1:{port}/v1", concurrency=2) as engine:
            items = [item("a", "the end of"), item("b", "it is", chat=False)]
            answers = engine.generate(items, [0, 1], SAMPLING, ignore)
            again = engine.generate(items[1:], [0], Sampling(max_tokens=16, temperature=0.0), ignore)
            long = engine.generate([item("long", "and the " * 3000, chat=False)], [0], SAMPLING, ignore)
    finally:
        process.terminate()
        process.wait()
    assert all(isinstance(answer, Answer) and 0 < answer.completion_tokens <= 8 for answer in [*answers, *again])
    assert long == [Refused("context_too_long")]


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "llama-server exited"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return
        time.sleep(0.2)
    pytest.fail("llama-server does not answer")
