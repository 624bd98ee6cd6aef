"""Find stop strings in a generated text, also across token borders.

A token can end inside a UTF-8 character. So the search works on bytes, and the text is decoded once at the end.
"""

from __future__ import annotations

from collections.abc import Sequence


def first_stop(text: bytearray, stops: Sequence[bytes], *, begins: int, new_from: int) -> int | None:
    """Return where the first stop string stands that new bytes have completed, or None.

    Args:
        text: everything so far.
        stops: the stop strings.
        begins: where the answer begins. Nothing before it is searched.
        new_from: where the new bytes begin. What is complete before them was found earlier.
    """
    longest = max(map(len, stops), default=0)
    # A stop string that ends in the new bytes cannot start before this byte.
    searched_from = max(begins, new_from - longest + 1)
    return min((at for stop in stops if (at := text.find(stop, searched_from)) >= 0), default=None)
