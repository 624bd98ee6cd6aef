"""Start what is measured, each in its own process, and read wall time and peak memory from the system."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HOW_TO_GET = (
    "llama.cpp's own programs were not found, so only our side is measured. To compare, build them from llama.cpp's "
    "source of the same version (cmake; targets llama-imatrix, llama-quantize, llama-perplexity, llama-server, "
    "llama-batched-bench) and set LLAMA_TOOLS to their folder."
)


_LAUNCHER = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as report:
    print(time.perf_counter() - started, usage.ru_maxrss, file=report)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""
# A small launcher starts what is measured, because on Linux a process inherits the peak memory of its parent, and the
# launcher uses only 10 MB. Only wait4 reports the use of a single child.


@dataclass(frozen=True)
class Child:
    """A process that ended successfully."""

    stdout: str
    stderr: str
    wall_s: float
    peak_rss_mb: float
    """Largest resident set including mapped files, in 10^6 bytes."""


def find(name: str) -> str | None:
    """Return the path of a program such as `llama-imatrix`, from the folder LLAMA_TOOLS or the PATH."""
    return shutil.which(name, path=os.environ.get("LLAMA_TOOLS")) or shutil.which(name)


def run(*command: object) -> Child:
    """Run a command to its end. Raises RuntimeError with the end of its stderr if it fails."""
    words = [str(word) for word in command]
    with tempfile.NamedTemporaryFile("r") as report:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, report.name, *words]
        done = subprocess.run(launcher, capture_output=True, check=False)
        said = [text.decode("utf-8", "replace") for text in (done.stdout, done.stderr)]
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]} ended with {done.returncode}: {said[1][-2000:]}")
        wall_s, peak = map(float, report.read().split())
    # getrusage(2): kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return Child(said[0], said[1], wall_s, peak * unit / 1e6)


def run_ours(task: Path) -> Child:
    """Run our worker's code for one order (`tests.bench.worker`) in its own process."""
    return run(sys.executable, "-m", "tests.bench.worker", task)


def their_version() -> str | None:
    """Return the version and commit that the programs report."""
    program = find("llama-imatrix")
    if program is None:
        return None
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("version:")]
    return lines[0].removeprefix("version:").strip() if lines else None


def their_cpu_features(model: Path, text: Path) -> str | None:
    """Return the CPU features that their build uses. llama-imatrix reports them only after it has loaded a model."""
    program = find("llama-imatrix")
    if program is None:
        return None
    output = model.with_suffix(".features")
    child = run(program, "-m", model, "-f", text, "-o", output, "--chunks", 1, "-c", 512, "--no-repack")
    line = next((line for line in child.stderr.splitlines() if "system_info:" in line), "")
    return " ".join(sorted(re.findall(r"(\w+) = 1", line)))
