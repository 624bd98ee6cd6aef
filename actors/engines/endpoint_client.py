"""The client of an OpenAI-compatible endpoint, for models that are evaluated and for judges.

The client itself tries again with growing pauses, if the server is busy or unreachable, and honours a `Retry-After` of
up to two minutes. Longer pauses are waited for here, up to the time limit of an answer. A server that asks for more,
such as a day, has refused: nobody wants a job that sleeps for hours, and the same command goes on later.

An answer has a limit in seconds and bytes, and redirects are not followed (`bounded_http`). Messages never hold the
key.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import openai

from actors.engines.bounded_http import BoundedClient
from actors.errors import EndpointFailed, EndpointRefused
from actors.orders import Endpoint

T = TypeVar("T")
_NO_KEY = "none"  # your own server may need no key, but the client does
_MOST_TOLD = 500
CLIENT_WAITS_S = 120.0
"""The longest `Retry-After` that the client itself waits for, in seconds."""
_FINAL = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError, EndpointRefused)
"""Errors that come again however often one asks: the key, the address or the model's name is wrong."""


class EndpointClient:
    """The connections to one endpoint. `requests` sends, `run` waits."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self._key = key or _NO_KEY
        parts = urlsplit(endpoint.url)
        address = parts._replace(query="").geturl()
        self._place = f"{address} ({endpoint.model})"
        self.requests = openai.AsyncOpenAI(
            base_url=address,
            default_query=dict(parse_qsl(parts.query)),
            api_key=self._key,
            timeout=endpoint.timeout_s,
            max_retries=endpoint.attempts - 1,
            http_client=BoundedClient(timeout_s=endpoint.timeout_s, connections=endpoint.concurrency),
        )
        self._attempts = endpoint.attempts
        self._longest_pause_s = max(CLIENT_WAITS_S, endpoint.timeout_s)
        self._runner = asyncio.Runner()

    async def patiently(self, send: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a request. If the server asks for a long pause, wait and send it again.

        Raises:
            EndpointRefused: the server asks for a pause that is longer than a job waits.
            openai.OpenAIError: the request failed for another reason, or too often.
        """
        attempts_left = self._attempts
        while True:
            try:
                return await send()
            except openai.APIStatusError as error:
                attempts_left -= 1
                pause_s = _pause_s(error)
                if pause_s > self._longest_pause_s:
                    raise EndpointRefused(_too_long(pause_s, self._longest_pause_s, error)) from None
                if pause_s <= CLIENT_WAITS_S or not attempts_left:
                    raise
            await asyncio.sleep(pause_s)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns. Raise the first error of a group."""
        try:
            return self._runner.run(work)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self.requests.close())
        self._runner.close()

    def told(self, text: str) -> str:
        """Return a text of the server without the key, which some servers repeat, and not too long."""
        return (text.replace(self._key, "***") if self._key != _NO_KEY else text)[:_MOST_TOLD]

    def failure(self, error: openai.OpenAIError | EndpointFailed) -> EndpointFailed:
        """Return the failure to raise: what went wrong and where; `EndpointRefused` if it would only come again."""
        kind = EndpointRefused if isinstance(error, _FINAL) else EndpointFailed
        return kind(f"{self._place}: {self.told(_reason(error))}")


def _pause_s(error: openai.APIStatusError) -> float:
    """Return the pause that a server asks for with `Retry-After`, in seconds or as a date; 0 if it asks for none."""
    asked = error.response.headers.get("retry-after", "")
    try:
        pause_s = float(asked)
    except ValueError:
        try:
            pause_s = (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return 0.0
    return pause_s if math.isfinite(pause_s) else 0.0


def _too_long(pause_s: float, longest_s: float, error: openai.APIStatusError) -> str:
    try:
        until = f", until {datetime.now(UTC) + timedelta(seconds=pause_s):%Y-%m-%d %H:%M} UTC"
    except OverflowError:
        until = ""
    return (
        f"{type(error).__name__}: it asks to wait {pause_s:,.0f} s{until}. A job waits {longest_s:,.0f} s at most: "
        f"start the same command again after that time. {error}"
    )


def _reason(error: openai.OpenAIError | EndpointFailed) -> str:
    if not isinstance(error, openai.OpenAIError):
        return str(error)
    has_cause = isinstance(error, openai.APIConnectionError) and str(error.__cause__ or "")
    return f"{type(error).__name__}: {error}" + (f": {error.__cause__}" if has_cause else "")
