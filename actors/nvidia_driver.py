"""What NVIDIA's driver says about this machine: how many cards it has, and the versions of driver and CUDA."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

KERNEL_MODULE = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Driver:
    """The driver of a machine."""

    versions: str | None
    """Its version and that of CUDA, in words. None: there is no driver, or it does not tell."""
    cards: int
    """How many cards it shows. 0 if it does not tell."""
    fault: str | None = None
    """Why it does not tell, though its kernel module is loaded. None: it tells, or there is no driver."""


def read_driver(module: Path = KERNEL_MODULE) -> Driver:
    """Return what the driver's library says.

    Without the library (a container that was started without it), only the kernel module is seen. On a machine without
    a driver there is neither.
    """
    loaded = _kernel_module(module)
    try:
        import pynvml
    except ImportError:
        return Driver(loaded, 0, "the package nvidia-ml-py is missing" if loaded else None)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Driver(loaded, 0, _fault(error) if loaded else None)
    try:
        number = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        cuda = f"CUDA {number // 1000}.{number % 1000 // 10}"
        versions = f"NVIDIA {_text(pynvml.nvmlSystemGetDriverVersion())}, {cuda}"
        return Driver(versions, int(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError as error:
        return Driver(loaded, 0, _fault(error))
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _fault(error: Exception) -> str:
    return f"NVML: {error}"


def _kernel_module(path: Path) -> str | None:
    try:
        said = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", said)
    return f"NVIDIA {found[1]} (kernel module only)" if found else "NVIDIA (kernel module only)"


def _text(said: str | bytes) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
