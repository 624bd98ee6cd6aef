"""MLflow kept in step beside the work: the driver is its one writer.

What is mirrored, and how, is `actors.tracking.mirror`'s; here is only when.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from actors.store import RunDirectory
from actors.tracking.mirror import Mirror, mask_secrets

REST_SHARE = 10
"""After each round the mirror rests this many times as long as the round took: a long run has many cells to read."""


class BackgroundMirror:
    """Keeps MLflow in step from a thread of its own; a failing MLflow is reported, and never stops the work."""

    def __init__(self, uri: str, artifact_root: Path | None, gguf_limit_bytes: int) -> None:
        self._uri, self._artifact_root, self._limit = uri, artifact_root, gguf_limit_bytes
        self._thread: threading.Thread | None = None
        self._rest_until_s = 0.0
        self._failed: str | None = None

    def follow(self, run: RunDirectory) -> None:
        """Bring MLflow up to date in the background, unless that is going on already or was done just now."""
        working = self._thread is not None and self._thread.is_alive()
        if not working and time.monotonic() >= self._rest_until_s:
            self._thread = threading.Thread(target=self._sync, args=(run,), daemon=True)
            self._thread.start()

    def close(self, run: RunDirectory) -> tuple[Mapping[str, str], ...]:
        """Wait for what is going on, bring MLflow up to date once more, and give back what failed in that."""
        if self._thread is not None:
            self._thread.join()
        self._sync(run)
        return ({"unit": "mlflow", "phase": "mirror", "error": self._failed},) if self._failed else ()

    def hurry(self, run: RunDirectory, within_s: float) -> None:
        """Say in MLflow that the pipeline was stopped, if that can be done in time; a later run says it again."""
        deadline_s = time.monotonic() + within_s
        if self._thread is not None:
            self._thread.join(within_s)
            if self._thread.is_alive():
                return
        last = threading.Thread(target=self._sync, args=(run,), daemon=True)
        last.start()
        last.join(max(0.0, deadline_s - time.monotonic()))

    def _sync(self, run: RunDirectory) -> None:
        started_s = time.monotonic()
        try:
            Mirror(self._uri, self._artifact_root, self._limit).sync(run.root)
            self._failed = None
        except Exception as error:  # the boundary to somebody else's server
            self._failed = mask_secrets(f"{type(error).__name__}: {error}")
        ended_s = time.monotonic()
        self._rest_until_s = ended_s + REST_SHARE * (ended_s - started_s)
