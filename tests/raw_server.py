"""A server on loopback that answers whatever bytes a test wants, as slowly as it wants."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def raw_server(answer: Iterable[bytes], pause_s: float) -> Iterator[str]:
    """Answer every connection with these bytes, whatever is asked, and a pause before each piece."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            with contextlib.suppress(OSError):
                for piece in answer:
                    time.sleep(pause_s)
                    self.request.sendall(piece)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def page(body: bytes, status: bytes = b"200 OK") -> list[bytes]:
    """Return a whole HTTP answer."""
    return [b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body)) + body]
