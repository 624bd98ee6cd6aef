"""Find stop strings in a generated text, also across token borders.

A token can end inside a UTF-8 character. So the search works on bytes, and the text is decoded once at the end.
"""

from __future__ import annotations

from collections.abc import Iterable


class Stops:
    """The stop strings of an answer."""

    def __init__(self, stops: Iterable[bytes]) -> None:
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=0)

    def first(self, text: bytearray, *, begins: int, new_from: int) -> int | None:
        """Return where the first stop string stands that new bytes have completed, or None.

        Args:
            text: everything so far.
            begins: where the answer begins. Nothing before it is searched.
            new_from: where the new bytes begin. What is complete before them was found earlier.
        """
        first = None
        # A stop string that ends in the new bytes cannot start before this byte.
        searched_from = max(begins, new_from - self._longest + 1)
        for stop in self._stops:
            at = text.find(stop, searched_from)
            if at >= 0 and (first is None or at < first):
                first = at
        return first
