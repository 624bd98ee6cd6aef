"""Where a generated text ends: stop strings are found across token borders, on bytes.

A token may end in the middle of a UTF-8 character, so bytes are checked and decoded once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopWatch:
    """Gathers the bytes of an answer until a stop string has come."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop.encode() for stop in stops]
        self._longest = max(map(len, self._stops), default=0)
        self._bytes = bytearray()

    def add(self, piece: bytes) -> bool:
        """Add a token's bytes. True where a stop string is complete: the text is then cut before it."""
        # A stop string that ends in this piece starts at most this far back.
        searched_from = max(0, len(self._bytes) - self._longest + 1)
        self._bytes += piece
        found = [at for stop in self._stops if (at := self._bytes.find(stop, searched_from)) >= 0]
        if not found:
            return False
        del self._bytes[min(found) :]
        return True

    @property
    def text(self) -> str:
        """What was checked; a character that is cut off at the end becomes U+FFFD."""
        return self._bytes.decode("utf-8", "replace")
