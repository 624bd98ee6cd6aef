"""llama.cpp's own programs, as the standard that our results are compared with.

They are no dependency of the project: where they are not installed, tests that need one are skipped. They must be of
the llama.cpp that `llama_cpp` is built from, or numbers may differ.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def run_program(name: str, *arguments: object) -> None:
    """Run `llama-imatrix`, say, from the folder LLAMA_TOOLS or the PATH; skip the test where it is not there."""
    program = shutil.which(name, path=os.environ.get("LLAMA_TOOLS")) or shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is neither in the folder LLAMA_TOOLS nor on the PATH")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
