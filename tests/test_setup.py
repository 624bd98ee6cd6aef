"""`make setup` after an interruption, without a network, and if all is there already. The programs are scripted."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.scripted_machine import (
    SOURCE,
    TWO_H100,
    bash,
    chosen,
    keep,
    make_machine,
    own_options,
    program,
    script,
)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return make_machine(tmp_path)


def test_a_toolkit_is_tried_after_the_compiler_for_c_was_installed(machine: Path) -> None:
    """Without one, no CUDA compiler works."""
    program(machine, "nvidia-smi", TWO_H100)
    script(machine, "nvcc", "[ -e has-cc ] || { echo 'nvcc fatal: no host compiler'; exit 1; }\necho compute_90\n")
    stop = "make_venv() { echo $cmake_args; exit; }\ninstall_missing() { touch has-cc; python=python3; }"
    done = bash(machine, f"{SOURCE}\n{stop}\nmain")
    assert done.stdout.splitlines()[-1] == own_options(machine / "bin" / "nvcc", "90"), done.stdout + done.stderr
    assert "does not work" not in done.stdout


def test_a_finished_set_up_says_only_what_is_not_as_it_could_be(machine: Path) -> None:
    script(machine, ".venv/bin/python", "exit 1\n")
    keep(machine, "")
    for lock in ("requirements.lock", "requirements-model.lock"):
        (machine / lock).write_text(lock)
        (machine / ".venv" / ".set-up" / lock).write_text(lock)
    assert bash(machine, f"{SOURCE}\nmain").stdout == ""
    program(machine, "nvidia-smi", TWO_H100)
    done = bash(machine, f"{SOURCE}\nmain")
    assert done.returncode == 0 and "there is no CUDA compiler (nvcc)" in done.stdout


def test_what_was_chosen_outlives_an_interruption(machine: Path) -> None:
    """The environment is damaged and the packages are not there, but the next call still knows the options."""
    (machine / "broken").mkdir()
    program(machine, "broken-python", "", 1)
    lines = f"{SOURCE}\npython=broken-python\nCMAKE_ARGS=-DGGML_VULKAN=on choose_build\nmake_venv"
    assert bash(machine, lines).returncode != 0
    assert chosen(machine)[0][0] == "-DGGML_VULKAN=on"
    # A virtual environment without pip was not finished, so it is made again.
    script(machine, ".venv/bin/python", 'case "$*" in *"import pip"*) exit 1 ;; esac\n')
    (machine / ".venv" / "rubbish").write_text("")
    assert bash(machine, lines).returncode != 0
    assert not (machine / ".venv" / "rubbish").exists()
    assert chosen(machine)[0][0] == "-DGGML_VULKAN=on"


def test_without_a_network_the_message_says_so(machine: Path) -> None:
    error = "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution"
    script(machine, ".venv/bin/python", f"echo '{error}'\nexit 1\n")
    done = bash(machine, f"{SOURCE}\ninstall -r requirements.lock")
    assert done.returncode == 1
    assert error in done.stderr and "pip could not reach the place that packages come from" in done.stderr
    script(machine, ".venv/bin/python", "echo 'THESE PACKAGES DO NOT MATCH THE HASHES'\nexit 1\n")
    assert "could not reach" not in bash(machine, f"{SOURCE}\ninstall -r requirements.lock").stderr


def test_an_interruption_ends_what_pip_has_started(machine: Path) -> None:
    """A compiler that goes on would work against the next call."""
    script(machine, ".venv/bin/python", "sleep 100 &\necho $! >compiler.tmp\nmv compiler.tmp compiler\nwait\n")
    lines = ["bash", "-c", f"{SOURCE}\ninstall -r requirements.lock"]
    running = subprocess.Popen(lines, cwd=machine, env={"PATH": f"{machine / 'bin'}:/usr/bin:/bin"})
    while not (machine / "compiler").exists():
        assert running.poll() is None
        time.sleep(0.05)
    compiling = psutil.Process(int((machine / "compiler").read_text()))
    running.terminate()
    assert running.wait(timeout=30) == 130
    with contextlib.suppress(psutil.NoSuchProcess):
        assert compiling.status() == psutil.STATUS_ZOMBIE or compiling.wait(timeout=30) is None


def test_a_build_that_is_there_is_not_made_again(machine: Path) -> None:
    """Packages beside it may have changed: a build for CUDA takes long."""
    (machine / "requirements.lock").write_text("a==1\nllama-cpp-python==0.3.36 \\\n    --hash=sha256:1\nb==1\n")
    script(machine, ".venv/bin/python", 'case "$*" in *"pip install"*) echo "$CMAKE_ARGS $*" >>calls ;; esac\n')
    keep(machine, "")
    lines = f"{SOURCE}\nchoose_build\ninstall_llama"
    first = bash(machine, lines, CMAKE_ARGS="-DGGML_VULKAN=on")
    assert first.returncode == 0, first.stderr
    calls = (machine / "calls").read_text()
    assert calls.count("pip install") == 2 and "-DGGML_VULKAN=on -m pip install" in calls
    assert bash(machine, lines, CMAKE_ARGS="-DGGML_VULKAN=on").returncode == 0
    assert (machine / "calls").read_text() == calls
    assert bash(machine, lines).returncode == 0
    assert "--force-reinstall" in (machine / "calls").read_text()[len(calls) :]
