"""Headers of small models with unusual caches, and a hole in place of their values. llama.cpp says what it allocates.

Shapes are written as llama.cpp writes them: the length of a row comes first.

- `deepseek2`: latent attention; with `latent=False` an older file of it, whose cache has keys and values of all heads
- `qwen3next`: a gated delta net and an attention layer
- `kimi-linear`: a KDA layer and one of latent attention
- `lfm2`: a short convolution and an attention layer
- `rwkv7`: states only
- `qwen3`: attention whose queries, keys and values are one tensor, and whose heads together are wider than a row
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.tiny_model import add_vocabulary

Shapes = dict[str, tuple[int, ...]]
EMBD, FF, HEADS, KV_HEADS, HEAD = 256, 512, 4, 2, 128
LATENT, ROPE, NOPE, VALUE = 64, 32, 48, 40
EXPERTS, EXPERT_FF = 4, 64
CONV, STATE, GROUPS, V_HEADS = 4, 32, 2, 4
KDA, WKV, LORA = 32, 64, 16


def write_hollow(path: Path, kind: str) -> Path:
    """Write a file of two layers and return its path. `kind` is an architecture, or `deepseek2 old`."""
    architecture = kind.split()[0]
    metadata, shapes = _KINDS[kind]()
    writer = gguf.GGUFWriter(path, architecture)
    n_vocab = add_vocabulary(writer, None)
    common = {"context_length": 2048, "embedding_length": EMBD, "block_count": 2, "feed_forward_length": FF}
    for key, value in (common | {"attention.layer_norm_rms_epsilon": 1e-5} | dict(metadata)).items():
        _add(writer, f"{architecture}.{key}", value)
    every: Shapes = {
        "token_embd.weight": (EMBD, n_vocab),
        _OUTPUT_NORMS.get(architecture, "output_norm.weight"): (EMBD,),
        "output.weight": (EMBD, n_vocab),
    }
    n_bytes = 0
    for name, shape in (every | shapes).items():
        f32 = len(shape) == 1 or any(part in name for part in ("ffn_gate_inp", "conv", "ssm_a", "lerp"))
        kind_of = np.dtype(np.float32 if f32 else np.float16)
        size = int(np.prod(shape)) * kind_of.itemsize
        writer.add_tensor_info(name, tuple(reversed(shape)), kind_of, size)
        n_bytes += -(-size // 32) * 32
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate(-(-path.stat().st_size // 32) * 32 + n_bytes)
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_uint32(key, value)


def _in_layer(number: int, shapes: Shapes) -> Shapes:
    return {f"blk.{number}.{name}": shape for name, shape in shapes.items()}


_OUTPUT_NORMS = {"lfm2": "token_embd_norm.weight"}
_DENSE: Shapes = {
    "ffn_norm.weight": (EMBD,),
    "ffn_gate.weight": (EMBD, FF),
    "ffn_up.weight": (EMBD, FF),
    "ffn_down.weight": (FF, EMBD),
}
_EXPERTS: Shapes = {
    "ffn_gate_inp.weight": (EMBD, EXPERTS),
    "ffn_gate_exps.weight": (EMBD, EXPERT_FF, EXPERTS),
    "ffn_up_exps.weight": (EMBD, EXPERT_FF, EXPERTS),
    "ffn_down_exps.weight": (EXPERT_FF, EMBD, EXPERTS),
    "ffn_gate_shexp.weight": (EMBD, EXPERT_FF),
    "ffn_up_shexp.weight": (EMBD, EXPERT_FF),
    "ffn_down_shexp.weight": (EXPERT_FF, EMBD),
}
_LATENT_ATTENTION: Shapes = {
    "attn_norm.weight": (EMBD,),
    "attn_q.weight": (EMBD, HEADS * (NOPE + ROPE)),
    "attn_kv_a_norm.weight": (LATENT,),
    "attn_kv_a_mqa.weight": (EMBD, LATENT + ROPE),
    "attn_output.weight": (HEADS * VALUE, EMBD),
}
_DECOMPRESSED: Shapes = {
    "attn_k_b.weight": (NOPE, LATENT, HEADS),
    "attn_v_b.weight": (LATENT, VALUE, HEADS),
}
_LATENT_NUMBERS = {
    "attention.head_count": HEADS,
    "attention.head_count_kv": 1,
    "attention.kv_lora_rank": LATENT,
    "attention.key_length": LATENT + ROPE,
    "attention.value_length": LATENT,
    "attention.key_length_mla": NOPE + ROPE,
    "attention.value_length_mla": VALUE,
    "rope.dimension_count": ROPE,
}
_EXPERT_NUMBERS = {
    "expert_count": EXPERTS,
    "expert_used_count": 2,
    "expert_feed_forward_length": EXPERT_FF,
    "expert_shared_count": 1,
    "expert_gating_func": 2,
}
_ATTENTION_NUMBERS = {
    "attention.head_count": HEADS,
    "attention.head_count_kv": KV_HEADS,
    "attention.key_length": HEAD,
    "attention.value_length": HEAD,
}
Made = tuple[Mapping[str, Any], Shapes]


def _deepseek2(*, latent: bool = True) -> Made:
    # A lite model (no compressed queries) is told by its number of layers.
    numbers = _LATENT_NUMBERS | _EXPERT_NUMBERS | {"block_count": 26, "leading_dense_block_count": 26}
    own = (
        _LATENT_ATTENTION
        | _DENSE
        | (_DECOMPRESSED if latent else {"attn_kv_b.weight": (LATENT, HEADS * (NOPE + VALUE))})
    )
    if not latent:
        numbers = {key: value for key, value in numbers.items() if not key.endswith("_mla")}
        numbers |= {
            "attention.head_count_kv": HEADS,
            "attention.key_length": NOPE + ROPE,
            "attention.value_length": VALUE,
        }
    return numbers, {name: shape for number in range(26) for name, shape in _in_layer(number, own).items()}


def _qwen3next() -> Made:
    inner = STATE * V_HEADS
    numbers = _ATTENTION_NUMBERS | _EXPERT_NUMBERS
    numbers |= {"expert_shared_feed_forward_length": EXPERT_FF, "full_attention_interval": 2}
    numbers |= {"ssm.conv_kernel": CONV, "ssm.inner_size": inner, "ssm.state_size": STATE}
    numbers |= {"ssm.time_step_rank": V_HEADS, "ssm.group_count": GROUPS, "rope.dimension_count": 64}
    mixed = 2 * STATE * GROUPS + inner
    both = _EXPERTS | {"ffn_gate_inp_shexp.weight": (EMBD,)}
    both |= {"attn_norm.weight": (EMBD,), "post_attention_norm.weight": (EMBD,)}
    net: Shapes = {
        "attn_qkv.weight": (EMBD, mixed),
        "attn_gate.weight": (EMBD, inner),
        "ssm_conv1d.weight": (CONV, mixed),
        "ssm_dt.bias": (V_HEADS,),
        "ssm_a": (V_HEADS,),
        "ssm_ba.weight": (EMBD, 2 * V_HEADS),
        "ssm_norm.weight": (STATE,),
        "ssm_out.weight": (inner, EMBD),
    }
    attention: Shapes = {
        "attn_q.weight": (EMBD, 2 * HEADS * HEAD),
        "attn_k.weight": (EMBD, KV_HEADS * HEAD),
        "attn_v.weight": (EMBD, KV_HEADS * HEAD),
        "attn_output.weight": (HEADS * HEAD, EMBD),
        "attn_q_norm.weight": (HEAD,),
        "attn_k_norm.weight": (HEAD,),
    }
    return numbers, _in_layer(0, both | net) | _in_layer(1, both | attention)


def _kimi_linear() -> Made:
    width = KDA * HEADS
    numbers = _LATENT_NUMBERS | _EXPERT_NUMBERS | {"attention.head_count_kv": [0, 1], "leading_dense_block_count": 2}
    numbers |= {"ssm.conv_kernel": CONV, "kda.head_dim": KDA}
    kda: Shapes = {f"ssm_conv1d_{part}.weight": (CONV, 1, width) for part in "qkv"}
    kda |= {f"attn_{part}.weight": (EMBD, width) for part in "qkv"}
    kda |= {f"ssm_{part}_a.weight": (EMBD, KDA) for part in "fg"} | {
        f"ssm_{part}_b.weight": (KDA, width) for part in "fg"
    }
    kda |= {"attn_norm.weight": (EMBD,), "ssm_beta.weight": (EMBD, HEADS), "ssm_a": (1, HEADS), "ssm_dt.bias": (width,)}
    kda |= {"ssm_norm.weight": (KDA,), "attn_output.weight": (width, EMBD)}
    return numbers, _in_layer(0, kda | _DENSE) | _in_layer(1, _LATENT_ATTENTION | _DECOMPRESSED | _DENSE)


def _lfm2() -> Made:
    numbers = {"attention.head_count": HEADS, "attention.head_count_kv": [0, KV_HEADS], "shortconv.l_cache": 3}
    short: Shapes = {
        "attn_norm.weight": (EMBD,),
        "shortconv.conv.weight": (3, EMBD),
        "shortconv.in_proj.weight": (EMBD, 3 * EMBD),
        "shortconv.out_proj.weight": (EMBD, EMBD),
    }
    width, kv = EMBD // HEADS, EMBD // HEADS * KV_HEADS
    attention: Shapes = {"attn_norm.weight": (EMBD,), "attn_q.weight": (EMBD, EMBD), "attn_output.weight": (EMBD, EMBD)}
    attention |= {"attn_k.weight": (EMBD, kv), "attn_v.weight": (EMBD, kv)}
    attention |= {"attn_q_norm.weight": (width,), "attn_k_norm.weight": (width,)}
    return numbers, _in_layer(0, short | _DENSE) | _in_layer(1, attention | _DENSE)


def _rwkv7() -> Made:
    numbers = {"attention.head_count": 0, "wkv.head_size": WKV, "attention.layer_norm_epsilon": 1e-5}
    numbers |= {f"attention.{part}_lora_rank": LORA for part in ("decay", "iclr", "value_residual_mix", "gate")}
    own: Shapes = {
        f"{name}.{part}": (EMBD,) for name in ("attn_norm", "attn_norm_2", "time_mix_ln") for part in ("weight", "bias")
    }
    own |= {f"time_mix_{name}.weight": (EMBD,) for name in ("w0", "a0", "v0", "k_k", "k_a", "r_k")}
    own |= {f"time_mix_{name}1.weight": (EMBD, LORA) for name in "wavg"}
    own |= {f"time_mix_{name}2.weight": (LORA, EMBD) for name in "wavg"}
    own |= {f"time_mix_{name}.weight": (EMBD, EMBD) for name in ("key", "value", "receptance", "output")}
    own |= {"time_mix_lerp_fused.weight": (EMBD, 1, 1, 6), "channel_mix_lerp_k.weight": (EMBD, 1, 1)}
    own |= {"channel_mix_key.weight": (EMBD, FF), "channel_mix_value.weight": (FF, EMBD)}
    top: Shapes = {f"token_embd_norm.{part}": (EMBD,) for part in ("weight", "bias")} | {"output_norm.bias": (EMBD,)}
    return numbers, top | _in_layer(0, own) | _in_layer(1, own)


def _qwen3() -> Made:
    own: Shapes = {"attn_norm.weight": (EMBD,), "attn_qkv.weight": (EMBD, (HEADS + 2 * KV_HEADS) * HEAD)}
    own |= {"attn_output.weight": (HEADS * HEAD, EMBD), "attn_q_norm.weight": (HEAD,), "attn_k_norm.weight": (HEAD,)}
    return _ATTENTION_NUMBERS, _in_layer(0, own | _DENSE) | _in_layer(1, own | _DENSE)


_KINDS: Mapping[str, Callable[[], Made]] = {
    "deepseek2": _deepseek2,
    "deepseek2 old": lambda: _deepseek2(latent=False),
    "qwen3next": _qwen3next,
    "kimi-linear": _kimi_linear,
    "lfm2": _lfm2,
    "rwkv7": _rwkv7,
    "qwen3": _qwen3,
}
KINDS = tuple(_KINDS)
