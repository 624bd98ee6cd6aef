"""The llama.cpp library itself: starting it once a process, catching its log, and saying which build it is.

Everything that touches `llama_cpp` lies in this package; other code works with the types defined here.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import functools
import platform
import re
from collections.abc import Callable, Iterator
from importlib import metadata

import llama_cpp
from llama_cpp._ggml import libggml

from conf import VERSION

LOG_TAIL_LINES = 40
_ERROR_LEVEL = 4  # GGML_LOG_LEVEL_ERROR; 5 is CONT, the rest of a line

_tail: collections.deque[str] = collections.deque(maxlen=LOG_TAIL_LINES)
_sinks: list[Callable[[str], None]] = []
_partial = ""


def _on_log(_level: int, text: bytes, _data: ctypes.c_void_p) -> None:
    """llama.cpp hands over pieces of lines; only whole ones are kept."""
    global _partial
    *lines, _partial = (_partial + text.decode("utf-8", "replace")).split("\n")
    for line in lines:
        if line.strip(" ."):
            _tail.append(line)
            for sink in _sinks:
                sink(line)


# The callback must outlive the library, so it lives as long as the module.
_callback = llama_cpp.llama_log_callback(_on_log)


@functools.cache
def start() -> None:
    """Start the backend and take over its log. Safe to call any number of times."""
    llama_cpp.llama_log_set(_callback, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()


@contextlib.contextmanager
def captured_log(listen: Callable[[str], None] | None = None) -> Iterator[list[str]]:
    """All log lines of llama.cpp while the block runs; `listen` is called with each as it comes."""
    start()
    lines: list[str] = []

    def keep(line: str) -> None:
        lines.append(line)
        if listen is not None:
            listen(line)

    _sinks.append(keep)
    try:
        yield lines
    finally:
        _sinks.remove(keep)


def log_tail() -> tuple[str, ...]:
    """The last log lines, for error messages."""
    return tuple(_tail)


@functools.cache
def build() -> dict[str, str]:
    """What of the build changes outputs: the package's version and the CPU features in use."""
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
        "ggml": f"{_said('ggml_version')} ({_said('ggml_commit')})",
    }


def _said(function: str) -> str:
    asked = getattr(libggml, function)
    asked.restype = ctypes.c_char_p
    return str(asked().decode())


def supports_gpu() -> bool:
    """True where this build of llama.cpp can offload layers to a GPU."""
    start()
    return bool(llama_cpp.llama_supports_gpu_offload())
