"""Loading a new GGUF as its users will, and decoding a few tokens: the last thing that is asked of it.

Once: the same load validates every row. What follows from the outcome is `actors.quantization.verify`'s.
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
"""Short and the same for every model; what is said in answer does not matter, only that it can be said."""
TOKENS = 4
_ROOM = 64  # tokens: more than any tokenizer makes of the prompt, and few enough for a small graph


@dataclass(frozen=True)
class Decodes:
    """A few tokens, decoded greedily."""

    prompt_tokens: int
    tokens: tuple[int, ...]
    """What was decoded: `TOKENS`, or fewer where the logits were not finite."""
    finite: bool
    """Every logit that was looked at is a number."""


def load_and_decode(path: str | Path, *, threads: int) -> Decodes:
    """Load the whole model with every row validated (no NaN, no infinity, no broken block), and decode.

    Raises:
        LlamaError: it does not load, holds invalid rows, or llama.cpp cannot decode with it.
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
    """The same for a file that somebody else made. Raises `LlamaError`, also for logits that are not finite."""
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
    """Logits (n_vocab,) after the last of `tokens`; llama.cpp's own memory, valid until the next call."""
    array = (llama_cpp.llama_token * len(tokens))(*tokens)
    with library.captured_log() as log:
        status = llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens)))
    if status != 0:
        raise LlamaError(f"llama_decode failed with status {status}", log[-5:])
    return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(n_vocab,))
