"""Hashes of model files: computed once, then kept in a folder such as the storage."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from actors.hashing import content_hash, file_sha256
from actors.llama import library
from actors.llama.gguf_file import GgufHeader
from actors.llama.isolated_trial import check_loads
from actors.orchestrator.sources.reporter import Reporter
from actors.store import file_hashes_path
from conf.files import read_object, write_json

LARGE_BYTES = 2 * 2**30
"""A file of this size takes more than a few seconds to load with all of its values checked."""
QUIET_S = 3.0
"""Nothing is shown of a file that is read faster than this."""
_TRIAL = 2
"""Increase this if the trial asks more of a file."""


class HashCache:
    """The known sha256 of large files, so that a model file is read only once.

    An entry counts as long as the file's path, size and time of change stay the same.
    """

    def __init__(self, storage: Path, reporter: Reporter | None = None) -> None:
        """Read what is known.

        Args:
            storage: the folder.
            reporter: shows how far a file is read. None: nothing is shown.
        """
        self._reporter = reporter
        self._path = file_hashes_path(storage)
        known = read_object(self._path) or {}
        self._known = {name: value for name, value in known.items() if isinstance(value, str)}

    def sha256(self, path: str) -> str:
        """Return the sha256 of a file; read the file only if its hash is not known."""
        stat = os.stat(path)
        name = f"{Path(path).resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        if name not in self._known:
            self._known[name] = self._read(path, stat.st_size)
        return self._known[name]

    def _read(self, path: str, size_bytes: int) -> str:
        if self._reporter is None:
            return file_sha256(path)
        what = f"reading {Path(path).name} for its hash"
        with self._reporter.transfer(what, total_bytes=size_bytes, quiet_s=QUIET_S) as report:
            return file_sha256(path, report)

    def check_once(self, header: GgufHeader, sha256: str, *, key: str, got: str) -> None:
        """Load and use a GGUF in a process of its own, unless this llama.cpp has already done so.

        Args:
            key: the flag that fault messages name.
            got: what the user wrote.

        Raises:
            BadInput: the file cannot be loaded or used, or has values that are not finite.
        """
        name = f"loads|{_TRIAL}|{sha256}|{library.build()['llama_cpp_python']}"
        if name not in self._known:
            if self._reporter is not None and header.size_bytes >= LARGE_BYTES:
                self._reporter.say(f"Checking that llama.cpp loads {header.path.name}")
            check_loads(header, key=key, got=got)
            self._known[name] = "yes"

    def kept(self, name: str) -> str | None:
        """Return what was found out before about a file, under a name that holds all it depends on."""
        return self._known.get(name)

    def keep(self, name: str, value: str) -> None:
        """Keep what was found out about a file."""
        self._known[name] = value

    def save(self) -> None:
        """Write the known hashes to the folder, which must exist. Without this file, the same things are done again."""
        with contextlib.suppress(OSError):
            write_json(self._path, self._known)


def gguf_sha256(header: GgufHeader, sha256: Callable[[str], str] = file_sha256) -> str:
    """Return the sha256 of a GGUF. For a split one, return the hash of the list of its parts' hashes."""
    each = [sha256(str(path)) for path in header.parts]
    return each[0] if len(each) == 1 else content_hash(each)
