"""Turn calibration texts into chunks of tokens. Each text contributes its share, in whole chunks.

Follows llama-imatrix (tools/imatrix/imatrix.cpp, compute_imatrix), so that the same text gives the same chunks in both
programs. `conf.texts` reads the texts; `imatrix` decodes the chunks.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.llama.model import Model
from actors.quantization.chat_turns import render_chat_turns
from actors.quantization.weighting import TokenWeighting, describe_weighting
from actors.quantization_orders import CalibrationText, ChunkRules
from actors.token_classes import TokenClass, classify, weigh
from conf.faults import BadInput, Fault
from conf.schema.protection import TokenWeights
from conf.texts import parse_spec, read_text

ReadText = Callable[[str], str]
"""Returns the text at a path, as `read_calibration` does. Callers that need a text again may cache it."""


def read_calibration(spec: str) -> str:
    """Return a calibration text. Raise `BadInput` if it cannot be read."""
    return read_text(spec, key="--calibration")


@dataclass(frozen=True)
class TextUse:
    """How much of one calibration text was used."""

    name: str
    """File name and part, without the local folders."""
    sha256: str
    """Hash of the text as it was read. If only a part was requested, the hash of that part."""
    tokens_available: int
    n_chunks: int
    source: Mapping[str, Any] | None = None
    """For rows of a data set: repository, commit, files, split, column, rows. None for a plain file."""


@dataclass(frozen=True)
class CalibrationChunks:
    """The chunks to decode, and the texts they come from."""

    chunks: tuple[tuple[int, ...], ...]
    texts: tuple[TextUse, ...]
    weights: tuple[NDArray[np.float32] | None, ...]
    """Token weights, one array per chunk; None if all tokens count the same."""
    weighting: TokenWeighting | None
    """None if all tokens count the same."""


def text_name(spec: str) -> str:
    """Return the published name of a text, without folders: `topics.py#1/2` for `/a/b/topics.py#1/2`."""
    text = parse_spec(spec, key="--calibration")
    return text.path.name if text.parts == 1 else f"{text.path.name}#{text.part}/{text.parts}"


def chunk_shares(shares: Sequence[float], n_chunks: int) -> tuple[int, ...]:
    """Return the number of whole chunks per text; the sum is `n_chunks`.

    The largest remainders are rounded up. If remainders are equal, the first text goes first.
    """
    total = sum(shares)
    exact = [share / total * n_chunks for share in shares]
    chunks = [int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda index: (chunks[index] - exact[index], index))
    for index in by_remainder[: n_chunks - sum(chunks)]:
        chunks[index] += 1
    return tuple(chunks)


def make_chunks(
    model: Model,
    texts: Sequence[CalibrationText],
    *,
    dataset_size: int,
    ctx: int,
    rules: ChunkRules | None = None,
    read: ReadText = read_calibration,
    token_weights: TokenWeights | None = None,
) -> CalibrationChunks:
    """Read and tokenize the texts, and cut them into chunks.

    Args:
        dataset_size: total number of tokens. The last, incomplete chunk is dropped.
        ctx: tokens per chunk.
        rules: how the mix cuts its texts; by default, as llama-imatrix does.
        read: returns the text at a path.
        token_weights: weight of each token class. Classes are determined on the whole text, not chunk by chunk.

    Raises:
        BadInput: a text cannot be read, the texts have too few tokens for their shares, or the chat template is
            requested but missing or unusable.
    """
    rules = rules or ChunkRules()
    if dataset_size < ctx or not texts:
        allowed = f"at least one text and one chunk ({ctx} tokens)"
        raise BadInput(Fault("--dataset-size", dataset_size, allowed, "Ask for more tokens, or use a smaller --ctx."))
    wanted = chunk_shares([text.share for text in texts], dataset_size // ctx)
    contents = [read(text.path) for text in texts]
    tokens = [_tokenize(text, model, rules) for text in contents]
    available = [len(each) // ctx for each in tokens]
    if any(have < want for have, want in zip(available, wanted, strict=True)):
        raise BadInput(_too_few_tokens(texts, available, dataset_size, ctx))
    shuffled = None if rules.chunk_shuffle_seed is None else random.Random(rules.chunk_shuffle_seed)
    chunks: list[tuple[tuple[int, ...], NDArray[np.uint8] | None]] = []
    uses = []
    for text, content, found, have, count in zip(texts, contents, tokens, available, wanted, strict=True):
        taken = range(count) if shuffled is None else shuffled.sample(range(have), count)
        classes = None if token_weights is None else classify(_pieces(found, model))
        for number in taken:
            part = slice(number * ctx, (number + 1) * ctx)
            chunks.append((_with_bos(found[part], model), None if classes is None else _classes(classes[part], model)))
        uses.append(
            TextUse(text_name(text.path), hashlib.sha256(content.encode()).hexdigest(), len(found), count, text.source)
        )
    if shuffled is not None:
        shuffled.shuffle(chunks)
    of_chunks = [classes for _, classes in chunks if classes is not None]
    return CalibrationChunks(
        chunks=tuple(chunk for chunk, _ in chunks),
        texts=tuple(uses),
        weights=(None,) * len(chunks)
        if token_weights is None
        else tuple(weigh(one, token_weights) for one in of_chunks),
        weighting=None if token_weights is None else describe_weighting(of_chunks, token_weights),
    )


def _pieces(tokens: Sequence[int], model: Model) -> list[bytes]:
    pieces = {token: model.piece(token) for token in set(tokens)}
    return [pieces[token] for token in tokens]


def _classes(classes: NDArray[np.uint8], model: Model) -> NDArray[np.uint8]:
    """Return the token classes of one chunk. Its first token may be replaced by BOS (see `_with_bos`)."""
    kept = classes.copy()
    if model.adds_bos:
        kept[0] = TokenClass.OTHER
    return kept


def _tokenize(text: str, model: Model, rules: ChunkRules) -> list[int]:
    if not rules.chat_template:
        return model.tokenize(text, add_special=True, parse_special=rules.parse_special)
    prompt = render_chat_turns(text, model, key="--calibration")
    return model.tokenize(prompt.text, add_special=prompt.add_special, parse_special=prompt.parse_special)


def _with_bos(tokens: Sequence[int], model: Model) -> tuple[int, ...]:
    # Each chunk starts like a new text. BOS replaces the chunk's first token, as in llama-imatrix.
    return (model.bos, *tokens[1:]) if model.adds_bos else tuple(tokens)


def _too_few_tokens(texts: Sequence[CalibrationText], available: Sequence[int], dataset_size: int, ctx: int) -> Fault:
    shares = [text.share for text in texts]
    fitting = dataset_size // ctx
    while fitting and any(have < want for have, want in zip(available, chunk_shares(shares, fitting), strict=True)):
        fitting -= 1
    sizes = ", ".join(f"{text_name(text.path)}: {count * ctx}" for text, count in zip(texts, available, strict=True))
    allowed = f"at most {fitting * ctx} tokens with these texts and shares (whole chunks of {ctx}; {sizes})"
    return Fault("--dataset-size", dataset_size, allowed, "Ask for fewer tokens, or give more --calibration text.")
