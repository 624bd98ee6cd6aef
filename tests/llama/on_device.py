"""A program for `test_device_memory`: collect activations on devices that belong to other processes.

    python -m tests.llama.on_device KIND DEVICES MODEL CTX OUTPUT.npz

It needs a llama.cpp with a backend that has such devices. It runs as its own process, because a process can load only
one llama.cpp.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
from llama_cpp._ggml import libggml

from actors.llama import ggml
from actors.llama.activations import ActivationCollector
from actors.llama.devices import DeviceUse
from actors.llama.model import Model
from actors.quantization.groups import added


def main(kind: str, devices: int, model_path: str, ctx: int, output: str) -> None:
    """Save the sums of two chunks, and how many tensors were read from host memory and from devices."""
    reads: Counter[str] = Counter()
    buffer_is_host = libggml.ggml_backend_buffer_is_host

    def counted(buffer: int) -> bool:
        found = bool(buffer_is_host(buffer))
        reads["host" if found else "device"] += 1
        return found

    ggml.libggml.ggml_backend_buffer_is_host = counted
    tokens = np.random.default_rng(0).integers(261, 386, 2 * ctx).tolist()
    use = DeviceUse(kind, devices, "layer" if devices > 1 else "none")
    with (
        Model(model_path, gpu_layers=-1, devices=use) as model,
        ActivationCollector(model, ctx=ctx, threads=1) as collector,
    ):
        first, second = (collector.submit((tokens[start : start + ctx], None)).result() for start in (0, ctx))
    seen = added(first, second)
    arrays = {f"sums/{name}": entry.sum_squares for name, entry in seen.items()}
    arrays |= {f"counts/{name}": entry.counts for name, entry in seen.items()}
    np.savez(output, **arrays, reads=np.array([reads["host"], reads["device"]]))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
