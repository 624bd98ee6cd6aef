"""The logits from which next tokens are sampled: those of the whole vocabulary, or only the highest ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Candidates:
    """One row per sequence."""

    logits: NDArray[np.float32]  # [rows, n]
    tokens: NDArray[np.int32] | None = None  # [rows, n]
    """The token of each logit, in no order. None: the logits are those of the whole vocabulary, in its order."""

    def __len__(self) -> int:
        return len(self.logits)

    def row(self, number: int) -> Candidates:
        """Return a copy of one row. It stays valid when llama.cpp's memory changes."""
        one = slice(number, number + 1)
        return Candidates(self.logits[one].copy(), None if self.tokens is None else self.tokens[one].copy())


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return the rows of all parts, which are all of one kind."""
    tokens = [part.tokens for part in parts if part.tokens is not None]
    return Candidates(np.concatenate([part.logits for part in parts]), np.concatenate(tokens) if tokens else None)
