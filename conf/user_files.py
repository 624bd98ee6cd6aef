"""Read a file that the user named: safely, with a limit, and with one message for everything that is wrong with it.

A path can name anything: a folder, a pipe or a device that gives bytes for ever, a link to another place, a file that
is far too large. So every file that a user names is opened here, and nothing is read before it is known to be a file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from conf.faults import BadInput, Fault

MIB = 2**20
SMALL_FILE_BYTES = MIB
"""Limit of files that people write by hand: configurations, mixes, templates, functions."""
DATA_FILE_BYTES = 256 * MIB
"""Limit of a benchmark's data."""
TEXT_FILE_BYTES = 1024 * MIB
"""Limit of texts for calibration, which are read into memory."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_user_bytes(
    path: Path, *, key: str, what: str = "file", limit_bytes: int = TEXT_FILE_BYTES, within: Path | None = None
) -> bytes:
    """Return the content of a file that the user named.

    Args:
        path: the file.
        key: the flag or configuration key that fault messages name.
        what: what the file should be, for fault messages: `YAML file`.
        limit_bytes: most bytes that it may have.
        within: a folder that the file must really be in, after following links; None: it may be anywhere.

    Raises:
        BadInput: it is missing, unreadable, no file, too large, or outside of `within`.
    """
    allowed = f"a readable {what}"
    try:
        if within is not None:
            check_within(path, within, key=key)
        # Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no file")
                raise BadInput(Fault(key, str(path), f"{allowed} (this is {kind})", "Check the path."))
            # Files of the kernel say that they have 0 bytes, so the content is counted, too.
            content = b"" if (too_large := found.st_size > limit_bytes) else file.read(limit_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise BadInput(Fault(key, str(path), f"{allowed} ({reason})", "Check the path.")) from error
    if too_large or len(content) > limit_bytes:
        raise BadInput(Fault(key, str(path), f"{allowed} of at most {_size(limit_bytes)}"))
    return content


def read_user_text(
    path: Path, *, key: str, what: str = "text file", limit_bytes: int = TEXT_FILE_BYTES, within: Path | None = None
) -> str:
    """Return a UTF-8 text that the user named, without a byte-order mark; line ends are unchanged.

    Arguments are those of `read_user_bytes`. Raises `BadInput` as it does, and for text that is not UTF-8 or has NUL
    characters.
    """
    content = read_user_bytes(path, key=key, what=what, limit_bytes=limit_bytes, within=within)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        allowed = f"a {what} in UTF-8 (byte {error.start} is not UTF-8)"
        raise BadInput(Fault(key, str(path), allowed, "Convert it, for example with iconv.")) from error
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise BadInput(Fault(key, f"{path}, line {line}", f"a {what} (there is a NUL character)"))
    return text


def is_user_path(text: str) -> bool:
    """Return whether there is anything at the path that a user's text would be."""
    return "\0" not in text and os.path.lexists(text)


def check_within(path: Path, folder: Path, *, key: str) -> None:
    """Raise `BadInput` if a link leads from a path in `folder` to a place outside of it.

    A path that says itself that it is elsewhere (`../other.jsonl`) is the user's own choice.
    """
    given = Path(os.path.abspath(path))
    if not given.is_relative_to(os.path.abspath(folder)):
        return
    real = Path(os.path.realpath(path))  # unlike `resolve`, it raises nothing for links in a circle
    if not real.is_relative_to(os.path.realpath(folder)):
        step = "Copy the file into the folder, or name the folder that it is really in."
        raise BadInput(Fault(key, f"{path}, a link to {real}", f"a file inside of {folder}", step))


def _size(n_bytes: int) -> str:
    return f"{n_bytes // MIB} MiB" if n_bytes >= MIB else f"{n_bytes} bytes"
