"""Ask the REST API of a Ray dashboard: jobs, the tail of a job's log, the use of the nodes.

Every request names us as its sender, because the dashboard takes writing requests of browsers for attacks. Answers are
bounded in time and bytes, and no redirect is followed: it would carry the token to another place. The token never
stands in a message.
"""

from __future__ import annotations

import ipaddress
import json
import time
from enum import StrEnum
from typing import Any, Self

import httpx2

from conf import VERSION
from conf.faults import BadInput, Fault

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
MAX_TAIL_BYTES = 100 * 1024
"""Most bytes of a log that are read at a time."""
MAX_BYTES = 8 * 2**20
"""Most bytes of any other answer. A cluster of hundreds of nodes stays far below it."""
CONNECT_S = 5.0
ANSWER_S = 15.0
"""Time for a whole answer, from the request to its last byte."""


class Problem(StrEnum):
    """Why the dashboard gave nothing. The screen has words and a hint for each."""

    UNREACHABLE = "dashboard_unreachable"
    TIMED_OUT = "dashboard_timed_out"
    TOKEN_MISSING = "token_missing"
    TOKEN_WRONG = "token_wrong"
    TOO_MANY_REQUESTS = "too_many_requests"
    NO_DASHBOARD = "no_dashboard"
    """Something answers, but it is no Ray dashboard: not the expected JSON, or a redirect."""
    LOG_GONE = "log_gone"
    """The node that has the log is away."""
    ERROR = "dashboard_error"


class DashboardError(Exception):
    """The dashboard gave no usable answer."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        self.problem = problem
        self.detail = detail
        super().__init__(f"{problem}: {detail}" if detail else str(problem))


_OF_STATUS = {
    401: Problem.TOKEN_MISSING,
    403: Problem.TOKEN_WRONG,
    429: Problem.TOO_MANY_REQUESTS,
}


class Dashboard:
    """One dashboard, at an address that may have a path in front of the API (a proxy)."""

    def __init__(self, address: str, token: str | None, answer_s: float = ANSWER_S) -> None:
        base = _checked(address)
        headers = {"User-Agent": f"QuantAssay/{VERSION}", "Accept": "application/json, text/plain"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._answer_s = answer_s
        self._client = httpx2.Client(
            base_url=base,
            headers=headers,
            timeout=httpx2.Timeout(answer_s, connect=min(CONNECT_S, answer_s)),
            follow_redirects=False,
            # A proxy of the environment must not catch this machine's own ports.
            trust_env=not _is_loopback(base.host),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs."""
        found = self._json("api/jobs/")
        if not isinstance(found, list) or not all(isinstance(job, dict) for job in found):
            raise DashboardError(Problem.NO_DASHBOARD, "no list of jobs")
        return found

    def nodes(self) -> list[dict[str, Any]]:
        """Return the use of each node's CPU, memory and GPUs."""
        found = self._json("nodes?view=summary")
        try:
            return [dict(node) for node in found["data"]["summary"]]
        except (KeyError, TypeError, ValueError):
            raise DashboardError(Problem.NO_DASHBOARD, "no list of nodes") from None

    def tail(self, node_id: str, submission_id: str, lines: int) -> str:
        """Return the last lines of a job's log, at most `MAX_TAIL_BYTES`: fewer lines if they are long."""
        query = {"node_id": node_id, "submission_id": submission_id, "filter_ansi_code": "true"}
        while True:
            body = self._get("api/v0/logs/file", MAX_TAIL_BYTES, {**query, "lines": str(lines)})
            if body is not None:
                return body.decode("utf-8", "replace")
            if lines == 1:
                return ""
            lines = max(1, lines // 8)

    def _json(self, path: str) -> Any:
        body = self._get(path, MAX_BYTES)
        if body is None:
            raise DashboardError(Problem.NO_DASHBOARD, f"an answer of more than {MAX_BYTES // 2**20} MiB")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise DashboardError(Problem.NO_DASHBOARD, "no JSON") from None

    def _get(self, path: str, most: int, query: dict[str, str] | None = None) -> bytes | None:
        """Return the body of an answer; None if it has more than `most` bytes."""
        end, body = time.monotonic() + self._answer_s, bytearray()
        try:
            with self._client.stream("GET", path, params=query) as answer:
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > most:
                        return None
                    if time.monotonic() > end:
                        raise DashboardError(Problem.TIMED_OUT)
        except httpx2.TimeoutException:
            raise DashboardError(Problem.TIMED_OUT) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DashboardError(Problem.UNREACHABLE, type(error).__name__) from None
        if answer.status_code != 200:
            raise DashboardError(_problem(path, answer.status_code), f"status {answer.status_code}")
        return bytes(body)


def _problem(path: str, status: int) -> Problem:
    if status == 500 and path.startswith("api/v0/logs"):
        return Problem.LOG_GONE
    if status in _OF_STATUS:
        return _OF_STATUS[status]
    return Problem.ERROR if status >= 500 else Problem.NO_DASHBOARD


def _checked(address: str) -> httpx2.URL:
    """Return the address with a slash at its end. Raise `BadInput` if it is none, or has a password in it."""
    allowed = "the address of a Ray dashboard, http://HOST:PORT or https://HOST:PORT, without user, password or query"
    try:
        url = httpx2.URL(address.rstrip("/") + "/")
    except (httpx2.InvalidURL, TypeError):
        raise BadInput(Fault("--address", address, allowed, f"By default it is {DEFAULT_ADDRESS}.")) from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        shown = str(url.copy_with(userinfo=b"", query=None)) if url.userinfo or url.query else address
        raise BadInput(Fault("--address", shown, allowed, f"By default it is {DEFAULT_ADDRESS}."))
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
