"""The tokens of a vocabulary that are marks of thoughts.

In many vocabularies they are control tokens, which have no text in an answer. Here they have one, so that thoughts can
be told from the answer. All other control tokens stay without a text.
"""

from __future__ import annotations

import functools

from actors.llama.model import Model
from actors.thinking import AROUND_CHANNELS, CHANNEL, Marks


class PiecesWithMarks:
    """The bytes of tokens, with those of marks."""

    def __init__(self, model: Model, marks: Marks) -> None:
        wanted = marks.tokens
        if marks.tokens and _token_of(model, CHANNEL) is not None:
            wanted = (*wanted, CHANNEL, *AROUND_CHANNELS)
        self._marks = {token: text.encode() for text in wanted if (token := _token_of(model, text)) is not None}
        self._piece = functools.cache(model.piece)

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token. A control token has none, unless it is a mark."""
        return self._marks[token] if token in self._marks else self._piece(token)


def _token_of(model: Model, text: str) -> int | None:
    """Return the token that is exactly this text, or None."""
    raw = text.encode()
    tokens = model.tokenize(text, add_special=False, parse_special=True)
    return next((token for token in tokens if model.piece(token, special=True) == raw), None)
