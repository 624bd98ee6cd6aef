"""llama.cpp's own programs, as the standard that our results are compared with.

They are no dependency of the project: where they are not installed, tests that need one are skipped. They must be of
the llama.cpp that `llama_cpp` is built from, or numbers may differ.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def require_program(name: str) -> str:
    """Path of `llama-server`, say, in the folder LLAMA_TOOLS or on the PATH; skips the test where it is not there."""
    program = shutil.which(name, path=os.environ.get("LLAMA_TOOLS")) or shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is neither in the folder LLAMA_TOOLS nor on the PATH")
    return program


def run_program(name: str, *arguments: object) -> None:
    """Run `llama-imatrix`, say; skip the test where it is not there."""
    command = [require_program(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
