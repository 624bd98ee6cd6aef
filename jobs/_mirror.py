"""Keep MLflow up to date while a pipeline runs. The driver is its only writer.

This file decides when to mirror; `actors.tracking.mirror` decides what, and how. Nothing here waits for MLflow longer
than its caller allows.
"""

from __future__ import annotations

import time
from pathlib import Path

from actors.store import RunDirectory
from actors.tracking.addresses import mask_secrets
from actors.tracking.attempt import Attempt

REST_SHARE = 10
"""After each update the mirror pauses this many times as long as the update took, because long runs have many cells."""


class BackgroundMirror:
    """Updates MLflow from a background thread. A failure of MLflow is reported, but never stops the work."""

    def __init__(self, uri: str, artifact_root: Path | None, gguf_limit_bytes: int) -> None:
        self._uri, self._artifact_root, self._limit = uri, artifact_root, gguf_limit_bytes
        self._attempt: Attempt | None = None
        self._rest_until_s = 0.0
        self.address: str | None = None
        """Where a browser shows the runs; None before the first update, and if the store has no pages."""

    def follow(self, run: RunDirectory) -> None:
        """Update MLflow in the background, unless an update is running or the pause after the last one is not over."""
        working = self._attempt is not None and self._attempt.is_alive()
        if not working and time.monotonic() >= self._rest_until_s:
            self._attempt = Attempt(lambda: self._sync(run))

    def finish(self, run: RunDirectory, within_s: float) -> str | None:
        """Wait for a running update and update MLflow once more, if there is time. Return why it is not up to date.

        What is missing then, the next start of the same pipeline brings.
        """
        deadline_s = time.monotonic() + within_s
        if self._attempt is None or self._attempt.ended_within(within_s):
            self._attempt = Attempt(lambda: self._sync(run))
            if self._attempt.ended_within(deadline_s - time.monotonic()):
                error = self._attempt.error
                return mask_secrets(f"{type(error).__name__}: {error}") if error else None
        return f"no answer in {within_s:g} s"

    def _sync(self, run: RunDirectory) -> None:
        # Imported in the background: MLflow takes seconds to import.
        from actors.tracking.mirror import Mirror

        started_s = time.monotonic()
        try:
            self.address = Mirror(self._uri, self._artifact_root, self._limit).sync(run.root).url
        finally:
            ended_s = time.monotonic()
            self._rest_until_s = ended_s + REST_SHARE * (ended_s - started_s)
