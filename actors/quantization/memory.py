"""How much memory this role's work takes: what it will need, from a model's header alone, and what it held at most.

The needs are bounds for planning, checked against measured peaks in `tests/quantization/test_memory.py`. Pages of a
mapped model file count only where every one of them is read again and again.
"""

from __future__ import annotations

import math
import resource
import sys
from pathlib import Path

from actors.llama.activations import MAX_BATCH
from actors.llama.gguf_file import GgufHeader
from actors.llama.quantizer import MAX_BUFFER_BYTES

_STATUS = Path("/proc/self/status")
PROCESS_BYTES = 320 * 2**20
"""Python with its packages, llama.cpp's library, and a Ray worker around them."""
SECOND_CONTEXT_BYTES = 300 * 10**6
"""What a few per cent of speed may cost."""


def peak_rss_bytes() -> int:
    """Largest resident set of this process since it started, mapped model files included."""
    if _STATUS.exists():
        # Not getrusage: on Linux its peak is handed down by the process that started this one.
        line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): kibibytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else peak * 1024


def needed_to_quantize(header: GgufHeader) -> int:
    """llama.cpp holds rows of one tensor: as they are, as float32 and as they become, 12 bytes an element at most."""
    largest = max(tensor.n_elements for tensor in header.tensors)
    return PROCESS_BYTES + min(MAX_BUFFER_BYTES, 12 * largest)


def needed_to_collect(header: GgufHeader, ctx: int, *, model_bytes: int | None = None) -> int:
    """The whole model, for each chunk reads all of it; its contexts; and the sums of a group.

    Args:
        model_bytes: of the file that will be read, where that is still to be made from the header's model.
    """
    contexts = contexts_to_collect(header, ctx) * _context_bytes(header, ctx)
    return PROCESS_BYTES + (model_bytes or header.size_bytes) + contexts + _sums_bytes(header)


def contexts_to_collect(header: GgufHeader, ctx: int) -> int:
    """Contexts that may decode chunks at the same time: two, where the second one is cheap."""
    return 2 if _context_bytes(header, ctx) <= SECOND_CONTEXT_BYTES else 1


def _context_bytes(header: GgufHeader, ctx: int) -> int:
    """Of one that collects from chunks of `ctx` tokens: KV cache, what a graph of one batch holds, sums of a chunk."""
    vocabulary = next((tensor.shape[1] for tensor in header.tensors if tensor.name == "token_embd.weight"), 0)
    widest = max(max(tensor.shape[:2]) for tensor in header.tensors if tensor.name.startswith("blk."))
    # Logits stand in the graph and in the output; of activations about eight are alive at a time.
    graph = 4 * min(ctx, MAX_BATCH) * (2 * vocabulary + 8 * widest)
    return ctx * header.kv_bytes_per_cell + graph + _sums_bytes(header)


def _sums_bytes(header: GgufHeader) -> int:
    """One float64 for each column of each matrix, of experts for each of them."""
    matrices = (tensor.shape for tensor in header.tensors if tensor.name.startswith("blk.") and len(tensor.shape) > 1)
    return 8 * sum(columns * math.prod(stacked) for columns, _, *stacked in matrices)
