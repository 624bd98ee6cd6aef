"""Keep MLflow up to date while a pipeline runs. The driver is its only writer.

This file decides when to mirror; `actors.tracking.mirror` decides what, and how.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from actors.store import RunDirectory
from actors.tracking.mirror import Mirror, mask_secrets

REST_SHARE = 10
"""After each update the mirror pauses this many times as long as the update took, because long runs have many cells."""


class BackgroundMirror:
    """Updates MLflow from a background thread. A failure of MLflow is reported, but never stops the work."""

    def __init__(self, uri: str, artifact_root: Path | None, gguf_limit_bytes: int) -> None:
        self._uri, self._artifact_root, self._limit = uri, artifact_root, gguf_limit_bytes
        self._thread: threading.Thread | None = None
        self._rest_until_s = 0.0
        self._failed: str | None = None

    def follow(self, run: RunDirectory) -> None:
        """Update MLflow in the background, unless an update is running or the pause after the last one is not over."""
        working = self._thread is not None and self._thread.is_alive()
        if not working and time.monotonic() >= self._rest_until_s:
            self._thread = threading.Thread(target=self._sync, args=(run,), daemon=True)
            self._thread.start()

    def close(self, run: RunDirectory) -> tuple[Mapping[str, str], ...]:
        """Wait for a running update, update MLflow once more, and return the failure of that update, if any."""
        if self._thread is not None:
            self._thread.join()
        self._sync(run)
        return ({"unit": "mlflow", "phase": "mirror", "error": self._failed},) if self._failed else ()

    def hurry(self, run: RunDirectory, within_s: float) -> None:
        """Report to MLflow that the pipeline was stopped, if there is time. If not, the next start reports it."""
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
        except Exception as error:  # MLflow is another system: whatever it raises must not stop the work
            self._failed = mask_secrets(f"{type(error).__name__}: {error}")
        ended_s = time.monotonic()
        self._rest_until_s = ended_s + REST_SHARE * (ended_s - started_s)
