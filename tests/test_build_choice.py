"""What `make setup` builds llama.cpp for, with scripted nvidia-smi and nvcc."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.scripted_machine import (
    SOURCE,
    TWO_H100,
    bash,
    chosen,
    compiler,
    driver,
    keep,
    make_machine,
    own_options,
    program,
    script,
)

MIXED = "8.0, NVIDIA A100-SXM4-80GB\n" + TWO_H100


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return make_machine(tmp_path)


def test_without_a_driver_it_is_for_the_processor(machine: Path) -> None:
    (options, built_for, _, advice), said = chosen(machine)
    assert (options, built_for, advice) == ("", "the processor", "")
    assert "about 5 minutes on 2 cores" in said


def test_a_driver_that_fails_is_told(machine: Path) -> None:
    program(machine, "nvidia-smi", "NVIDIA-SMI has failed because it couldn't communicate with the driver.\n", 9)
    (options, built_for, _, advice), _ = chosen(machine)
    assert (options, built_for) == ("", "the processor")
    assert "nvidia-smi fails (NVIDIA-SMI has failed because it couldn't communicate with the driver.)" in advice


def test_a_driver_that_hangs_is_not_waited_for(machine: Path) -> None:
    script(machine, "nvidia-smi", "exec sleep 50\n")
    begun = time.monotonic()
    (options, _, _, advice), _ = chosen(machine, MOST_S="1")
    assert options == "" and "nvidia-smi fails (no answer within 1 s)" in advice
    assert time.monotonic() - begun < 30


def test_a_driver_too_old_to_tell_the_cards_is_told(machine: Path) -> None:
    program(machine, "nvidia-smi", 'Field "compute_cap" is not a valid field to query.\n', 2)
    assert "too old to tell the compute capability" in chosen(machine)[0][3]


def test_a_driver_without_its_programs_or_cards_is_told(machine: Path) -> None:
    (machine / "driver").write_text("")
    assert "there is no nvidia-smi" in chosen(machine)[0][3]
    program(machine, "nvidia-smi", "")
    assert "shows no card that can be used (nothing)" in chosen(machine)[0][3]
    program(machine, "nvidia-smi", "[N/A], NVIDIA A100\n")
    assert "shows no card that can be used ([N/A], NVIDIA A100)" in chosen(machine)[0][3]


def test_the_driver_of_windows_is_found_beside_the_path(machine: Path) -> None:
    script(machine, "wsl/nvidia-smi", "echo '8.9, NVIDIA GeForce RTX 4090'\n")
    compiler(machine, "nvcc", "80 89")
    assert chosen(machine)[0][0] == own_options(machine / "bin" / "nvcc", "89")


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
    assert options == "" and "there is no cuBLAS" in advice and "install a CUDA toolkit" in said


def test_options_of_the_user_win(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    program(machine, "nvcc", "compute_90\n")
    (options, built_for, kinds, advice), _ = chosen(machine, CMAKE_ARGS="-DGGML_VULKAN=on")
    assert (options, kinds, advice) == ("-DGGML_VULKAN=on", "0", "") and "CMAKE_ARGS" in built_for


def test_a_toolkit_that_does_not_suit_hides_no_other_one(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    (machine / "empty").mkdir()
    compiler(machine, "nvcc", "70 80")
    compiler(machine, "toolkits/cuda-12.4/bin/nvcc", "80 90")
    right = own_options(machine / "toolkits" / "cuda-12.4" / "bin" / "nvcc", "90")
    assert chosen(machine, CUDA_HOME=str(machine / "empty"))[0][0] == right
    assert chosen(machine, CUDA_HOME=str(machine / "nowhere"))[0][0] == right
    compiler(machine, "other/bin/nvcc", "80 90")
    assert f"={machine}/other/bin/nvcc " in chosen(machine, CUDA_HOME=str(machine / "other"))[0][0]


def test_all_reasons_against_the_toolkits_are_told(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    compiler(machine, "nvcc", "70 80")
    program(machine, "toolkits/cuda/bin/nvcc", "nvcc fatal   : Failed to preprocess host compiler properties.\n", 1)
    (_, _, _, advice), _ = chosen(machine)
    assert "bin/nvcc makes no code for compute capability 9.0" in advice
    assert "cuda/bin/nvcc does not work (nvcc fatal   : Failed to preprocess" in advice


@pytest.mark.parametrize(
    ("cuda", "release", "suits"), [("12.4", "13.0", False), ("12.4", "12.9", True), ("13.0", "12.4", True)]
)
def test_a_toolkit_of_a_newer_major_version_than_the_driver_is_not_used(
    machine: Path, cuda: str, release: str, suits: bool
) -> None:
    driver(machine, TWO_H100, cuda)
    compiler(machine, "nvcc", "80 90", release)
    (options, _, _, advice), said = chosen(machine)
    assert bool(options) == suits
    told = f"bin/nvcc is of CUDA {release}, and the driver runs programs up to CUDA {cuda} only"
    assert suits or (told in advice and "install a CUDA toolkit of the major version that nvidia-smi shows" in said)


@pytest.mark.parametrize("cards", [TWO_H100, ""])
def test_options_of_the_user_stay(machine: Path, cards: str) -> None:
    program(machine, "nvidia-smi", cards)
    program(machine, "nvcc", "compute_90\n")
    keep(machine, "-DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES=80")
    (options, built_for, _, _), _ = chosen(machine)
    assert options == "-DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES=80" and built_for.startswith("the same as before")
    keep(machine, "")
    assert ("CUDA" in chosen(machine)[0][0]) == bool(cards)


def test_options_can_be_forgotten(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    compiler(machine, "nvcc", "90")
    keep(machine, "-DGGML_CUDA=off")
    assert chosen(machine)[0][0] == "-DGGML_CUDA=off"
    assert chosen(machine, CMAKE_ARGS="auto")[0][0] == own_options(machine / "bin" / "nvcc", "90")


def test_a_machine_without_cards_keeps_the_build_for_those_of_others(machine: Path) -> None:
    """Machines may share the folder."""
    options = own_options("/usr/bin/nvcc", "80;90")
    keep(machine, options)
    assert chosen(machine)[0][0] == options


def test_cards_of_another_kind_are_added_to_the_build(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    nvcc = machine / "bin" / "nvcc"
    compiler(machine, "nvcc", "80 90")
    keep(machine, own_options(nvcc, "80"))
    (options, built_for, kinds, _), _ = chosen(machine)
    assert (options, kinds) == (own_options(nvcc, "80;90"), "2") and "what it was built for before" in built_for
    keep(machine, own_options(nvcc, "80;90"))
    assert chosen(machine)[0][0] == own_options(nvcc, "80;90")
    # This toolkit makes no code for the cards before, which are not here.
    keep(machine, own_options(nvcc, "60"))
    assert chosen(machine)[0][0] == own_options(nvcc, "90")


def test_cards_of_another_kind_without_a_toolkit_for_them_are_told(machine: Path) -> None:
    program(machine, "nvidia-smi", TWO_H100)
    kept = own_options("/usr/bin/no-nvcc", "80")
    keep(machine, kept)
    (options, _, _, advice), _ = chosen(machine)
    assert options == kept
    assert f"the build that is kept ({kept}) cannot be made for them: there is no CUDA compiler (nvcc)" in advice


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (own_options("/usr/bin/nvcc", "80;90"), "2"),
        ("-DGGML_CUDA=ON", "1"),
        ("-DGGML_CUDA:BOOL=1 -DCMAKE_CUDA_ARCHITECTURES=native", "1"),
        ("-DGGML_CUDA=off", "0"),
        ("-DGGML_VULKAN=on", "0"),
    ],
)
def test_the_time_that_is_announced_is_that_of_the_options(machine: Path, options: str, kinds: str) -> None:
    keep(machine, options)
    (_, _, counted, _), said = chosen(machine)
    assert counted == kinds
    assert ("Building for CUDA takes about" in said) == (kinds != "0")
    assert ("about 5 minutes" in said) == (kinds == "0")


def test_a_kept_build_for_cuda_without_a_compiler_stops_at_once(machine: Path) -> None:
    keep(machine, own_options("/usr/bin/no-nvcc", "80"))
    done = bash(machine, f"{SOURCE}\nchoose_build\ncheck_cuda_compiler")
    assert done.returncode == 1
    assert "/usr/bin/no-nvcc is not there" in done.stderr and "CMAKE_ARGS=auto make setup" in done.stderr
