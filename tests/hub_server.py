"""A small hub on loopback, in a thread: the few endpoints of the Hugging Face hub that downloads need.

It has models and data sets at commits, requires a token for private and gated repositories, and can break a connection
in the middle of a file. It announces files of `LARGE_BYTES` or more by their sha256, as the hub does for its large-file
storage, and smaller files by git's sha1.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

TOKEN = "hf_only_for_tests"
LARGE_BYTES = 4096
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Repository:
    """The content of a repository at one commit."""

    files: Mapping[str, bytes]
    kind: Literal["models", "datasets"] = "models"
    commit: str = COMMIT
    access: Literal["public", "private", "gated"] = "public"


@dataclass
class Hub:
    """The server's state: its repositories, the requests so far, and the connections still to break."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    break_after: int | None = None
    """Number of bytes of a large file after which a connection breaks."""
    breaks_left: int = 0
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range header of each request."""
    endpoint: str = ""

    def sent(self, name: str) -> list[str | None]:
        """Return the Range headers of the requests for a file."""
        return [range_ for method, path, range_ in self.requests if method == "GET" and path.endswith(f"/{name}")]


@contextmanager
def serving(**repositories: Repository) -> Iterator[Hub]:
    """Run a hub while the block runs. `owner__name` stands for `owner/name`."""
    hub = Hub({name.replace("__", "/").replace("_", "-"): one for name, one in repositories.items()})
    handler = type("Handler", (_Handler,), {"hub": hub})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


_API = re.compile(r"/api/(?P<kind>models|datasets)/(?P<id>[^/]+/[^/]+)(?:/revision/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/(?:(?P<kind>datasets)/)?(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        match = _API.fullmatch(path) or _FILE.fullmatch(path)
        repository = self.hub.repositories.get(match["id"]) if match else None
        if match is None or repository is None or repository.kind != (match["kind"] or "models"):
            return self._refuse(401 if match else 404, "RepoNotFound")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token != TOKEN:
            return self._refuse(401, None, "Invalid credentials in Authorization header")
        if repository.access == "private" and not token:
            return self._refuse(401, "RepoNotFound")
        if (match["revision"] or "main") not in ("main", repository.commit):
            return self._refuse(404, "RevisionNotFound")
        if "file" not in match.groupdict():
            return self._describe(match["id"], repository)
        if repository.access == "gated" and not token:
            return self._refuse(403, "GatedRepo")
        if match["file"] not in repository.files:
            return self._refuse(404, "EntryNotFound", commit=repository.commit)
        return self._hand_out(repository, repository.files[match["file"]])

    def _refuse(self, status: int, code: str | None, message: str | None = None, *, commit: str | None = None) -> None:
        self.send_response(status)
        for name, value in (("X-Error-Code", code), ("X-Error-Message", message), ("X-Repo-Commit", commit)):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _describe(self, repository_id: str, repository: Repository) -> None:
        siblings = [{"rfilename": name, "size": len(content)} for name, content in repository.files.items()]
        body = json.dumps({"id": repository_id, "sha": repository.commit, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hand_out(self, repository: Repository, content: bytes) -> None:
        is_large = len(content) >= LARGE_BYTES
        etag = hashlib.sha256(content).hexdigest() if is_large else hashlib.sha1(content).hexdigest()
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        first = int(match[1]) if match else 0
        self.send_response(206 if match else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", repository.commit)
        self.send_header("Content-Length", str(len(content) - first))
        if match:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if is_large and self.hub.breaks_left and self.hub.break_after is not None:
            self.hub.breaks_left -= 1
            self.wfile.write(content[first : first + self.hub.break_after])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(content[first:])
