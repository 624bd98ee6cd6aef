"""GGUFs of large models with a hole in place of their values: real shapes, some megabytes on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

from tests.tiny_model import TinyShape, add_metadata, add_vocabulary


def write_header(path: Path, shape: TinyShape) -> Path:
    """Write a GGUF in f16 with the tensors of `shape` and a hole in place of their values."""
    writer = gguf.GGUFWriter(path, "llama")
    add_metadata(writer, shape, path.stem, "f16")
    add_vocabulary(writer, None, shape.n_vocab)
    n_bytes = 0
    for name, size in _tensors(shape):
        kind = np.dtype(np.float32 if len(size) == 1 or "ffn_gate_inp" in name else np.float16)
        writer.add_tensor_info(name, size, kind, int(np.prod(size)) * kind.itemsize)
        n_bytes += int(np.prod(size)) * kind.itemsize
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        start = -(-path.stat().st_size // gguf.GGUF_DEFAULT_ALIGNMENT) * gguf.GGUF_DEFAULT_ALIGNMENT
        file.truncate(start + n_bytes)
    return path


def _tensors(shape: TinyShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    embd, ff, kv = shape.n_embd, shape.n_ff, shape.n_embd * shape.n_kv_heads // shape.n_heads
    yield "token_embd.weight", (shape.n_vocab, embd)
    for layer in range(shape.n_layers):
        sizes = {"attn_q": (embd, embd), "attn_k": (kv, embd), "attn_v": (kv, embd), "attn_output": (embd, embd)}
        experts = (shape.n_experts,) if shape.n_experts else ()
        mark = "_exps" if experts else ""
        sizes |= {f"ffn_gate{mark}": (*experts, ff, embd), f"ffn_up{mark}": (*experts, ff, embd)}
        sizes |= {f"ffn_down{mark}": (*experts, embd, ff)}
        if experts:
            yield f"blk.{layer}.ffn_gate_inp.weight", (shape.n_experts, embd)
        for name, size in {"attn_norm": (embd,), "ffn_norm": (embd,), **sizes}.items():
            yield f"blk.{layer}.{name}.weight", size
    yield "output_norm.weight", (embd,)
    yield "output.weight", (shape.n_vocab, embd)
