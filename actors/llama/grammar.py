"""A grammar that an answer must follow, in llama.cpp's notation (GBNF, grammars/README.md of llama.cpp)."""

from __future__ import annotations

import ctypes
import weakref

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import library
from actors.llama.model import Model

_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""The fields of a `llama_token_data`."""


class Grammar:
    """The state of a grammar within one answer: it knows which tokens may come next."""

    def __init__(self, model: Model, text: str) -> None:
        """Begin an answer. Raise `LlamaError` if llama.cpp cannot read the grammar. Its first rule is `root`."""
        with library.captured_log() as log:
            self._sampler = llama_cpp.llama_sampler_init_grammar(model.vocab, text.encode(), b"root")
        if not self._sampler:
            raise LlamaError("llama.cpp cannot read the grammar", log[-5:])
        self._free = weakref.finalize(self, llama_cpp.llama_sampler_free, self._sampler)

    def allows(self, token: int) -> bool:
        """Return whether a token may come next."""
        return bool(np.isfinite(self._filtered(np.array([token], np.int32), np.zeros(1, np.float32)))[0])

    def only_allowed(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of a whole vocabulary ([n_vocab]) with -inf for all tokens that may not come next."""
        return self._filtered(np.arange(len(logits), dtype=np.int32), logits)

    def accept(self, token: int) -> None:
        """Go on behind a token, which must be allowed."""
        llama_cpp.llama_sampler_accept(self._sampler, token)

    def _filtered(self, tokens: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = np.zeros(len(tokens), dtype=_TOKEN_DATA)
        rows["id"], rows["logit"] = tokens, logits
        data = ctypes.cast(rows.ctypes.data, llama_cpp.llama_token_data_p)
        array = llama_cpp.llama_token_data_array(data=data, size=len(tokens), selected=-1, sorted=False)
        llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(array))
        kept: NDArray[np.float32] = rows["logit"].copy()
        return kept
