"""Ray's own checks accept the cluster files, and the files open nothing to the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.runtime_env import RuntimeEnv

ROOT = Path(__file__).resolve().parent.parent


def _cluster() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8")))


def test_ray_accepts_the_cluster_file() -> None:
    prepared = prepare_config(_cluster())
    validate_config(prepared)
    assert prepared["max_workers"] == len(_cluster()["provider"]["worker_ips"])


def test_the_dashboard_listens_on_loopback_only() -> None:
    assert [line for line in _cluster()["head_start_ray_commands"] if "--dashboard-host=127.0.0.1" in line]


def test_ray_accepts_the_runtime_environment_which_holds_no_secret() -> None:
    values = yaml.safe_load((ROOT / "conf" / "runtime_env.yaml").read_text(encoding="utf-8"))
    wanted = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1", "GOMP_SPINCOUNT": "1000"}
    assert RuntimeEnv(**values)["env_vars"] == wanted
