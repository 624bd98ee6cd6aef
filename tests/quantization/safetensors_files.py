"""Write checkpoints without torch: a safetensors file is a length, a JSON header and the data."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ELEMENT_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def safetensors(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> bytes:
    """Return a file of zeros with the given dtype and shape per tensor name."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        n_bytes = ELEMENT_BYTES[dtype]
        for size in shape:
            n_bytes *= size
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + n_bytes]}
        end += n_bytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def checkpoint_files(dtype: str = "BF16", **config: Any) -> dict[str, bytes]:
    """Return the files of a checkpoint in two parts, and some files that a conversion does not use."""
    first = {"model.embed_tokens.weight": (dtype, (64, 32)), "model.norm.weight": ("F32", (32,))}
    second = {"lm_head.weight": (dtype, (64, 32))}
    names = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    weight_map = {tensor: name for name, part in zip(names, (first, second), strict=True) for tensor in part}
    return {
        "config.json": json.dumps({**LLAMA, **config}).encode(),
        "tokenizer.json": b"{}",
        "model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode(),
        names[0]: safetensors(first),
        names[1]: safetensors(second),
        "consolidated.safetensors": safetensors({**first, **second}),
        "pytorch_model.bin": b"a pickle",
        "modeling_own.py": b"raise SystemExit('run')",
        "onnx/model.onnx": b"another format",
    }


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
