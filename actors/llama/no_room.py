"""Tells from llama.cpp's log whether it got no memory, and for what.

llama.cpp returns no pointer for every kind of failure. Only its log says more. A CUDA device that has no memory left in
the middle of a graph ends the whole process, so that case never gets here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from actors.errors import LlamaError, NoRoomError, RoomFor

_NO_MEMORY = re.compile(
    r"unable to allocate|failed to (?:re)?allocate|cannot allocate|allocation of size \d+ failed|\w+Malloc failed"
    r"|out ?of ?(?:\w+)?memory|insufficient memory|bad_alloc",
    re.IGNORECASE,
)
"""What the parts of llama.cpp say: its loader, contexts, ggml's allocator, CUDA, Vulkan and the C++ library."""
_COMPUTE = re.compile(r"compute|graph|output buffer", re.IGNORECASE)
_TAIL_LINES = 5
SMALLER_CACHE = "Set a smaller `layout: kv_cache_mib`: fewer sequences then run side by side, in fewer cells"
SMALLER_CHUNKS = "Use smaller chunks (`calibration: ctx`; --ctx in jobs.collect_imatrix), or more or larger devices"


def load_error(path: str | Path, log: Sequence[str]) -> LlamaError:
    """Return the error for a file that could not be loaded."""
    said = _said(log)
    if said is None:
        return LlamaError(f"llama.cpp cannot load {path}", log[-_TAIL_LINES:])
    return NoRoomError(
        f"llama.cpp got no memory for the weights of {path} ({said}). Give the model more or larger devices, end other "
        "programs that use them, or use smaller weights (as a reference: q8_0 instead of f16)",
        log[-_TAIL_LINES:],
        "weights",
    )


def context_error(path: str | Path, n_ctx: int, log: Sequence[str], step: str = SMALLER_CACHE) -> LlamaError:
    """Return the error for a context of `n_ctx` cells that could not be made. `step`: what helps without memory."""
    said = _said(log)
    if said is None:
        return LlamaError(f"llama.cpp cannot make a context of {n_ctx} cells for {path}", log[-_TAIL_LINES:])
    wanted_for: RoomFor = "compute" if _COMPUTE.search(said) else "kv_cache"
    message = f"llama.cpp got no memory for a context of {n_ctx} cells for {path} ({said}). {step}"
    return NoRoomError(message, log[-_TAIL_LINES:], wanted_for)


def decode_error(status: int, log: Sequence[str]) -> LlamaError:
    """Return the error for a call of `llama_decode` that failed with this status."""
    said = _said(log)
    if said is None:
        return LlamaError(f"llama_decode failed with status {status}", log[-_TAIL_LINES:])
    return NoRoomError(
        f"llama.cpp got no memory for the buffers of a graph ({said}). Set a smaller `layout: n_ubatch` or "
        "`layout: kv_cache_mib`",
        log[-_TAIL_LINES:],
        "compute",
    )


def _said(log: Sequence[str]) -> str | None:
    """Return the last line about missing memory, without the function's name; None if there is none."""
    lines = [line for line in log if _NO_MEMORY.search(line)]
    return lines[-1].partition(": ")[2].strip() or lines[-1].strip() if lines else None
