"""Start the replay server for tests, and read what must come of each conversation."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.monitor.replay import HERE, Dashboard


@contextlib.contextmanager
def replayed(folder: Path = HERE) -> Iterator[Dashboard]:
    """Serve the conversations of a folder."""
    server = Dashboard(0, folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def conversations() -> list[str]:
    """Return the names of all conversations that have looks."""
    return sorted(path.parent.name for path in HERE.glob("*/expected.json"))


def expected(name: str) -> dict[str, Any]:
    """Return what must come of a conversation."""
    value: dict[str, Any] = json.loads((HERE / name / "expected.json").read_text(encoding="utf-8"))
    return value


def seen(server: Dashboard, run: str, name: str) -> list[dict[str, Any]]:
    """Return what was asked in a run of a conversation."""
    with urllib.request.urlopen(f"{server.address}/_seen/{run}/{name}", timeout=10) as answer:
        value: list[dict[str, Any]] = json.load(answer)
    return value
