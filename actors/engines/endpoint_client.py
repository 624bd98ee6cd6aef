"""The client of an OpenAI-compatible endpoint, for models that are evaluated and for judges.

The client itself tries again with growing pauses, if the server is busy or unreachable, and honours `Retry-After`. An
answer has a limit in seconds and bytes, and redirects are not followed (`bounded_http`). Messages never hold the key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import openai

from actors.engines.bounded_http import BoundedClient
from actors.errors import EndpointFailed, EndpointRefused
from actors.orders import Endpoint

T = TypeVar("T")
_NO_KEY = "none"  # your own server may need no key, but the client does
_MOST_TOLD = 500
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
        self._runner = asyncio.Runner()

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


def _reason(error: openai.OpenAIError | EndpointFailed) -> str:
    if not isinstance(error, openai.OpenAIError):
        return str(error)
    has_cause = isinstance(error, openai.APIConnectionError) and str(error.__cause__ or "")
    return f"{type(error).__name__}: {error}" + (f": {error.__cause__}" if has_cause else "")
