"""Write files so that a killed process never leaves half a file. Actors and reports both write with it.

Each file is written under a temporary name in the same folder and then renamed, so a file that exists is complete.
Nothing is ever appended. `actors.store` and the callers decide where files go. A full or failing disk is told by one
exception, `WriteFailed`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from conf.controls import escaped_json
from conf.faults import BadInput, Fault

_LEFTOVERS = ".*.part"
_DISK_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class WriteFailed(OSError):
    """A file could not be written. The message says which one, why, and what is missing if the disk is full."""


def is_disk_failure(error: BaseException | None) -> bool:
    """Return whether the cause of an error is a disk that is full or fails, whatever was being done with it."""
    return isinstance(error, WriteFailed) or (isinstance(error, OSError) and error.errno in _DISK_FAILURES)


def _write_failed(target: Path, error: OSError, size_bytes: int | None) -> WriteFailed:
    message = f"cannot write {target}: {error.strerror or error}"
    if error.errno in _NO_SPACE:
        free = _free_bytes(target.parent)
        message += f"; {_size(free)} are free on its disk"
        if size_bytes is not None and size_bytes > free:
            message += f", the file needs {_size(size_bytes)}: at least {_size(size_bytes - free)} are missing"
    return WriteFailed(message)


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB" if size_bytes >= 2**20 else f"{size_bytes / 2**10:.1f} KiB"


@contextlib.contextmanager
def atomic_path(path: str | Path, size_bytes: int | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` if the block succeeds, remove it if the block raises.

    Raise `WriteFailed` if the file cannot be written. `size_bytes` is the file's size, if known, for its message.
    """
    target = Path(path)
    in_block = False
    try:
        with _temporary_beside(target) as temporary:
            in_block = True
            yield temporary
            in_block = False
            _finish(temporary, target)
    except OSError as error:
        # In the block, other errors of the file system are about files that the block reads.
        if in_block and error.errno not in _DISK_FAILURES:
            raise
        raise _write_failed(target, error, size_bytes) from error


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Raise `WriteFailed` for any error of the file system in the block, which writes `path` in place."""
    try:
        yield
    except OSError as error:
        raise _write_failed(Path(path), error, None) from error


@contextlib.contextmanager
def _temporary_beside(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    temporary = Path(name)
    try:
        _hold(handle)
        yield temporary
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def _finish(temporary: Path, target: Path) -> None:
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    # mkstemp makes files private to their owner, but everybody who can read the folder should read the results.
    temporary.chmod(0o666 & ~_umask())
    os.replace(temporary, target)


@contextlib.contextmanager
def reserved_space(folder: str | Path, size_bytes: int) -> Iterator[Callable[[], object]]:
    """Keep space on the disk of `folder` free for last words. Give the function that gives the space back."""
    with contextlib.ExitStack() as stack:
        try:
            # A file without a name: nobody else can delete it, and nothing is left of it.
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
            # Random bytes, because a file system may compress others, or not store them at all.
            file.write(os.urandom(size_bytes))
            file.flush()
        except OSError as error:
            raise _write_failed(Path(folder) / "reserve", error, size_bytes) from error
        yield functools.partial(file.truncate, 0)


@contextlib.contextmanager
def folder_aside(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, to make something in before it is moved there; remove it at the end."""
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
    """Delete temporary files and folders that killed writers left in `folder`, except those still being written."""
    for path in Path(folder).glob(_LEFTOVERS):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(path)
            finally:
                os.close(handle)


def remove(path: Path) -> None:
    """Delete a file, or a folder with its contents; do nothing if it does not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _hold(handle: int) -> None:
    """Lock a file or folder while it is being written. The kernel releases the lock if the process dies."""
    with contextlib.suppress(OSError):  # some file systems have no locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path, len(data)) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically, with LF line ends."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file atomically, readable for people: indented, and Japanese not escaped.

    Control characters are escaped: the file may be shown on a terminal, and repeats what others wrote.
    """
    write_text(path, escaped_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n")


def exists(path: str | Path) -> bool:
    """Return whether there is a file or a folder at `path`."""
    return Path(path).exists()


def is_file(path: str | Path) -> bool:
    """Return whether there is a file at `path`: no folder, device or pipe."""
    return Path(path).is_file()


def is_folder(path: str | Path) -> bool:
    """Return whether there is a folder at `path`."""
    return Path(path).is_dir()


def files_below(folder: str | Path) -> list[Path]:
    """Return all files in `folder` and its subfolders, sorted; an empty list if the folder is missing."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def leftovers_below(folder: str | Path) -> list[Path]:
    """Return the temporary files and folders in `folder` and its subfolders, whoever is writing them."""
    return list(Path(folder).rglob(_LEFTOVERS))


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_object(path: str | Path) -> dict[str, Any] | None:
    """Read a JSON file that we wrote. Return None if it is missing or damaged, or is not a mapping."""
    try:
        value = read_json(path) if is_file(path) else None  # a pipe would have us wait for ever
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def require_folder(folder: str | Path, key: str) -> None:
    """Make `folder` if it is missing. Raises `BadInput`, naming `key`, if nothing can be written into it."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        in_the_way = next((one for one in (Path(folder), *Path(folder).parents) if one.is_file()), None)
        if in_the_way is not None:
            raise BadInput(Fault(key, str(folder), "a folder", f"{in_the_way} is a file.")) from error
        allowed = f"a folder that can be written ({error.strerror})"
        raise BadInput(Fault(key, str(folder), allowed, "Name another folder, or fix its permissions.")) from error
