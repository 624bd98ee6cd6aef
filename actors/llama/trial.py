"""The last check of a new GGUF: load it as users will, and decode a few tokens.

The file is loaded only once, because the same load also validates every row. `actors.quantization.verify` uses the
result.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from actors.errors import LlamaError
from actors.llama import library
from actors.llama.file_types import resolve_type
from actors.llama.model import Model
from actors.llama.quantizer import plan_quantization

PROMPT = "One, two, three, four,"
"""A short prompt, the same for every model. The answer does not matter, only that decoding works."""
TOKENS = 4
_EVERY_BYTE = "".join(
    map(chr, (*range(0x800), *range(0x800, 0xD800, 0x7C1), *range(0xE000, 0x11_0000, 0xF041), 0x10FFFF))
)
"""A text with every byte that occurs in UTF-8."""
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
        return _decode_prompt(model, threads)


def check_file(path: str | Path) -> None:
    """Use a file that somebody else made in all the ways of the jobs. llama.cpp may end the process meanwhile.

    Raises:
        LlamaError: as `load_and_decode` does, and for a vocabulary that cannot be used or logits that are not finite.
    """
    with contextlib.suppress(LlamaError):  # not every file can be quantized, but the planning must survive it
        plan_quantization(path, resolve_type("q4_k_m"), with_imatrix=False)
    Model(path, vocab_only=True).close()
    with Model(path, check_tensors=True) as model:
        _use_vocabulary(model)
        if not _decode_prompt(model, 1).finite:
            raise LlamaError(f"{path} loads, but its logits are not finite")


def _use_vocabulary(model: Model) -> None:
    """Ask for everything that can be asked of a vocabulary: the tokens of any text, the text of any token."""
    for text in (PROMPT, _EVERY_BYTE):
        for whole in (True, False):
            tokens = model.tokenize(text, add_special=whole, parse_special=whole)
            if not all(0 <= token < model.n_vocab for token in tokens):
                raise LlamaError(f"{model.path} makes tokens that are not in its vocabulary")
    for token in range(model.n_vocab):
        model.piece(token, special=True)
        model.is_end_of_generation(token)


def _decode_prompt(model: Model, threads: int) -> Decodes:
    prompt = model.tokenize(PROMPT, add_special=True, parse_special=False)
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = _ROOM
    params.n_threads = params.n_threads_batch = threads
    with library.captured_log() as log:
        context = llama_cpp.llama_init_from_model(model.handle, params)
    if not context:
        raise LlamaError(f"llama.cpp cannot make a context for {model.path}", log[-5:])
    try:
        return _decode(context, prompt, model.n_vocab)
    finally:
        llama_cpp.llama_free(context)


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
