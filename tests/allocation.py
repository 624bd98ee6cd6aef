"""What llama.cpp would allocate for a model in a layout: it says so without loading any weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import llama_cpp

from actors.llama import library
from actors.llama.buffers import read_buffers
from actors.llama.context import _parameters
from actors.llama.layout import EngineLayout

_KV = re.compile(r"(?:llama_kv_cache|llama_memory_recurrent): size =\s*([\d.]+) MiB")


@dataclass(frozen=True)
class Allocation:
    """Sizes in bytes."""

    kv_bytes: int
    """The KV cache, and the states of recurrent layers."""
    compute_bytes: int
    """The compute buffers, without the buffer for logits."""


def allocation_of(path: Path, layout: EngineLayout) -> Allocation:
    """Return what llama.cpp would allocate. The file may have a hole in place of its values."""
    library.start()
    params = llama_cpp.llama_model_default_params()
    params.no_alloc, params.load_mode, params.use_extra_bufts = True, 0, False
    with library.captured_log() as log:
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        assert model, log[-2:]
        context = llama_cpp.llama_init_from_model(model, _parameters(layout, layout.sequences + 2))
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)
    kv = sum(float(size) for line in log for size in _KV.findall(line))
    compute = [line for line in log if "compute buffer size" in line]
    return Allocation(round(kv * 2**20), sum(one.compute_bytes for one in read_buffers(compute)))
