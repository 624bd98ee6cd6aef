"""Play recorded conversations with a Ray dashboard, for the tests of everything that watches one.

    python3 tests/monitor/replay.py --port 8999

It needs nothing but Python 3.9 and its standard library, so that it runs beside a PowerShell on any machine. Each
conversation is a folder here with a `conversation.json` (README.md in this folder describes it). A client uses the
address `http://127.0.0.1:PORT/RUN/CONVERSATION`: RUN is any word, and each run of a conversation starts from its
beginning. `GET /_seen/RUN/CONVERSATION` returns what was asked, so that a test can check it.

The server enforces what Ray's dashboard enforces: no writing requests from browsers, the token, exact paths.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HERE = Path(__file__).resolve().parent
READING = ("GET", "HEAD", "OPTIONS")
BROWSER_HEADERS = ("Origin", "Referer", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-Dest")
PUBLIC = ("api/authentication_mode",)
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class Conversation:
    """One run of a conversation: which answer comes next, and what was asked so far."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.token: str | None = content.get("token")
        self._exchanges: list[dict[str, Any]] = content["exchanges"]
        self._asked: dict[int, int] = {}
        self.seen: list[dict[str, Any]] = []

    def answer(self, method: str, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """Return the next answer to a request; None if the conversation has none. The last answer is repeated."""
        for place, exchange in enumerate(self._exchanges):
            wanted = urlsplit(exchange["path"])
            asks_for = dict(parse_qsl(wanted.query)).items()
            same_path = path.startswith(wanted.path[:-1]) if wanted.path.endswith("*") else wanted.path == path
            if exchange["method"] == method and same_path and asks_for <= query.items():
                turn = self._asked.get(place, 0)
                self._asked[place] = turn + 1
                answers = exchange["answers"]
                found: dict[str, Any] = answers[min(turn, len(answers) - 1)]
                return found
        return None


class Dashboard(ThreadingHTTPServer):
    """The server: conversations by their names, and their runs."""

    daemon_threads = True

    def __init__(self, port: int, folder: Path = HERE) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._folder = folder
        self._runs: dict[str, Conversation] = {}
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def conversation(self, run: str, name: str) -> Conversation | None:
        """Return a run of a conversation, from its beginning if the run is new; None if there is no such folder."""
        with self._lock:
            key = f"{run}/{name}"
            if key not in self._runs:
                known = {path.parent.name for path in self._folder.glob("*/conversation.json")}
                if name not in known:
                    return None
                text = (self._folder / name / "conversation.json").read_text(encoding="utf-8")
                self._runs[key] = Conversation(json.loads(text))
            return self._runs[key]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a client that goes away: some tests do so on purpose."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Dashboard

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        _, *words = parts.path.split("/", 3)
        if words[:1] == ["_seen"]:
            run, _, name = "/".join(words[1:]).partition("/")
            found = self.server.conversation(run, name)
            self._send(200, json.dumps(found.seen if found else []).encode(), {"Content-Type": "application/json"})
            return
        talk = self.server.conversation(words[0], words[1]) if len(words) == 3 else None
        if talk is None:
            self._send(404, b"404: Not Found", TEXT)
            return
        query = dict(parse_qsl(parts.query))
        talk.seen.append(self._described(words[2], query, body))
        refused = self._refused(talk, words[2])
        if refused:
            self._send(refused[0], refused[1].encode(), TEXT)
            return
        found_answer = talk.answer(self.command, words[2], query)
        if found_answer is None:
            self._send(404, b"404: Not Found", TEXT)
        else:
            self._play(found_answer)

    def _described(self, path: str, query: dict[str, str], body: bytes) -> dict[str, Any]:
        return {
            "method": self.command,
            "path": path,
            "query": query,
            "user_agent": self.headers.get("User-Agent", ""),
            "has_token": bool(self._token()),
            "body": body[:65536].decode("utf-8", "replace"),
            "n_bytes": len(body),
        }

    def _token(self) -> str:
        given = self.headers.get("Authorization") or self.headers.get("x-ray-authorization") or ""
        return given[len("Bearer ") :] if given.startswith("Bearer ") else ""

    def _refused(self, talk: Conversation, path: str) -> tuple[int, str] | None:
        """Return status and text of a refusal, in the words of Ray's dashboard; None if the request may pass."""
        is_browser = self.headers.get("User-Agent", "").startswith("Mozilla") or any(
            name in self.headers for name in BROWSER_HEADERS
        )
        if is_browser and self.command not in READING:
            return 405, f"'{self.command}' method not allowed for browser traffic."
        if talk.token and path not in PUBLIC:
            if not self._token():
                return 401, "Unauthorized: Missing authentication token"
            if self._token() != talk.token:
                return 403, "Forbidden: Invalid authentication token"
        return None

    def _play(self, answer: dict[str, Any]) -> None:
        time.sleep(answer.get("delay_s", 0))
        if answer.get("cut"):
            # .NET asks again by itself if a connection closes before its first byte, and would get the next answer.
            self.wfile.write(b"HTTP/1.0 ")
            self.close_connection = True
            return
        body = base64.b64decode(answer["body_base64"]) if "body_base64" in answer else _text(answer).encode()
        headers = dict(answer.get("headers") or TEXT)
        self.send_response(answer["status"])
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        cut_after = answer.get("cut_after")
        self.wfile.write(body if cut_after is None else body[:cut_after])
        if "stall_s" in answer:
            self.wfile.flush()
            time.sleep(answer["stall_s"])

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _text(answer: dict[str, Any]) -> str:
    """Return the body: a JSON value, a text, or parts that are repeated."""
    if "json" in answer:
        return json.dumps(answer["json"], ensure_ascii=False)
    if "parts" in answer:
        return "".join(part["text"] * part.get("times", 1) for part in answer["parts"])
    text: str = answer.get("body", "")
    return text


def main() -> None:
    """Serve until the process is stopped. The first line that is printed is the address."""
    parser = argparse.ArgumentParser(description="Play recorded conversations with a Ray dashboard.")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    server = Dashboard(parser.parse_args().port)
    print(server.address, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
