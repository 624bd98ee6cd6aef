"""Memory use of the quantization role: what it will need (from a model's header alone), and its peak so far.

The predictions are upper bounds for planning. `tests/quantization/test_memory.py` checks them against measured peaks.
Pages of a memory-mapped model file count only if all of them are read repeatedly.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from actors.llama.activations import MAX_BATCH
from actors.llama.gguf_file import GgufHeader
from actors.llama.quantizer import MAX_BUFFER_BYTES
from actors.llama.shape import ModelShape, shape_of

_STATUS = Path("/proc/self/status")
PROCESS_BYTES = 320 * 2**20
"""Memory of Python with its packages, llama.cpp's library, and the Ray worker around them."""
SECOND_CONTEXT_BYTES = 300 * 10**6
"""Maximum size of a second context. It makes collecting only a few percent faster, so it must be cheap."""


def peak_rss_bytes() -> int:
    """Return the largest resident set of this process since it started, including mapped model files."""
    if _STATUS.exists():
        # Not getrusage: on Linux a process inherits the peak of the process that started it.
        line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): kibibytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else peak * 1024


def needed_to_quantize(header: GgufHeader) -> int:
    """Return the bytes needed to quantize: rows of one tensor as read, as float32 and as written.

    llama.cpp holds at most 12 bytes per element.
    """
    return bytes_to_quantize(shape_of(header))


def bytes_to_quantize(shape: ModelShape) -> int:
    """Return the same, given the shape of the model."""
    return PROCESS_BYTES + min(MAX_BUFFER_BYTES, 12 * shape.largest_elements)


def needed_to_collect(header: GgufHeader, ctx: int, *, model_bytes: int | None = None, gpu_layers: int = 0) -> int:
    """Return the bytes of the host needed to collect: the model (each chunk reads all of it), contexts, and sums.

    Weights and contexts on devices do not count. Sums of squares are always made on the host.

    Args:
        model_bytes: size of the file that will be read, if it is still to be made from the header's model.
        gpu_layers: layers on devices, as llama.cpp counts. -1: all.
    """
    if gpu_layers:
        shape = shape_of(header)
        weights = shape.weights if model_bytes is None else shape.weights.scaled_to(model_bytes)
        return PROCESS_BYTES + weights.on_host(gpu_layers) + _context_bytes(header, ctx) + _sums_bytes(header)
    contexts = contexts_to_collect(header, ctx) * _context_bytes(header, ctx)
    return PROCESS_BYTES + (model_bytes or header.size_bytes) + contexts + _sums_bytes(header)


def contexts_to_collect(header: GgufHeader, ctx: int) -> int:
    """Return how many contexts may decode chunks in parallel: two if the second one is cheap."""
    return 2 if _context_bytes(header, ctx) <= SECOND_CONTEXT_BYTES else 1


def _context_bytes(header: GgufHeader, ctx: int) -> int:
    """Return the bytes of a context for chunks of `ctx` tokens: KV cache, graph of one batch, and sums of one chunk."""
    vocabulary = next((tensor.shape[1] for tensor in header.tensors if tensor.name == "token_embd.weight"), 0)
    widest = max(max(tensor.shape[:2]) for tensor in header.tensors if tensor.name.startswith("blk."))
    # Logits exist twice: in the graph and in the output. About eight activation tensors are alive at a time.
    graph = 4 * min(ctx, MAX_BATCH) * (2 * vocabulary + 8 * widest)
    return ctx * header.kv_bytes_per_cell + graph + _sums_bytes(header)


def _sums_bytes(header: GgufHeader) -> int:
    """Return the bytes of the sums: one float64 per column of each matrix, and of each expert."""
    return 8 * shape_of(header).n_columns
