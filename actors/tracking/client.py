"""MLflow's client of a store, which stays silent and gives up soon. An SQLite store is created whole or not at all."""

from __future__ import annotations

import contextlib
import logging

from mlflow import MlflowClient
from mlflow.environment_variables import (
    MLFLOW_DISABLE_TELEMETRY,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
)
from mlflow.telemetry import set_telemetry_client

from actors.tracking.addresses import sqlite_path
from conf.files import exists, folder_aside, remove_leftovers

_REQUEST_TIMEOUT_S, _RETRIES = 20, 2
"""MLflow's own values are 120 and 7: one update would try for hours if a server hangs. The next update tries again."""


def open_client(uri: str) -> MlflowClient:
    """Return MLflow's client of a store, which stays silent and gives up soon."""
    _silence_mlflow()
    return MlflowClient(tracking_uri=uri)


def create_sqlite_store(uri: str) -> None:
    """Create the SQLite store with its tables, if the file is missing.

    MLflow creates the tables in about fifty migrations, and SQLite commits each one. A job that is killed between two
    of them would leave a store that no MLflow can open. So the store is made elsewhere and then linked to its place.
    """
    path = sqlite_path(uri)
    if path is None or exists(path):
        return
    remove_leftovers(path.parent)
    with folder_aside(path) as aside:
        made = aside / path.name
        open_client(f"sqlite:///{made}").search_experiments(max_results=1)
        # A link never replaces a store that another job has created and filled in the meantime.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(made)


def _silence_mlflow() -> None:
    """Keep messages of MLflow and alembic out of the job's output, and stop MLflow from sending usage reports.

    Also let its client give up sooner, unless the user has set how long it tries.
    """
    if not MLFLOW_HTTP_REQUEST_TIMEOUT.is_set():  # type: ignore[no-untyped-call]
        MLFLOW_HTTP_REQUEST_TIMEOUT.set(_REQUEST_TIMEOUT_S)  # type: ignore[no-untyped-call]
    if not MLFLOW_HTTP_REQUEST_MAX_RETRIES.is_set():  # type: ignore[no-untyped-call]
        MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(_RETRIES)  # type: ignore[no-untyped-call]
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)  # type: ignore[no-untyped-call]
    MLFLOW_DISABLE_TELEMETRY.set(True)  # type: ignore[no-untyped-call]
    set_telemetry_client()  # type: ignore[no-untyped-call]
    for name in ("mlflow", "alembic", "git", "urllib3"):
        # Not even errors: what matters is raised as well, and is told once, in one line.
        logging.getLogger(name).setLevel(logging.CRITICAL)
