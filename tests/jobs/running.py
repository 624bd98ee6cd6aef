"""Run jobs as programs, like a user, with a tiny model and little data."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """A job that has ended."""

    code: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """Return our environment for a job, without the variables that would use a cluster or server of the developer.

    Ray's workers get no lower priority. By default other work on the machine takes thirty times their share, so that
    a job that takes seconds would not end in minutes.
    """
    kept = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")}
    return {**kept, "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", **extra}


def start(job: str, *arguments: str, **extra: str) -> subprocess.Popen[str]:
    """Start `python -m jobs.<job>` in the project's root folder."""
    return subprocess.Popen(
        [sys.executable, "-m", f"jobs.{job}", *arguments],
        cwd=ROOT,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(job: str, *arguments: str, **extra: str) -> Ended:
    """Run a job to its end."""
    process = start(job, *arguments, **extra)
    try:
        out, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()  # otherwise it and its workers slow down every test after this one
        raise
    return Ended(process.returncode, out, err)


def small_pipeline(model: Path, storage: Path, pipeline_id: str, *more: str) -> Sequence[str]:
    """Return the options of a pipeline that takes seconds."""
    return (
        "--model",
        f"tiny={model}",
        "--quantizations",
        "f16,q4_k_m",
        "--benchmarks",
        "demo_qa,demo_choice,perplexity_pydoc",
        "--runs",
        "2",
        "--limit",
        "4",
        "--calibration",
        "package:pydoc_data/topics.py#1/2",
        "--dataset-size",
        "1024",
        "--max-tokens",
        "8",
        "--threads",
        "1",
        "--storage",
        str(storage),
        "--pipeline-id",
        pipeline_id,
        *more,
    )


def fingerprints(folder: Path, pattern: str) -> dict[str, str]:
    """Return the sha256 of each matching file, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }


def records(run_dir: Path) -> dict[str, str]:
    """Return the sha256 of the records file of each finished block."""
    return {name: value for name, value in fingerprints(run_dir, "records/*/*.jsonl").items() if "timings" not in name}
