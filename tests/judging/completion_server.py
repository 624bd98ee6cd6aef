"""Servers of chat completions on loopback: one whose answers a test prepares, and one with a real model behind it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from actors.engines import Answer
from actors.engines.llama import LlamaEngine
from actors.items import Generate, Item, Message
from conf.schema.answers import Sampling
from tests.conftest import ignore


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    path: str
    body: dict[str, Any]
    authorization: str | None


@dataclass(frozen=True)
class Response:
    """What it answers."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def said(text: str | list[dict[str, str]] | None, **more: Any) -> Response:
    """Return a completion with this text, or with these parts of a text."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
    told = {"model": "real-name", "system_fingerprint": "fp_7", "choices": [choice], "usage": usage, **more}
    return Response(json.dumps(told).encode())


def refused(message: str, status: int = 400, **more: str) -> Response:
    """Return an error as OpenAI's servers form it."""
    return Response(
        json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}}).encode(), status
    )


@contextlib.contextmanager
def completion_server(reply: Callable[[int, dict[str, Any]], Response]) -> Iterator[tuple[str, list[Request]]]:
    """Serve `reply(number, body)`, numbered from 1. Yield the base address and the list of requests."""
    requests: list[Request] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                requests.append(Request(self.path, body, self.headers["Authorization"]))
                number = len(requests)
            response = reply(number, body)
            with contextlib.suppress(OSError):  # the client may have gone
                self.send_response(response.status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(response.body))}
                for name, value in {**headers, **response.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(response.body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.block_on_close = False
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}/v1", requests
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


@contextlib.contextmanager
def model_server(engine: LlamaEngine, name: str) -> Iterator[tuple[str, list[Request]]]:
    """Serve a real model. Like some small servers, it refuses JSON schemas. At the end the engine may be closed."""
    lock, closed = threading.Lock(), threading.Event()

    def reply(number: int, body: dict[str, Any]) -> Response:
        if body.get("response_format", {}).get("type") == "json_schema":
            return refused("response_format json_schema is not supported")
        messages = tuple(Message(one["role"], one["content"]) for one in body["messages"])
        item = Item("x", Generate(messages, True, (), body["max_tokens"]), None, "x")
        sampling = Sampling(temperature=body["temperature"], max_tokens=body["max_tokens"])
        with lock:
            if closed.is_set():
                return refused("closed", 503)
            (answer,) = engine.generate([item], [body["seed"]], sampling, ignore)
        if not isinstance(answer, Answer):
            return refused(answer.reason)
        usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
        return said(answer.text, model=name, usage=usage)

    with completion_server(reply) as served:
        yield served
    with lock:  # a client that gave up may have left a request running
        closed.set()
