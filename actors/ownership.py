"""One owner per run directory.

The owner holds an operating-system lock on `owner.lock`, and the file names the owner. The system frees the lock when
the process ends, however it ends. So a dead owner blocks nobody, and a second live job is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from actors.errors import ConflictError
from actors.store import RunDirectory
from conf.faults import BadInput, Fault
from conf.files import exists, is_file, is_folder, writing


@contextlib.contextmanager
def owned(run: RunDirectory, submission_id: str | None) -> Iterator[str]:
    """Own the run directory while the block runs, and yield the owner's token.

    Raises:
        BadInput: another live job owns it, or it cannot be owned (`check_place`).
        WriteFailed: the disk is full or fails.
    """
    check_place(run)
    lock = FileLock(run.lock)
    with writing(run.lock):
        run.root.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BadInput(
                Fault(
                    "--pipeline-id",
                    run.root.name,
                    "an id that no running job uses",
                    f"It belongs to {_describe(run.lock)}. Wait for it, stop it, or choose another id.",
                )
            ) from None
    token = uuid.uuid4().hex
    owner = {
        "token": token,
        "host": socket.gethostname(),
        "process_id": os.getpid(),
        "submission_id": submission_id,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        # Written in place: a rename would replace the file by another one without our lock.
        with writing(run.lock), open(run.lock, "r+", encoding="utf-8") as file:
            file.write(json.dumps(owner) + "\n")
            file.truncate()
        yield token
    finally:
        lock.release()


def check_place(run: RunDirectory) -> None:
    """Raise `BadInput` if the run directory is no folder, or its lock no file."""
    for path, is_right, kind in ((run.root, is_folder, "folder"), (run.lock, is_file, "file")):
        if exists(path) and not is_right(path):
            allowed = f"an id whose run directory can be used ({path} is not a {kind})"
            raise BadInput(Fault("--pipeline-id", run.root.name, allowed, f"Choose another id, or move {path} away."))


def check_owner(run: RunDirectory, token: str) -> None:
    """Raise `ConflictError` if another job has taken over the run directory."""
    if _read(run.lock).get("token") != token:
        raise ConflictError(f"{run.root} now belongs to {_describe(run.lock)}")


def _read(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _describe(path: Path) -> str:
    owner = _read(path)
    job = f", Ray job {owner['submission_id']}" if owner.get("submission_id") else ""
    return f"process {owner.get('process_id', '?')} on {owner.get('host', '?')}{job}, since {owner.get('since', '?')}"
