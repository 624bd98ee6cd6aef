"""Commands that are printed for the user: they can be pasted as they are, whatever the paths hold."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

DASHBOARD = "http://127.0.0.1:8265"
"""Where Ray's dashboard listens by default."""


def job_command(job: str, words: Sequence[str]) -> str:
    """Return the command that starts a job with the Python that runs this one, as seen from its working directory."""
    own = Path(sys.executable)
    python = str(own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else "python"
    return shlex.join([python, "-m", f"jobs.{job}", *words])


def show_command(path: Path) -> str:
    """Return the command that shows a file."""
    return f"cat {shlex.quote(str(path))}"


def logs_command(submission_id: str) -> str:
    """Return the command that follows the output of a Ray job. Only the user knows where it was submitted."""
    return f"ray job logs --address {DASHBOARD} --follow {submission_id}  # or the address that you submitted it to"


def mlflow_command(database: Path) -> str:
    """Return the command that shows an SQLite store of MLflow in a browser."""
    own = Path(sys.executable).with_name("mlflow")
    program = own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own
    return shlex.join([str(program), "ui", "--host", "127.0.0.1", "--backend-store-uri", f"sqlite:///{database}"])
