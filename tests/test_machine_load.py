"""What is noticed of the machine, checked against work that this test starts itself."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from actors import machine_load
from actors.machine_load import watch_machine

BURN_S = 0.6
BURN = f"import time\nend = time.process_time() + {BURN_S}\nwhile time.process_time() < end: pass"


def test_own_work_is_told_from_that_of_others() -> None:
    load = watch_machine()
    end = time.process_time() + BURN_S
    while time.process_time() < end:
        pass
    found = load()
    assert found.own_cpu_s >= BURN_S - 0.05
    assert found.all_cpu_s >= found.own_cpu_s - 0.05
    assert found.all_cpu_s <= found.cpus * (found.observed_s + 0.05)
    assert abs(time.time() - found.observed_from - found.observed_s) < 1


def test_a_child_counts_as_own_work_and_a_stranger_does_not() -> None:
    load = watch_machine()
    subprocess.run([sys.executable, "-c", BURN], check=True)
    with_child = load()
    assert with_child.own_cpu_s >= BURN_S - 0.05
    load = watch_machine()
    # A process that has left this one's family: its parent ends at once.
    orphan = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {BURN!r}])"
    subprocess.run([sys.executable, "-c", orphan], check=True)
    deadline = time.monotonic() + 20
    while (found := load()).all_cpu_s - found.own_cpu_s < 0.8 * BURN_S and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found.all_cpu_s - found.own_cpu_s >= 0.8 * BURN_S


def test_a_kernel_without_pressure_information_is_said_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("proc")
    monkeypatch.setattr(machine_load, "_MEMORY_PRESSURE", folder / "missing")
    assert watch_machine()().memory_stall_s is None
    pressure = folder / "memory"
    pressure.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\nfull avg10=0.00 total=5\n")
    monkeypatch.setattr(machine_load, "_MEMORY_PRESSURE", pressure)
    load = watch_machine()
    pressure.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=3500000\nfull avg10=0.00 total=5\n")
    assert load().memory_stall_s == 1.5
