"""One pipeline to run, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.store import RunDirectory
from conf.environment import Environment
from conf.names import ascii_name
from conf.schema.pipeline import PipelineConfig


@dataclass(frozen=True)
class Request:
    """One pipeline to run."""

    config: PipelineConfig
    pipeline_id: str
    environment: Environment
    command: str
    """The command that the user typed, for the results."""
    make_documents: bool
    mlflow_home: Path
    """Folder of MLflow's SQLite store and artifacts, used if MLFLOW_TRACKING_URI is not set."""
    only_judging: bool = False
    """True: nothing is made or evaluated. Answers that exist are judged, and the results are computed again."""
    wait_for_mlflow: bool = True
    """False: start even if MLflow does not answer, and do not count it as a failure."""


@dataclass(frozen=True)
class Finished:
    """How a pipeline ended."""

    run: RunDirectory
    failures: tuple[Mapping[str, Any], ...]
    notices: tuple[str, ...]
    nothing_to_do: bool
    """True if an earlier start had already finished the pipeline."""


def new_pipeline_id(model: str) -> str:
    """Return `YYYYmmdd-HHMMSS-<model>`, in local time."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{ascii_name(model)}"[:128]
