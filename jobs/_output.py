"""Checks of where a job is to write, before it begins: nothing is written by looking."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from conf.faults import BadInput, Fault


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
