"""The last check of a new GGUF: load it as users will, and decode a few tokens.

The file is loaded only once, because the same load also validates every row. `actors.quantization.verify` uses the
result.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import library
from actors.llama.model import Model

PROMPT = "One, two, three, four,"
"""A short prompt, the same for every model. The answer does not matter, only that decoding works."""
TOKENS = 4
_ROOM = 64  # tokens: more than any tokenizer needs for the prompt, and few enough for a small graph


@dataclass(frozen=True)
class Decodes:
    """The result of decoding a few tokens greedily."""

    prompt_tokens: int
    tokens: tuple[int, ...]
    """The decoded tokens: `TOKENS` of them, or fewer if logits were not finite."""
    finite: bool
    """True if all logits were finite."""


def load_and_decode(path: str | Path, *, threads: int) -> Decodes:
    """Load the whole model, validate every row (no NaN, no infinity, no broken block), and decode a few tokens.

    Raises:
        LlamaError: the file does not load, has invalid rows, or llama.cpp cannot decode with it.
    """
    with Model(path, check_tensors=True) as model:
        prompt = model.tokenize(PROMPT, add_special=True, parse_special=False)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = _ROOM
        params.n_threads = params.n_threads_batch = threads
        with library.captured_log() as log:
            context = llama_cpp.llama_init_from_model(model.handle, params)
        if not context:
            raise LlamaError(f"llama.cpp cannot make a context for {path}", log[-5:])
        try:
            return _decode(context, prompt, model.n_vocab)
        finally:
            llama_cpp.llama_free(context)


def check_decodes(path: str | Path) -> None:
    """Run `load_and_decode` on a file from elsewhere. Raise `LlamaError` if it fails or if logits are not finite."""
    if not load_and_decode(path, threads=1).finite:
        raise LlamaError(f"{path} loads, but its logits are not finite")


def _decode(context: llama_cpp.llama_context_p, prompt: list[int], n_vocab: int) -> Decodes:
    decoded: list[int] = []
    logits = _logits(context, prompt, n_vocab)
    while np.isfinite(logits).all():
        decoded.append(int(logits.argmax()))
        if len(decoded) == TOKENS:
            return Decodes(len(prompt), tuple(decoded), finite=True)
        logits = _logits(context, decoded[-1:], n_vocab)
    return Decodes(len(prompt), tuple(decoded), finite=False)


def _logits(context: llama_cpp.llama_context_p, tokens: list[int], n_vocab: int) -> NDArray[np.float32]:
    """Decode `tokens` and return the last token's logits (n_vocab,).

    They are a view of llama.cpp's memory and are valid until the next call.
    """
    array = (llama_cpp.llama_token * len(tokens))(*tokens)
    with library.captured_log() as log:
        status = llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens)))
    if status != 0:
        raise LlamaError(f"llama_decode failed with status {status}", log[-5:])
    return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(n_vocab,))
