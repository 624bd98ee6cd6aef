"""What a layer keeps of each token and of each sequence: its part of the KV cache, and the state of a recurrent layer.

The sizes follow from the names and shapes of the layer's tensors, and from some numbers of the metadata. They are those
of llama.cpp's own caches (its src/llama-hparams.cpp, and `create_memory` in src/llama-model.cpp) with full windows:

- keys and values of attention, which are projected by tensors of their own or by one for queries, keys and values
- latent attention (MLA: deepseek2 and its kind), which keeps one row for keys and values of all heads together
- states of mamba, of gated delta nets (which have a projection that looks like one of attention), of KDA, of RWKV, and
  of short convolutions (LFM2)
- nothing for layers that use the cache of an earlier one (gemma3n, gemma4), nor for those that only predict more tokens

Not among them: compressed states (deepseek4), and values of different widths that are padded without flash attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actors.llama.gguf_layout import TensorInfo

_F16, _F32 = 2, 4


@dataclass(frozen=True)
class CacheNumbers:
    """The numbers of a file's metadata that decide the sizes. 0: the file does not state it."""

    n_heads: int = 0
    """Attention heads; of the layer with the most, if layers differ."""
    n_kv_heads: int = 0
    """The same of keys and values."""
    key_width: int = 0
    """Of one head."""
    value_width: int = 0
    latent: bool = False
    """True: latent attention keeps its compressed rows. Older files of such models keep keys and values."""
    own_layers: int | None = None
    """Layers with a cache of their own, from the first one. None: all."""
    ssm_state_numbers: int = 0
    """Numbers in the state of a mamba layer beside those of its convolution."""
    kda_width: int = 0
    """Of one head of KDA."""
    wkv_width: int = 0
    """Of one head of RWKV."""
    token_shifts: int = 2
    """Earlier tokens that a layer of RWKV keeps."""


Layer = Mapping[str, TensorInfo]
"""The tensors of a layer by name, without the layer's number."""


def kv_bytes_per_cell(number: int, layer: Layer, numbers: CacheNumbers) -> int:
    """Return the bytes of a layer in each cell of an f16 KV cache.

    Args:
        number: the layer.
        layer: its tensors.
        numbers: those of the metadata.
    """
    shared = numbers.own_layers is not None and number >= numbers.own_layers
    if shared or any(name.startswith("nextn.") for name in layer) or "ssm_conv1d_q.weight" in layer:
        return 0
    # The keys by which sparse attention finds what it attends to have a cache of their own.
    indexer = _rows(layer, "indexer.attn_k.weight")
    return _F16 * (_kv_numbers(layer, numbers) + indexer)


def _kv_numbers(layer: Layer, numbers: CacheNumbers) -> int:
    if "attn_kv_a_mqa.weight" in layer:
        if numbers.latent:
            return numbers.n_kv_heads * numbers.key_width or _rows(layer, "attn_kv_a_mqa.weight")
        return numbers.n_kv_heads * (numbers.key_width + numbers.value_width)
    fused = layer.get("attn_qkv.weight")
    if fused is not None:
        if "ssm_conv1d.weight" in layer:
            return 0  # it projects to the state of a delta net
        queries = numbers.n_heads * numbers.key_width or fused.shape[0]
        return fused.shape[1] - queries
    keys = _rows(layer, "attn_k.weight")
    return keys + (_rows(layer, "attn_v.weight") or keys)  # without values of its own, a layer takes the keys


def state_bytes(layer: Layer, numbers: CacheNumbers) -> int:
    """Return the bytes of a recurrent layer's state in f32, for each sequence; 0 for another layer.

    A convolution keeps its inputs of all but the current token.
    """
    if (mamba := layer.get("ssm_conv1d.weight")) is not None:
        width, channels = mamba.shape[:2]
        return _F32 * ((width - 1) * channels + numbers.ssm_state_numbers)
    if (queries := layer.get("ssm_conv1d_q.weight")) is not None:
        width, channels = queries.shape[0], queries.n_elements // queries.shape[0]
        return _F32 * channels * (3 * (width - 1) + numbers.kda_width)
    if (short := layer.get("shortconv.conv.weight")) is not None:
        width, channels = short.shape[:2]
        return _F32 * (width - 1) * channels
    if "time_mix_key.weight" in layer:
        return _F32 * _rows(layer, "time_mix_key.weight") * (numbers.token_shifts + numbers.wkv_width)
    return 0


def _rows(layer: Layer, name: str) -> int:
    return layer[name].shape[1] if name in layer else 0
