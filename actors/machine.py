"""Free memory and disk space of this machine, and errors if there is too little.

The code that does the work knows how much it needs. It checks here before it starts anything heavy.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import psutil

from conf.faults import BadInput, Fault

_GROUP = Path("/sys/fs/cgroup")
# Files with the limit and the use of a container's control group: cgroup version 2, then version 1.
_LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def available_bytes(group: Path = _GROUP) -> int:
    """Return the memory available without swapping, in bytes. A container's limit is respected."""
    available: int = psutil.virtual_memory().available
    for limit_name, use_name in _LIMITS:
        limit, used = _number(group / limit_name), _number(group / use_name)
        if limit is not None and used is not None:
            available = min(available, max(0, limit - used))
    return available


def check_memory(needed_bytes: int, work: str) -> None:
    """Raise `BadInput` if `work` (such as "quantizing model.gguf") needs more memory than is available."""
    available = available_bytes()
    if needed_bytes > available:
        raise BadInput(
            Fault(
                "memory",
                f"{available / 2**30:.1f} GiB available",
                f"at least {needed_bytes / 2**30:.1f} GiB for {work}",
                "Close other programs, or use a machine with more memory.",
            )
        )


def _number(path: Path) -> int | None:
    """Return the number in a file. None if the file is missing or says `max`."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def existing_parent(path: Path) -> Path:
    """Return the path if it exists, otherwise the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def check_folder(folder: Path, key: str, *, needed_bytes: int = 0) -> None:
    """Raise `BadInput` if `folder` cannot be created or written, or if its disk has too little free space."""
    parent = existing_parent(folder)
    if not parent.is_dir():
        raise BadInput(Fault(key, str(folder), "a folder", f"{parent} is a file."))
    try:
        # A real write, because the superuser has permission even on a read-only file system.
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise BadInput(
            Fault(key, str(folder), "a folder that can be written", f"{parent}: {error.strerror}.")
        ) from error
    free_bytes = shutil.disk_usage(parent).free
    if needed_bytes > free_bytes:
        allowed = f"a folder with {needed_bytes / 2**30:.1f} GiB free"
        raise BadInput(Fault(key, f"{folder} with {free_bytes / 2**30:.1f} GiB free", allowed, "Free some disk space."))
