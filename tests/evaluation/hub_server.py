"""A hub on loopback that serves data set files like the real one, as far as huggingface_hub asks for them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def hub_with(files: Mapping[tuple[str, str], bytes]) -> Iterator[tuple[str, list[str]]]:
    """Start a hub that has `files` by (repository, path) at any revision. Yield its address and a list of requests."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            asked.append(f"{self.command} {self.path}")
            info = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/revision/([\w.]+)(?:\?.*)?", self.path)
            file = re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([\w.]+)/(.+)", self.path)
            if info and any(repository == info[1] for repository, _ in files):
                own = [(path, body) for (repository, path), body in files.items() if repository == info[1]]
                siblings = [{"rfilename": path, "size": len(body)} for path, body in own]
                body = json.dumps({"id": info[1], "sha": info[2], "siblings": siblings}).encode()
                self._send(200, body, {"Content-Type": "application/json"}, with_body)
            elif file and (file[1], file[3]) in files:
                body = files[file[1], file[3]]
                etag = hashlib.sha256(body).hexdigest()
                self._send(200, body, {"ETag": f'"{etag}"', "X-Repo-Commit": file[2]}, with_body)
            else:
                self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body)

        def _send(self, status: int, body: bytes, headers: Mapping[str, str], with_body: bool) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
