"""The Ray that a job starts for itself."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.jobs.running import ROOT, environment

LISTEN = """
import json, psutil, ray
from conf.environment import read_environment
from jobs._ray import connect
connect(read_environment(), 1)
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
