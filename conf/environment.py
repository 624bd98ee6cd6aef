"""Environment variables: the only file that reads or sets them."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """What the job takes from environment variables. Secrets stay here: never logged, never sent to workers."""

    mlflow_tracking_uri: str | None
    """MLFLOW_TRACKING_URI: the user's MLflow. Unset: SQLite in the storage."""
    ray_address: str | None
    """RAY_ADDRESS: the cluster to run on; Ray sets it inside a submitted job. Unset: a local Ray of our own."""
    submission_id: str | None
    """Id of the Ray job that we run in, None outside of one."""
    cache_dir: Path
    """QUANT_ASSAY_CACHE: what is made once for all jobs: converted models, texts of data sets, the converter's own
    environment. Unset: quant-assay in XDG_CACHE_HOME, else in ~/.cache. What is downloaded lies in HF_HOME."""


def read_environment() -> Environment:
    """Read all environment variables that matter, once."""
    job_config = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR")
    metadata = json.loads(job_config).get("metadata", {}) if job_config else {}
    return Environment(
        mlflow_tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or None,
        ray_address=os.environ.get("RAY_ADDRESS") or None,
        submission_id=metadata.get("job_submission_id"),
        cache_dir=_cache_dir(),
    )


def read_endpoint_key() -> str | None:
    """OPENAI_API_KEY, for endpoints that ask for a key: read by the worker that asks them, in its own process."""
    return os.environ.get("OPENAI_API_KEY") or None


def _cache_dir() -> Path:
    if named := os.environ.get("QUANT_ASSAY_CACHE"):
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quant-assay"


def silence_ray() -> None:
    """Keep Ray's usage statistics, its banner and its warnings of coming changes out of the job's own output."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def let_waiting_threads_sleep() -> None:
    """Have the processes that are started next let their threads sleep soon, while they wait for each other.

    OpenMP lets them turn in circles much longer: on a machine where anything else runs, they take the processor from
    whoever they wait for. With one other process on two cores decoding took five times as long and more.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "1000"  # turns: what libgomp itself takes where it knows of too many threads


def protect_local_ray() -> None:
    """Give the local Ray that is started next a token of its own, for this job alone.

    Ray's ports are open on all network interfaces, so it wants a token. Without one in the environment Ray 2.60 writes
    one to ~/.ray/auth_token, and from then on every `ray start` and `ray job` of this user would be asked for it.
    """
    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
