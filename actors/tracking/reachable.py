"""Ask before the start whether an MLflow store answers."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from actors.machine import existing_parent
from actors.tracking.addresses import mask_secrets, sqlite_path
from actors.tracking.attempt import Attempt
from conf.faults import BadInput, Fault
from reporting.escape import one_line

REACH_TIMEOUT_S = 5.0
CHECK_WITHIN_S = 12.0
"""Time for the whole check. A server that does not answer is told within 15 seconds, with the time to start the job."""


def check_reachable(uri: str) -> None:
    """Raise `BadInput` within `CHECK_WITHIN_S` if no MLflow answers at `uri`, or if it refuses access.

    MLflow's own client retries for minutes before it gives up, and waits for ever for an answer that trickles in.
    """
    attempt = Attempt(lambda: _reach(uri))
    has_ended = attempt.ended_within(CHECK_WITHIN_S)
    if has_ended and attempt.error is None:
        return
    reason = f"{type(attempt.error).__name__}: {attempt.error}" if has_ended else f"no answer in {CHECK_WITHIN_S:g} s"
    raise BadInput(
        Fault(
            "MLFLOW_TRACKING_URI",
            mask_secrets(uri),
            "the address of an MLflow server or store that answers",
            f"({one_line(mask_secrets(reason), 200)}) Start the server, correct the address, or unset the variable: "
            "without it, an SQLite file in the storage is used. With --no-mlflow-wait the job starts all the same, and "
            "MLflow is brought up to date as soon as it answers.",
        )
    )


def _reach(uri: str) -> None:
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme in {"http", "https"}:
        _check_http(uri)
        _ask(uri)
    elif parts.scheme.startswith("sqlite"):
        _check_sqlite(uri)
    elif parts.hostname and (port := parts.port or _DATABASE_PORTS.get(parts.scheme.partition("+")[0])):
        socket.create_connection((parts.hostname, port), REACH_TIMEOUT_S).close()
    else:
        _ask(uri)


def _ask(uri: str) -> None:
    """Ask the store something, with MLflow's own client."""
    # Imported here: MLflow takes seconds to import, and most runs use a file.
    from actors.tracking.client import open_client

    open_client(uri).search_experiments(max_results=1)


_SQLITE_START = b"SQLite format 3\0"
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def _check_http(uri: str) -> None:
    """Raise `OSError` if there is no HTTP answer at `uri`.

    Any answer will do, even an error: a proxy in front of MLflow may not know its health page.
    """
    parts = urllib.parse.urlsplit(uri)
    # The user and password in a URI are for MLflow's client. urllib would take them as part of the host name.
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/") + "/health").geturl()
    try:
        with urllib.request.urlopen(address, timeout=REACH_TIMEOUT_S):
            pass
    except urllib.error.HTTPError as error:
        error.close()


def _check_sqlite(uri: str) -> None:
    """Raise `OSError` if the file is no SQLite database, or its folder or nearest existing parent cannot be written."""
    path = sqlite_path(uri)
    if path is not None:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            if file.read(16) not in (b"", _SQLITE_START):
                raise OSError(f"{path} is no SQLite database")
        with tempfile.TemporaryFile(dir=existing_parent(path.parent)):
            pass
