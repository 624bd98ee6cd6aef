"""Addresses of MLflow stores: the file of an SQLite store, and an address without its secrets."""

from __future__ import annotations

import re
from pathlib import Path


def mask_secrets(text: str) -> str:
    """Replace passwords and tokens of URIs in `text` by `***`."""
    text = re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", text)
    return re.sub(r"(?i)\b(password|passwd|token|secret)=[^&\s]+", r"\1=***", text)


def sqlite_path(uri: str) -> Path | None:
    """Return the file of an SQLite store. None for any other store, and for one in memory."""
    match = re.fullmatch(r"sqlite[^:]*:///([^?]+)(\?.*)?", uri)
    return Path(match[1]).absolute() if match and match[1] != ":memory:" else None
