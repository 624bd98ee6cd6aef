"""MLflow kept in step beside the work: the driver is its one writer.

What is mirrored, and how, is `actors.tracking`'s; here is only when.
"""

from __future__ import annotations

import threading
from pathlib import Path

from actors.store import RunDirectory
from actors.tracking import Mirror, mask_secrets


class BackgroundMirror:
    """Keeps MLflow in step from a thread of its own; a failing MLflow is reported, and never stops the work."""

    def __init__(self, uri: str, artifact_root: Path | None, gguf_limit_bytes: int) -> None:
        self._uri, self._artifact_root, self._limit = uri, artifact_root, gguf_limit_bytes
        self._thread: threading.Thread | None = None
        self.failed: str | None = None
        self.notices: tuple[str, ...] = ()

    def follow(self, run: RunDirectory) -> None:
        """Bring MLflow up to date in the background, unless that is going on already."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._sync, args=(run,), daemon=True)
            self._thread.start()

    def close(self, run: RunDirectory) -> None:
        """Wait for what is going on, and bring MLflow up to date once more."""
        if self._thread is not None:
            self._thread.join()
        self._sync(run)

    def _sync(self, run: RunDirectory) -> None:
        try:
            Mirror(self._uri, self._artifact_root, self._limit).sync(run.root)
            self.failed = None
        except Exception as error:  # the boundary to somebody else's server
            self.failed = mask_secrets(f"{type(error).__name__}: {error}")
