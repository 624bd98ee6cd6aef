"""The doctor on this machine, and on machines where something is missing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.llama.devices import Device
from actors.nodes_reading import machine_facts
from conf.environment import Environment
from jobs import _checks as checks
from jobs._check import Check, devices_text
from jobs.doctor import main
from reporting.terminal.layout import WIDTH, display_width
from tests.jobs.running import run
from tests.rpc_servers import RpcBuild

ROOT = Path(__file__).resolve().parent.parent.parent
MIB = 2**20


@pytest.fixture
def listening_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_nothing_is_missing_after_set_up(tmp_path: Path) -> None:
    environment = Environment(mlflow_tracking_uri=None, ray_address=None, submission_id=None, cache_dir=tmp_path)
    found = {check.name: check for check in checks.examine(environment, tmp_path / "runs", None)}
    parts = ("Python", "llama.cpp", "Devices", "Pango", "Japanese fonts")
    assert {name: found[name].fix for name in parts} == dict.fromkeys(parts)
    assert set(found) == {*parts, "Packages", "Disk", "Memory"}
    assert not (tmp_path / "runs").exists()


def test_all_problems_are_reported_at_once_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, closed_port: int
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:geheim@127.0.0.1:{closed_port}")
    assert main(["--data-dir", str(tmp_path / "nothing")]) == 1
    printed = capsys.readouterr().out
    assert all(display_width(line) <= WIDTH for line in printed.splitlines() if " fix: " not in line)
    missing = [line.split()[1] for line in printed.splitlines() if line.startswith("MISSING")]
    assert missing[-3:] == ["Ray:", "MLflow:", "Data:"]
    assert printed.count("fix:") == len(missing)
    assert "geheim" not in printed


def test_packages_with_other_versions_are_reported(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "# a comment\n"
        'numpy==0.1 ; python_full_version >= "3.11" \\\n'
        "    --hash=sha256:00 \\\n"
        "    # via something\n"
        "no-such-package-at-all==1.0\n"
        "pywin32==1.0 ; sys_platform == 'no-such-platform'\n"
    )
    (tmp_path / "requirements-model.lock").write_text("")
    check = checks.check_packages(tmp_path)
    assert check.fix is not None
    assert "in place of 0.1" in check.found
    assert "no-such-package-at-all is missing" in check.found
    assert "pywin32" not in check.found


def test_too_little_disk_and_memory_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only this test replaces functions of the machine, because a test cannot fill a disk."""
    usage = namedtuple("usage", "free")
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: usage(free=100 * MIB))
    monkeypatch.setattr(checks.psutil, "virtual_memory", lambda: memory(available=100 * MIB))
    disk, memory_check = checks.check_disk(tmp_path / "not" / "yet" / "there"), checks.check_memory()
    assert disk.fix is not None
    assert "--storage" in disk.fix
    assert memory_check.fix is not None
    assert "--max-workers 1" in memory_check.fix


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "http://127.0.0.1:{port}"])
def test_a_cluster_that_listens_is_found(address: str, listening_port: int) -> None:
    assert checks.check_ray(address.format(port=listening_port)).fix is None


def test_an_address_without_a_port_is_reported_and_not_raised() -> None:
    assert checks.check_ray("127.0.0.1").fix is not None
    assert checks.check_ray("127.0.0.1:port").fix is not None


def test_a_data_folder_needs_something_in_it(tmp_path: Path) -> None:
    assert checks.check_data_dir(tmp_path).fix is not None
    (tmp_path / "gsm8k").mkdir()
    assert checks.check_data_dir(tmp_path) == Check("Data", "gsm8k")


def test_the_doctor_works_if_no_package_is_installed() -> None:
    """With -S -I, Python finds only the standard library."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from jobs.doctor import main; sys.exit(main([]))"
    done = subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "make setup" in done.stdout
    assert done.stderr == ""


def test_devices_are_shown_with_their_memory_and_driver() -> None:
    card = Device("CUDA0", "NVIDIA H100 80GB HBM3", "CUDA", 80 * 2**30, 79 * 2**30)
    assert devices_text([card], "NVIDIA 580.65, CUDA 13.0") == (
        "CUDA0 NVIDIA H100 80GB HBM3, 79.0 of 80.0 GiB free (NVIDIA 580.65, CUDA 13.0)"
    )
    eight = [replace(card, name=f"CUDA{number}", free_bytes=(79 - number) * 2**30) for number in range(8)]
    assert devices_text([*eight, replace(card, name="CUDA8", description="L4")], None) == (
        "8 x NVIDIA H100 80GB HBM3 (CUDA0 to CUDA7), 72.0 to 79.0 of 80.0 GiB free each; "
        "CUDA8 L4, 79.0 of 80.0 GiB free"
    )
    assert devices_text([], None) == "none, models run on the processor"


def test_a_driver_that_fails_and_a_cuda_that_does_not_start_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = machine_facts()
    facts["machine"] |= {
        "driver": "NVIDIA 470.82 (kernel module only)",
        "driver_fault": "NVML: Driver/library version mismatch",
        "backends": ["CUDA", "CPU"],
        "start_failures": ["CUDA: CUDA driver version is insufficient for CUDA runtime version"],
    }
    said = subprocess.CompletedProcess([], 0, stdout=json.dumps(facts) + "\n", stderr="")
    monkeypatch.setattr(checks, "_run_python", lambda code: said)
    found = checks.check_devices()
    assert found.found == "none, models run on the processor (NVIDIA 470.82 (kernel module only))"
    assert found.fix is not None
    assert "does not tell its GPUs (NVML: Driver/library version mismatch)" in found.fix
    assert "cannot start it (CUDA: CUDA driver version is insufficient for CUDA runtime version" in found.fix


@pytest.mark.slow
def test_devices_of_another_build_are_shown_and_a_server_that_is_gone_is_told(
    rpc_build: RpcBuild, closed_port: int
) -> None:
    with rpc_build.server() as first, rpc_build.server() as second:
        shown = run("doctor", **rpc_build.environment(first, second)).out
        gone = run("doctor", **rpc_build.environment(first, f"127.0.0.1:{closed_port}")).out
    (line,) = [one for one in shown.splitlines() if "Devices:" in one]
    assert line.startswith("ok       Devices: 2 x RPC server (RPC0 to RPC1), ")
    assert f"MISSING  Devices: the RPC server 127.0.0.1:{closed_port}" in gone
