"""Writing files that survive any kill, for everybody who writes: actors and reports alike.

Every file is written under a temporary name beside its place and renamed, so that a file that exists is
whole. Nothing is ever appended to. Where files lie is left to `actors.store` and to the callers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conf.faults import BadInput, Fault

_LEFTOVERS = ".*.part"


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed onto it when the block ends well, removed when it does not."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    temporary = Path(name)
    try:
        _hold(handle)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes files private to their owner; results are to be read by whoever may read the folder.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, target)
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_aside(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path`, in which something is made before it is put there; it is removed at the end."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.", suffix=".part") as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            _hold(handle)
            yield Path(name)
        finally:
            os.close(handle)


def remove_leftovers(folder: str | Path) -> None:
    """Delete what killed writers left in `folder`, temporary files and folders; what somebody is writing stays."""
    for path in Path(folder).glob(_LEFTOVERS):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(path)
            finally:
                os.close(handle)


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it; what is gone already is no fault."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _hold(handle: int) -> None:
    """Lock a file or folder that is being written. The kernel takes the lock away from whoever dies."""
    with contextlib.suppress(OSError):  # some file systems know no locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a whole UTF-8 text file atomically, with LF line ends."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file atomically, for people too: indented, Japanese as Japanese."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def exists(path: str | Path) -> bool:
    """Return whether there is a file or a folder at `path`."""
    return Path(path).exists()


def files_below(folder: str | Path) -> list[Path]:
    """Return all files in `folder` and its subfolders, sorted; an empty list if the folder is missing."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def leftovers_below(folder: str | Path) -> list[Path]:
    """Return the temporary files and folders in `folder` and its subfolders, whoever is writing them."""
    return list(Path(folder).rglob(_LEFTOVERS))


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def require_folder(folder: str | Path, key: str) -> None:
    """Make `folder` where it is missing. Raises BadInput, naming `key`, where nothing can be written into it."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        allowed = f"a folder that can be written ({error.strerror})"
        raise BadInput(Fault(key, str(folder), allowed, "Name another folder, or mend its permissions.")) from error
