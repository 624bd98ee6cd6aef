"""Hashes of values and files, by which results are found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HASHED_BYTES = 2**20
"""Bytes that are read at a time for a hash."""


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises:
        TypeError, ValueError: the value has no stable JSON form.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """Return the sha256 of the canonical JSON of `value`, as 64 hexadecimal digits. File names carry the first 8."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: str | Path, report: Callable[[int], None] | None = None) -> str:
    """Return the sha256 of a file's content, as 64 hexadecimal digits.

    Args:
        path: the file.
        report: is called with the number of bytes that were read since its last call.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_HASHED_BYTES))
    with open(path, "rb", buffering=0) as file:
        while n_bytes := file.readinto(buffer):
            digest.update(buffer[:n_bytes])
            if report is not None:
                report(n_bytes)
    return digest.hexdigest()
