"""Run llama.cpp's own programs, so that tests can compare our results with theirs.

The programs are not a dependency of the project. If one is not installed, tests that need it are skipped. They must be
of the llama.cpp version that `llama_cpp` is built from. Otherwise numbers may differ.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def require_program(name: str) -> str:
    """Return the path of a program such as `llama-server`, from the folder LLAMA_TOOLS or the PATH. Skip if missing."""
    program = shutil.which(name, path=os.environ.get("LLAMA_TOOLS")) or shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed: add it to the PATH or set LLAMA_TOOLS to its folder")
    return program


def run_program(name: str, *arguments: object) -> None:
    """Run a program such as `llama-imatrix`. Skip the test if it is missing."""
    command = [require_program(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
