"""The llama.cpp library: start it once per process, capture its log, and identify its build.

Only this package (`actors.llama`) imports `llama_cpp`. Other code uses the types that are defined here.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import functools
import os
import platform
import re
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import llama_cpp
from llama_cpp._ggml import libggml

from conf import VERSION

LOG_TAIL_LINES = 40
_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_STANDARD_ERROR = 2

_tail: collections.deque[str] = collections.deque(maxlen=LOG_TAIL_LINES)
_sinks: list[Callable[[str], None]] = []
_partial = ""
_copies_errors = False


def _on_log(level: int, text: bytes, _data: ctypes.c_void_p) -> None:
    """Collect pieces of lines from llama.cpp, and pass on each line that is complete."""
    global _partial
    if _copies_errors and level == _ERROR:
        os.write(_STANDARD_ERROR, text)
    *lines, _partial = (_partial + text.decode("utf-8", "replace")).split("\n")
    for line in lines:
        if line.strip(" ."):
            _tail.append(line)
            for sink in _sinks:
                sink(line)


# The callback must live as long as the library, so it is a module variable.
_callback = llama_cpp.llama_log_callback(_on_log)


@functools.cache
def start() -> None:
    """Start the backend and capture its log. Calling this more than once is safe."""
    llama_cpp.llama_log_set(_callback, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()


def copy_errors() -> None:
    """From now on, write llama.cpp's errors to standard error as they come. They outlive a process that it ends."""
    global _copies_errors
    _copies_errors = True


@contextlib.contextmanager
def captured_log(on_line: Callable[[str], None] | None = None) -> Iterator[list[str]]:
    """Collect llama.cpp's log lines while the block runs. Call `on_line` with each line as soon as it is complete."""
    start()
    lines: list[str] = []

    def keep(line: str) -> None:
        lines.append(line)
        if on_line is not None:
            on_line(line)

    _sinks.append(keep)
    try:
        yield lines
    finally:
        _sinks.remove(keep)


def log_tail() -> tuple[str, ...]:
    """Return the last log lines, for error messages."""
    return tuple(_tail)


@functools.cache
def build() -> dict[str, str]:
    """Return the facts about the build that can change outputs: package version and CPU features in use."""
    start()
    info = llama_cpp.llama_print_system_info().decode()
    features = sorted(re.findall(r"(\w+) = 1", info))
    return {"llama_cpp_python": llama_cpp.__version__, "cpu_features": " ".join(features)}


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions that a manifest shows: ours, Python's, and those of the libraries that read and write GGUFs.

    This is for people to read. It holds more than the keys do: `build` has what changes outputs.
    """
    return {
        "quant_assay": VERSION,
        "python": platform.python_version(),
        "gguf": metadata.version("gguf"),
        **build(),
        "ggml": f"{_ggml_text('ggml_version')} ({_ggml_text('ggml_commit')})",
    }


def _ggml_text(function: str) -> str:
    asked = getattr(libggml, function)
    asked.restype = ctypes.c_char_p
    return str(asked().decode())


def files() -> list[list[str | int]]:
    """Return name, size and time of change of each library of llama.cpp. They change when it is built again."""
    found = sorted(Path(llama_cpp.__file__).with_name("lib").iterdir())
    return [[one.name, stat.st_size, stat.st_mtime_ns] for one in found for stat in [one.stat()]]


def supports_gpu() -> bool:
    """Return True if this build of llama.cpp can offload layers to a device. None needs to be there for RPC servers."""
    start()
    return bool(llama_cpp.llama_supports_gpu_offload())
