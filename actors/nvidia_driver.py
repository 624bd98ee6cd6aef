"""What NVIDIA's driver says about this machine: how many cards it has, and the versions of driver and CUDA."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

KERNEL_MODULE = Path("/proc/driver/nvidia/version")


def read_driver(module: Path = KERNEL_MODULE) -> tuple[str | None, int]:
    """Return the versions in words, and the number of cards. (None, 0) if there is no driver.

    Without the driver's library (a container that was started without it), only the kernel module is seen.
    """
    try:
        import pynvml
    except ImportError:
        return _kernel_module(module), 0
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return _kernel_module(module), 0
    try:
        number = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        cuda = f"CUDA {number // 1000}.{number % 1000 // 10}"
        return f"NVIDIA {_text(pynvml.nvmlSystemGetDriverVersion())}, {cuda}", int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return _kernel_module(module), 0
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _kernel_module(path: Path) -> str | None:
    try:
        said = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", said)
    return f"NVIDIA {found[1]} (kernel module only)" if found else "NVIDIA (kernel module only)"


def _text(said: str | bytes) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
