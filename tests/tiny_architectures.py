"""Tiny models with random weights that need more than one plain KV cache. The batched engine must support them.

- `gemma2`: every second layer attends to a sliding window of 24 tokens (llama.cpp keeps two caches)
- `mamba`: no attention; each sequence has one state that changes with every token
- `jamba`: one mamba layer and one attention layer

Rows are multiples of 256, as in `tiny_model`. The vocabulary is also that of `tiny_model`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from numpy.typing import NDArray

from tests.tiny_model import add_vocabulary

Architecture = Literal["gemma2", "mamba", "jamba"]
Weights = dict[str, NDArray[np.float32]]
N_EMBD, N_FF, N_HEADS, N_KV_HEADS, N_CTX = 256, 512, 4, 2, 2048
SLIDING_WINDOW = 24
D_CONV, D_INNER, D_STATE, DT_RANK = 4, 2 * N_EMBD, 16, 16
_F32_ENDINGS = ("norm.weight", ".bias", "ssm_a", "ssm_d", "ssm_conv1d.weight")


def write_tiny_architecture(path: str | Path, architecture: Architecture, *, seed: int = 0) -> Path:
    """Write the model in f16 and return its path. The same arguments give the same bytes."""
    target = Path(path)
    writer = gguf.GGUFWriter(target, architecture)
    writer.add_name(f"Tiny {architecture}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(N_EMBD)
    writer.add_layer_norm_rms_eps(1e-5)
    n_vocab = add_vocabulary(writer, None)
    rng = np.random.default_rng(seed)
    weights = {"token_embd.weight": _matrix(rng, n_vocab, N_EMBD), "output_norm.weight": np.ones(N_EMBD, np.float32)}
    weights |= {"gemma2": _gemma2, "mamba": _mamba, "jamba": _jamba}[architecture](writer, rng)
    # Three times the usual size, so that answers differ between seeds without being uniform noise.
    if architecture == "gemma2":  # the output tensor is the embedding
        weights["token_embd.weight"] *= np.float32(2)
    else:
        weights["output.weight"] = _matrix(rng, n_vocab, N_EMBD) * np.float32(3)
    for name, values in weights.items():
        writer.add_tensor(name, values if name.endswith(_F32_ENDINGS) else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _add_attention(writer: gguf.GGUFWriter, kv_heads: int | list[int]) -> None:
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(kv_heads)


def _gemma2(writer: gguf.GGUFWriter, rng: np.random.Generator) -> Weights:
    """Return weights with a sliding window in the first layer only. Gemma has norms before and after each part."""
    _add_attention(writer, N_KV_HEADS)
    writer.add_block_count(2)
    writer.add_key_length(N_EMBD // N_HEADS)
    writer.add_value_length(N_EMBD // N_HEADS)
    writer.add_sliding_window(SLIDING_WINDOW)
    writer.add_attn_logit_softcapping(50.0)
    writer.add_final_logit_softcapping(30.0)
    weights: Weights = {}
    for layer in range(2):
        weights |= _attention(rng, layer) | _feed_forward(rng, layer)
        for norm in ("attn_norm", "ffn_norm"):
            weights[f"blk.{layer}.{norm}.weight"] = np.ones(N_EMBD, np.float32)
        for norm in ("post_attention_norm", "post_ffw_norm"):
            # The output is the embedding, so the layers must outweigh the token. Otherwise it would only be repeated.
            weights[f"blk.{layer}.{norm}.weight"] = np.full(N_EMBD, 8, np.float32)
    return weights


def _mamba(writer: gguf.GGUFWriter, rng: np.random.Generator) -> Weights:
    _add_state_space(writer)
    writer.add_block_count(2)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    weights: Weights = {}
    for layer in range(2):
        weights |= _state_space(rng, layer)
        weights[f"blk.{layer}.attn_norm.weight"] = np.ones(N_EMBD, np.float32)
    return weights


def _jamba(writer: gguf.GGUFWriter, rng: np.random.Generator) -> Weights:
    """Return weights of a mamba layer (the one without key-value heads) and an attention layer."""
    _add_state_space(writer)
    _add_attention(writer, [0, N_KV_HEADS])
    writer.add_block_count(2)
    weights = _state_space(rng, 0) | _attention(rng, 1)
    for name, size in (("ssm_dt_norm", DT_RANK), ("ssm_b_norm", D_STATE), ("ssm_c_norm", D_STATE)):
        weights[f"blk.0.{name}.weight"] = np.ones(size, np.float32)
    for layer in range(2):
        weights |= _feed_forward(rng, layer)
        for norm in ("attn_norm", "ffn_norm"):
            weights[f"blk.{layer}.{norm}.weight"] = np.ones(N_EMBD, np.float32)
    return weights


def _add_state_space(writer: gguf.GGUFWriter) -> None:
    writer.add_ssm_conv_kernel(D_CONV)
    writer.add_ssm_inner_size(D_INNER)
    writer.add_ssm_state_size(D_STATE)
    writer.add_ssm_time_step_rank(DT_RANK)


def _attention(rng: np.random.Generator, layer: int) -> Weights:
    kv = N_EMBD * N_KV_HEADS // N_HEADS
    sizes = {"attn_q": N_EMBD, "attn_k": kv, "attn_v": kv, "attn_output": N_EMBD}
    return {f"blk.{layer}.{name}.weight": _matrix(rng, rows, N_EMBD) for name, rows in sizes.items()}


def _feed_forward(rng: np.random.Generator, layer: int) -> Weights:
    return {
        f"blk.{layer}.ffn_gate.weight": _matrix(rng, N_FF, N_EMBD),
        f"blk.{layer}.ffn_up.weight": _matrix(rng, N_FF, N_EMBD),
        f"blk.{layer}.ffn_down.weight": _matrix(rng, N_EMBD, N_FF),
    }


def _state_space(rng: np.random.Generator, layer: int) -> Weights:
    block = f"blk.{layer}."
    decay = np.tile(np.arange(1, D_STATE + 1, dtype=np.float32), (D_INNER, 1))
    return {
        block + "ssm_in.weight": _matrix(rng, 2 * D_INNER, N_EMBD),
        block + "ssm_conv1d.weight": _matrix(rng, D_INNER, D_CONV),
        block + "ssm_conv1d.bias": np.zeros(D_INNER, np.float32),
        block + "ssm_x.weight": _matrix(rng, DT_RANK + 2 * D_STATE, D_INNER),
        block + "ssm_dt.weight": _matrix(rng, D_INNER, DT_RANK),
        # Its softplus is about 0.1, so a state remembers about ten tokens.
        block + "ssm_dt.bias": np.full(D_INNER, -2.25, np.float32),
        block + "ssm_a": -decay,
        block + "ssm_d": np.ones(D_INNER, np.float32),
        block + "ssm_out.weight": _matrix(rng, N_EMBD, D_INNER),
    }


def _matrix(rng: np.random.Generator, *size: int) -> NDArray[np.float32]:
    drawn: NDArray[np.float32] = (rng.standard_normal(size) / np.sqrt(size[-1])).astype(np.float32)
    return drawn
