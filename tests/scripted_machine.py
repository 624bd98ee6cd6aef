"""A machine with scripted programs (nvidia-smi, nvcc, Python), for calling functions of the scripts in `.ci`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent / ".ci"
SOURCE = """
source .ci/setup.sh
cuda_folders=("$PWD"/toolkits/*)
wsl_folder=$PWD/wsl
kernel_module=$PWD/driver
nvidia_smi_answers_in_s=${MOST_S:-60}
"""
ASK = (
    SOURCE
    + """
choose_build
printf '%s\\n' "$cmake_args" "$built_for" "$kinds" "$advice"
advise >&2
announce >&2
"""
)
TWO_H100 = "9.0, NVIDIA H100 80GB HBM3\n9.0, NVIDIA H100 80GB HBM3\n"


def make_machine(root: Path) -> Path:
    """Return a project folder with the scripts alone, and a folder for programs."""
    (root / ".ci").mkdir()
    for name in ("setup.sh", "choose_build.sh"):
        shutil.copy(SCRIPTS / name, root / ".ci")
    (root / "bin").mkdir()
    return root


def program(machine: Path, name: str, says: str, code: int = 0) -> None:
    """Write a program that always says the same."""
    script(machine, name, f"cat <<'END'\n{says}END\nexit {code}\n")


def script(machine: Path, name: str, lines: str) -> None:
    """Write a program into the folder that is on the PATH, or into another one."""
    file = machine / "bin" / name if "/" not in name else machine / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{lines}")
    file.chmod(0o755)


def compiler(machine: Path, name: str, makes: str, release: str = "12.4") -> None:
    """Write a CUDA compiler that makes code for some compute capabilities."""
    listed = "".join(f"compute_{one}\\n" for one in makes.split())
    says = f"--list-gpu-arch) printf '{listed}' ;; --version) echo 'Cuda compilation tools, release {release}, V1' ;;"
    script(machine, name, f"case $1 in {says} esac\n")


def driver(machine: Path, cards: str, cuda: str) -> None:
    """Write an nvidia-smi that shows cards and the newest CUDA that the driver runs."""
    script(
        machine, "nvidia-smi", f"[ $# -eq 0 ] && echo '| NVIDIA-SMI 1.2  CUDA Version: {cuda}  |' || printf '{cards}'\n"
    )


def keep(machine: Path, options: str) -> None:
    """Leave the options of an earlier build."""
    mark = machine / ".venv" / ".set-up"
    mark.mkdir(parents=True, exist_ok=True)
    (mark / "cmake-args").write_text(options)


def own_options(nvcc: Path | str, capabilities: str) -> str:
    """Return the options that the script chooses."""
    return f"-DGGML_CUDA=on -DCMAKE_CUDA_COMPILER={nvcc} -DCMAKE_CUDA_ARCHITECTURES={capabilities}"


def chosen(machine: Path, **environment: str) -> tuple[list[str], str]:
    """Return what the script chooses (options, purpose, number of kinds of cards, advice), and what it says."""
    done = bash(machine, ASK, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:4], done.stderr


def bash(machine: Path, lines: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{machine / 'bin'}:/usr/bin:/bin"
    return subprocess.run(
        ["bash", "-c", lines],
        cwd=machine,
        env={"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
