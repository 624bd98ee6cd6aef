"""How the preparation tells the user what it is doing. The jobs supply the implementation."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from actors.hub import ReportBytes


class Reporter(Protocol):
    """Shows messages and the progress of work on large files: downloads, conversions, hashes."""

    def say(self, line: str) -> None:
        """Show one line."""

    def transfer(
        self, what: str, *, total_bytes: int | None = None, quiet_s: float = 0.0
    ) -> AbstractContextManager[ReportBytes]:
        """Show the work on a file while the `with` block runs.

        The block gets a function to call with the number of bytes that were added since its last call. The number is
        negative if bytes must be fetched again.

        Args:
            what: name of the work, such as `downloading owner/name@12345678`.
            total_bytes: None if the size is unknown.
            quiet_s: seconds in which nothing is shown. Work that ends in them shows nothing.
        """
