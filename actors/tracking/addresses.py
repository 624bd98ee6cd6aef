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


UI_ADDRESS = "http://127.0.0.1:5000"
"""Where `mlflow ui` listens by default. It is how an SQLite store is shown in a browser."""


def runs_address(uri: str, experiment_id: str) -> str | None:
    """Return the page with the runs of an experiment; None for a store that is neither a server nor an SQLite file.

    MLflow 3 opens its pages for chat traces, which are empty here, unless the address asks for those of models.
    """
    is_server = uri.startswith(("http://", "https://"))
    if not is_server and sqlite_path(uri) is None:
        return None
    base = mask_secrets(uri).rstrip("/") if is_server else UI_ADDRESS
    return f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
