"""The Ray that a job starts for itself."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from conf.environment import read_environment
from conf.faults import BadInput
from jobs._ray import ANSWER_WITHIN_S, _not_started, connect
from tests.jobs.running import ROOT, environment

LISTEN = """
import json, psutil, ray
from conf.environment import read_environment
from jobs._ray import connect
connect(read_environment(), 1, "p")
ray.get(ray.remote(lambda: 1).remote())
ports = [
    [process.name(), one.laddr.ip]
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]
    for one in process.net_connections("tcp")
    if one.status == psutil.CONN_LISTEN
]
ray.shutdown()
print(json.dumps(ports))
"""


def test_no_port_of_a_local_ray_is_open_to_other_machines() -> None:
    command = [sys.executable, "-c", LISTEN]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=True)
    ports = json.loads(done.stdout.splitlines()[-1])
    assert len(ports) > 5 and any(name.startswith("gcs_server") for name, _ in ports)
    assert {address for _, address in ports} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, ports


def test_a_cluster_that_does_not_answer_is_one_message_with_its_fix() -> None:
    """Ray itself would try for minutes and print each attempt."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(BadInput) as refused:
        connect(replace(read_environment(), ray_address=address), 1, "p")
    assert time.monotonic() - began < ANSWER_WITHIN_S
    (fault,) = refused.value.faults
    assert (fault.key, fault.got) == ("RAY_ADDRESS", address)
    assert "`ray start --head`, or unset RAY_ADDRESS" in str(fault)


def test_the_step_fits_why_ray_did_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/full")
    full = _not_started(OSError(28, "No space left on device"))
    assert "Ray keeps its files in /full/ray: make room there, or name another folder in RAY_TMPDIR." in full
    slow = _not_started(Exception("The current node\ntimed out"))
    assert slow.startswith("A local Ray did not start, in two attempts (Exception: The current node timed out).")
    assert "Free memory, or wait until the machine is less busy." in slow
