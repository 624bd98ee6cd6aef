"""Work with another system, in a thread that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Attempt(threading.Thread):
    """Starts `work` at once. It is a daemon: if the other system hangs, the process can end all the same."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.error: Exception | None = None
        """What `work` raised. Read it after the thread has ended."""
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # whatever another system's client raises must not stop our work
            self.error = error

    def ended_within(self, seconds: float) -> bool:
        """Wait, but not longer than this, and return whether the work has ended."""
        self.join(max(0.0, seconds))
        return not self.is_alive()
