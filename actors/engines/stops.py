"""Find stop strings in a generated text, also across token borders.

A token can end inside a UTF-8 character. So the search works on bytes, and the text is decoded once at the end.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopDetector:
    """Collects the bytes of an answer until a stop string is complete."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop.encode() for stop in stops]
        self._longest = max(map(len, self._stops), default=0)
        self._bytes = bytearray()

    def add(self, piece: bytes) -> bool:
        """Add a token's bytes. If a stop string is complete, cut the text before it and return True."""
        # A stop string that ends in this piece cannot start before this byte.
        searched_from = max(0, len(self._bytes) - self._longest + 1)
        self._bytes += piece
        found = [at for stop in self._stops if (at := self._bytes.find(stop, searched_from)) >= 0]
        if not found:
            return False
        del self._bytes[min(found) :]
        return True

    @property
    def text(self) -> str:
        """The text so far. An incomplete character at the end becomes U+FFFD."""
        return self._bytes.decode("utf-8", "replace")
