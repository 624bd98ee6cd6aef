"""What `make setup` builds llama.cpp for, with scripted nvidia-smi and nvcc on the PATH."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).resolve().parent.parent / ".ci" / "setup.sh"
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
MIXED = "8.0, NVIDIA A100-SXM4-80GB\n" + TWO_H100


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a project folder with the script alone, and a folder for programs."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci")
    (tmp_path / "bin").mkdir()
    return tmp_path


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
