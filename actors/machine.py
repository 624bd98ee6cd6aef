"""How much memory this machine has left for us, and the refusal where that is too little.

What a piece of work needs is said by whoever does it; nothing heavy is started before this was asked.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import psutil

from conf.faults import BadInput, Fault

_GROUP = Path("/sys/fs/cgroup")
# Limit and use of the control group in which a container runs: version 2's names, then version 1's.
_LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def available_bytes(group: Path = _GROUP) -> int:
    """Memory that can be had without swapping: the machine's, or what a container's limit leaves of it."""
    available: int = psutil.virtual_memory().available
    for limit_name, use_name in _LIMITS:
        limit, used = _number(group / limit_name), _number(group / use_name)
        if limit is not None and used is not None:
            available = min(available, max(0, limit - used))
    return available


def check_memory(needed_bytes: int, work: str) -> None:
    """Raise `BadInput` where `work` ("quantizing model.gguf", say) needs more memory than is there."""
    available = available_bytes()
    if needed_bytes > available:
        raise BadInput(
            Fault(
                "memory",
                f"{available / 2**30:.1f} GiB available",
                f"at least {needed_bytes / 2**30:.1f} GiB for {work}",
                "Close other programs, run fewer workers side by side (--max-workers 1), or use a larger machine.",
            )
        )


def _number(path: Path) -> int | None:
    """A file's number; None where there is no such file, or it says `max`."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def existing_parent(path: Path) -> Path:
    """The path itself or, where it does not exist, the nearest folder above it that does."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def check_folder(folder: Path, key: str, *, needed_bytes: int = 0) -> None:
    """Raise `BadInput` where `folder` cannot be made or written, or its disk has less room than needed."""
    parent = existing_parent(folder)
    if not parent.is_dir():
        raise BadInput(Fault(key, str(folder), "a folder", f"{parent} is a file."))
    try:
        # Tried, not asked: what the superuser may do says nothing about a file system that cannot be written.
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise BadInput(
            Fault(key, str(folder), "a folder that can be written", f"{parent}: {error.strerror}.")
        ) from error
    free_bytes = shutil.disk_usage(parent).free
    if needed_bytes > free_bytes:
        allowed = f"a folder with {needed_bytes / 2**30:.1f} GiB free"
        raise BadInput(Fault(key, f"{folder} with {free_bytes / 2**30:.1f} GiB free", allowed, "Free some room."))
