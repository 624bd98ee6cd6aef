"""What `make setup` builds llama.cpp for, with scripted nvidia-smi and nvcc on the PATH."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / ".ci" / "setup.sh"
ASK = """
source .ci/setup.sh
choose_build
printf '%s\\n' "$cmake_args" "$built_for" "$kinds" "$advice"
advise >&2
announce >&2
"""
TWO_H100 = "9.0, NVIDIA H100 80GB HBM3\n9.0, NVIDIA H100 80GB HBM3\n"
MIXED = "8.0, NVIDIA A100-SXM4-80GB\n" + TWO_H100


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a project folder with the script alone, and a folder for programs."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci")
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(machine: Path, name: str, says: str, code: int = 0) -> None:
    file = machine / "bin" / name
    file.write_text(f"#!/bin/sh\ncat <<'END'\n{says}END\nexit {code}\n")
    file.chmod(0o755)


def chosen(machine: Path, **environment: str) -> tuple[list[str], str]:
    """Return what the script chooses (options, purpose, number of kinds of cards, advice), and what it says."""
    path = f"{machine / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-c", ASK],
        cwd=machine,
        env={"PATH": path, "CUDA_HOME": str(machine)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:4], done.stderr


def test_without_a_driver_it_is_for_the_processor(machine: Path) -> None:
    program(machine, "nvidia-smi", "NVIDIA-SMI has failed because it couldn't communicate with the driver.\n", 9)
    (options, built_for, _, advice), said = chosen(machine)
    assert (options, built_for, advice) == ("", "the processor", "")
    assert "about 5 minutes on 2 cores" in said


def test_cards_and_a_compiler_give_a_build_for_just_these_cards(machine: Path) -> None:
    program(machine, "nvidia-smi", MIXED)
    program(machine, "nvcc", "compute_80\ncompute_90\n")
    (options, built_for, kinds, advice), said = chosen(machine)
    nvcc = machine / "bin" / "nvcc"
    assert options == f"-DGGML_CUDA=on -DCMAKE_CUDA_COMPILER={nvcc} -DCMAKE_CUDA_ARCHITECTURES=80;90"
    assert built_for == f"1 x NVIDIA A100-SXM4-80GB, 2 x NVIDIA H100 80GB HBM3, with {nvcc}"
    assert (kinds, advice) == ("2", "")
    assert "Building for CUDA takes about" in said and "(an estimate)" in said


def test_cards_without_a_compiler_give_a_build_for_the_processor_and_advice(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    (options, built_for, _, advice), said = chosen(machine)
    assert (options, built_for) == ("", "the processor")
    assert advice.startswith("The driver shows 2 x NVIDIA H100 80GB HBM3, but there is no CUDA compiler (nvcc)")
    assert "apt-get install -y nvidia-cuda-toolkit" in said and "run the same command again" in said


def test_a_compiler_that_is_too_old_for_a_card_is_not_used(machine: Path) -> None:
    program(machine, "nvidia-smi", MIXED)
    program(machine, "nvcc", "compute_70\ncompute_80\n")
    (options, _, _, advice), _ = chosen(machine)
    assert options == "" and "makes no code for compute capability 9.0" in advice


def test_a_compiler_without_cublas_is_not_used(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    program(machine, "nvcc", "fatal error: cublas_v2.h: No such file or directory\n", 1)
    (options, _, _, advice), said = chosen(machine)
    assert options == "" and "there is no cuBLAS" in advice and "install the CUDA toolkit" in said


def test_options_of_the_user_win(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    program(machine, "nvcc", "compute_90\n")
    (options, built_for, kinds, advice), _ = chosen(machine, CMAKE_ARGS="-DGGML_VULKAN=on")
    assert (options, kinds, advice) == ("-DGGML_VULKAN=on", "0", "") and "CMAKE_ARGS" in built_for


@pytest.mark.parametrize("cards", [TWO_H100, ""])
def test_options_that_were_used_before_stay(machine: Path, cards: str) -> None:
    """Machines may share the folder: one without a card must not replace the build of the others."""
    program(machine, "nvidia-smi", cards)
    program(machine, "nvcc", "compute_90\n")
    mark = machine / ".venv" / ".set-up"
    mark.mkdir(parents=True)
    (mark / "cmake-args").write_text("-DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES=80")
    (options, built_for, _, _), _ = chosen(machine)
    assert options == "-DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES=80" and built_for.startswith("the same as before")
    (mark / "cmake-args").write_text("")
    assert ("CUDA" in chosen(machine)[0][0]) == bool(cards)
