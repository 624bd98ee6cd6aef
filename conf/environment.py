"""Read and set environment variables. No other file does."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

_DEVICE_SETTINGS = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "GGML_CUDA_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    *("GGML_VK_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR", "QUANT_ASSAY_RPC_SERVERS"),
)


@dataclass(frozen=True)
class Environment:
    """What the job reads from environment variables. Secrets stay here: they are never logged or sent to workers."""

    mlflow_tracking_uri: str | None
    """MLFLOW_TRACKING_URI: the address of the user's MLflow server. None if unset: SQLite in the storage is used."""
    ray_address: str | None
    """RAY_ADDRESS: the cluster to run on. Ray sets it inside a submitted job. None if unset: a local Ray is started."""
    submission_id: str | None
    """Id of the Ray job that this process runs in; None outside of a Ray job."""
    cache_dir: Path
    """QUANT_ASSAY_CACHE: the folder for what all jobs share: converted models, texts of data sets, the converter's
    Python environment. If unset: `quant-assay` in XDG_CACHE_HOME, else in ~/.cache. Downloads go to HF_HOME instead."""


def read_environment() -> Environment:
    """Read the environment variables that a job needs."""
    job_config = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR")
    metadata = json.loads(job_config).get("metadata", {}) if job_config else {}
    return Environment(
        mlflow_tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or None,
        ray_address=os.environ.get("RAY_ADDRESS") or None,
        submission_id=metadata.get("job_submission_id"),
        cache_dir=_cache_dir(),
    )


def read_endpoint_key() -> str | None:
    """Return OPENAI_API_KEY, for endpoints that need a key. The worker that calls them reads it in its own process."""
    return os.environ.get("OPENAI_API_KEY") or None


def read_judge_key() -> str | None:
    """Return JUDGE_API_KEY, for judges behind an endpoint. The worker that asks them reads it in its own process."""
    return os.environ.get("JUDGE_API_KEY") or None


def read_rpc_servers() -> tuple[str, ...]:
    """Return QUANT_ASSAY_RPC_SERVERS: addresses HOST:PORT of llama.cpp's RPC servers, separated by commas.

    Each process that decodes reads it on its own machine, so all machines of a cluster can name other servers.
    """
    return tuple(one.strip() for one in os.environ.get("QUANT_ASSAY_RPC_SERVERS", "").split(",") if one.strip())


def read_ray_token() -> str | None:
    """Return the cluster's token from where Ray looks: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token."""
    given = os.environ.get("RAY_AUTH_TOKEN", "").strip()
    if given:
        return given
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def read_ray_folder() -> Path:
    """Return where a local Ray keeps its files and logs: in RAY_TMPDIR, else in TMPDIR, else in /tmp."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"


def _cache_dir() -> Path:
    if named := os.environ.get("QUANT_ASSAY_CACHE"):
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quant-assay"


def silence_ray() -> None:
    """Turn off Ray's usage statistics and its warnings about coming changes, which would appear in the job's output."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def let_waiting_threads_sleep() -> None:
    """Make OpenMP threads of processes that start later sleep soon when they wait for each other.

    By default OpenMP threads spin much longer. If anything else runs on the machine, spinning threads take the
    processor from the threads they wait for: with one other process on two cores, decoding took at least five times as
    long.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "1000"  # iterations: libgomp's own value if there are more threads than cores


def read_device_settings() -> dict[str, str]:
    """Return the variables that choose which devices llama.cpp sees."""
    return {name: os.environ[name] for name in _DEVICE_SETTINGS if name in os.environ}


def keep_to_processor() -> None:
    """Hide GPUs from llama.cpp, which must not be imported yet, and have it abort without starting a debugger."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    abort_without_debugger()


def abort_without_debugger() -> None:
    """Have llama.cpp abort with its message alone. By default it starts a debugger."""
    os.environ["GGML_NO_BACKTRACE"] = "1"


def protect_local_ray() -> None:
    """Set a token for the local Ray that is started next, for this job only.

    Every user of this machine can reach Ray's ports, so Ray requires a token. If the environment has none, Ray 2.60
    writes one to ~/.ray/auth_token, and from then on every `ray start` and `ray job` of this user would need it.
    """
    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
