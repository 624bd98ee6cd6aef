"""A tiny test model with random weights: a GGUF of the Llama architecture that llama.cpp loads and decodes quickly.

Rows are multiples of 256, so that k-quants are used and not their fallbacks. The vocabulary has a token for each byte,
so that any UTF-8 text can be tokenized and restored. The output is noise: tests of quality need a real model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from numpy.typing import NDArray

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIALS = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
_LONGER_PIECES = (
    "th",
    "the",
    "in",
    "an",
    "and",
    "er",
    "on",
    "re",
    "ou",
    "is",
    "it",
    "ing",
    "▁t",
    "▁a",
    "▁s",
    "▁the",
    "▁an",
    "▁and",
)
# Pieces are merged pair by pair, so the vocabulary must also contain every prefix of a longer piece.
_CHARACTERS = "▁\n" + "".join(chr(code) for code in range(0x21, 0x7F)) + "のにはをがとでたし。、"


@dataclass(frozen=True)
class TinyShape:
    """Sizes of the tiny model."""

    n_embd: int = 256
    n_layers: int = 2
    n_ff: int = 512
    n_heads: int = 4
    n_kv_heads: int = 2
    n_ctx: int = 2048
    n_experts: int = 0
    """0: a dense model. Otherwise a mixture of experts with two active experts per token."""
    n_vocab: int = 0
    """Minimum vocabulary size. Missing tokens are added as fillers that occur in no text."""


@dataclass(frozen=True)
class TinyTokenizer:
    """What the file says about the tokenizer, besides its vocabulary."""

    add_bos: bool = True
    add_eos: bool = False
    add_space_prefix: bool = False


def write_tiny_model(
    path: str | Path,
    *,
    seed: int = 0,
    dtype: Literal["f16", "f32"] = "f16",
    shape: TinyShape | None = None,
    name: str = "Tiny",
    chat_template: str | None = CHAT_TEMPLATE,
    tokenizer: TinyTokenizer | None = None,
) -> Path:
    """Write the model and return its path. The same arguments give the same bytes. About 3 MB in f16."""
    target, shape = Path(path), shape or TinyShape()
    writer = gguf.GGUFWriter(target, "llama")
    add_metadata(writer, shape, name, dtype)
    n_vocab = add_vocabulary(writer, chat_template, shape.n_vocab, tokenizer)
    for tensor, values in _weights(shape, n_vocab, np.random.default_rng(seed)).items():
        # One-dimensional tensors (norms) and the router stay f32, as converters write them.
        keep = values.ndim == 1 or "ffn_gate_inp" in tensor or dtype == "f32"
        writer.add_tensor(tensor, values if keep else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def add_metadata(writer: gguf.GGUFWriter, shape: TinyShape, name: str, dtype: str) -> None:
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if dtype == "f16" else gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(shape.n_ctx)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layers)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_rope_dimension_count(shape.n_embd // shape.n_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    if shape.n_experts:
        writer.add_expert_count(shape.n_experts)
        writer.add_expert_used_count(2)


def add_vocabulary(
    writer: gguf.GGUFWriter, chat_template: str | None, n_least: int = 0, tokenizer: TinyTokenizer | None = None
) -> int:
    """Write a SentencePiece vocabulary with byte fallback, and return its size."""
    tokenizer = tokenizer or TinyTokenizer()
    kinds = gguf.TokenType
    tokens = [*_SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256)), *_CHARACTERS, *_LONGER_PIECES]
    tokens += [f"<filler {number}>" for number in range(len(tokens), n_least)]
    types = [kinds.UNKNOWN, *[kinds.CONTROL] * 4, *[kinds.BYTE] * 256]
    types += [kinds.NORMAL] * (len(tokens) - len(types))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([float(-index) for index in range(len(tokens))])
    writer.add_token_types(types)
    writer.add_vocab_size(len(tokens))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(4)
    writer.add_add_bos_token(tokenizer.add_bos)
    writer.add_add_eos_token(tokenizer.add_eos)
    writer.add_add_space_prefix(tokenizer.add_space_prefix)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    return len(tokens)


def _weights(shape: TinyShape, n_vocab: int, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Return weights by tensor name, as rows x columns. Their variance keeps the size of activations constant."""
    embd, ff = shape.n_embd, shape.n_ff
    kv = embd * shape.n_kv_heads // shape.n_heads
    experts = (shape.n_experts,) if shape.n_experts else ()

    def matrix(*size: int) -> NDArray[np.float32]:
        drawn: NDArray[np.float32] = (rng.standard_normal(size) / np.sqrt(size[-1])).astype(np.float32)
        return drawn

    weights = {"token_embd.weight": matrix(n_vocab, embd) * np.float32(np.sqrt(embd))}
    for layer in range(shape.n_layers):
        block, suffix = f"blk.{layer}.", "_exps.weight" if experts else ".weight"
        weights[block + "attn_norm.weight"] = np.ones(embd, np.float32)
        weights[block + "attn_q.weight"] = matrix(embd, embd)
        weights[block + "attn_k.weight"] = matrix(kv, embd)
        weights[block + "attn_v.weight"] = matrix(kv, embd)
        weights[block + "attn_output.weight"] = matrix(embd, embd)
        weights[block + "ffn_norm.weight"] = np.ones(embd, np.float32)
        if experts:
            weights[block + "ffn_gate_inp.weight"] = matrix(shape.n_experts, embd)
        weights[block + "ffn_gate" + suffix] = matrix(*experts, ff, embd)
        weights[block + "ffn_up" + suffix] = matrix(*experts, ff, embd)
        weights[block + "ffn_down" + suffix] = matrix(*experts, embd, ff)
    weights["output_norm.weight"] = np.ones(embd, np.float32)
    # Three times the usual size, so that answers differ between seeds without being uniform noise.
    weights["output.weight"] = matrix(n_vocab, embd) * np.float32(3)
    return weights
