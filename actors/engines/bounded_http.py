"""An HTTP client whose every answer ends: after a number of seconds, after a number of bytes, or at a redirect.

A timeout of the HTTP library starts again with every byte that arrives, and the library reads a body to its end. So a
server that sends one byte per second, or a body without end, would hold its caller for ever or fill the memory. Here
one limit covers the whole answer: connecting, headers and body. The bytes are counted after decompression.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx2

from actors.errors import EndpointFailed, EndpointRefused

MAX_ANSWER_BYTES = 4 * 2**20
"""Far more than the longest answer: 32,000 tokens of escaped Japanese take about 600 kB."""
_COPIED_HEADERS = ("content-type", "retry-after", "retry-after-ms", "x-should-retry", "x-request-id")
"""Headers of an answer that its reader needs. Those that describe the transfer would no longer be true."""
_ENCODINGS = ("", "identity", "gzip", "deflate")


class BoundedClient(httpx2.AsyncClient):
    """Client with a time and a size limit per answer. It follows no redirects, because they may lead to another host.

    Raises `httpx2.ReadTimeout` for an answer that takes too long, which is worth another try. Raises `EndpointFailed`
    for an answer that is too large, and `EndpointRefused` for a redirect, which would only come again.
    """

    def __init__(self, *, timeout_s: float, connections: int, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        super().__init__(
            timeout=timeout_s,
            limits=httpx2.Limits(max_connections=connections),
            headers={"Accept-Encoding": "gzip, deflate"},
            follow_redirects=False,
        )
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request and read its whole answer. The options are those of `httpx2.AsyncClient.send`."""
        options |= {"stream": True, "follow_redirects": False}
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await super().send(request, **options)
                try:
                    content = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise httpx2.ReadTimeout(f"no whole answer within {self._timeout_s:g} s", request=request) from None
        headers = {name: response.headers[name] for name in _COPIED_HEADERS if name in response.headers}
        return httpx2.Response(response.status_code, headers=headers, content=content, request=request)

    async def _read(self, response: httpx2.Response) -> bytes:
        if response.is_redirect:
            # Without its query, which may hold secrets.
            target = urlsplit(response.headers.get("location", ""))._replace(query="", fragment="").geturl()
            raise EndpointRefused(f"it redirects to {target[:200]!r}, and redirects are not followed")
        encoding = response.headers.get("content-encoding", "").strip().casefold()
        if encoding not in _ENCODINGS:
            raise EndpointFailed(f"its answer is compressed in a way that was not asked for: {encoding[:80]!r}")
        content = bytearray()
        async for part in response.aiter_bytes():
            content += part
            if len(content) > self._max_bytes:
                raise EndpointFailed(f"its answer has more than {self._max_bytes / 2**20:g} MiB")
        return bytes(content)
