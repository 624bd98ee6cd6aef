"""What a process wrote before native code ended it, and what follows from that.

llama.cpp ends its process when something fails that it does not expect: a device or an RPC server is lost, or an
assertion does not hold. It says why on standard error only. This module reads the end of that file, on the machine of
the process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.llama.rpc_servers import VARIABLE, lost_servers
from conf.environment import read_rpc_servers

MOST_LINES = 20
MOST_LETTERS = 300
"""Most letters of a line that are kept."""
_END_BYTES = 2**16
_ABORTED = re.compile(r"(?:.*/)?([\w.-]+\.(?:c|cc|cpp|cu|cuh|h|hpp|m|hip):\d+: .+)")
"""What `ggml_abort` writes: a file of the source, a line, and a message."""
_DEVICE_SAYS = re.compile(r"(?:CUDA|ROCm|MUSA) error: .+")
"""What llama.cpp logs before it aborts because of a device."""
_NO_MEMORY = re.compile(r"error: (?:out of memory|.*ALLOC_FAILED|.*resource allocation failed)")
"""The same, if the device had no memory for what it needs while it computes (`ggml_cuda_error` in ggml-cuda.cu)."""
_THROWN = re.compile(r"\s*what\(\): *(.+)")
"""What the C++ library writes about an exception that nobody catches."""
_SIGNAL = re.compile(r"\*\*\* (SIG[A-Z]+) received")
"""What Ray writes about a signal."""
_NO_NEWS = re.compile(
    r":(?:job_id|actor_name|task_name):|\*\*\* SIG|PC: @|\s+@ |\[\d{4}-\d\d-\d\d [^]]*\] |Extension modules:|Stack \("
    r"|Fatal Python error: Aborted"
)
"""Lines of Ray and of Python about the signal: addresses without names, and lists of modules."""
_ABOUT_SERVERS = re.compile(r"Remote RPC server|Failed to connect to|RPC handshake failed")


@dataclass(frozen=True)
class LastWords:
    """Why native code ended a process."""

    reason: str
    log_tail: tuple[str, ...]
    """The last lines that the process wrote, without those that say nothing."""
    no_memory: bool = False
    """True if a device had no memory left while it computed."""


def last_words(path: str) -> LastWords | None:
    """Return why native code ended the process that wrote to this file; None if the file does not say it."""
    text = _end_of(Path(path))
    lines = [line[:MOST_LETTERS].rstrip() for line in text.splitlines() if line.strip()]
    reason = _reason(lines)
    if reason is None:
        return None
    told = tuple(line for line in lines if not _NO_NEWS.match(line))[-MOST_LINES:]
    return LastWords(reason, told, no_memory=_NO_MEMORY.search(reason) is not None)


def _reason(lines: Sequence[str]) -> str | None:
    aborted = [found[1] for found in map(_ABORTED.fullmatch, lines) if found]
    if aborted and _ABOUT_SERVERS.search(aborted[-1]):
        return f"an RPC server was lost ({aborted[-1]}). Now {lost_servers() or _all_answer()}".rstrip(".")
    if aborted:
        before = [line for line in lines if _DEVICE_SAYS.fullmatch(line)][-1:]
        return f"llama.cpp ended it ({'; '.join([*before, aborted[-1]])})"
    thrown = [found[1] for found in map(_THROWN.fullmatch, lines) if found]
    if thrown:
        return f"native code ended it ({thrown[-1]})"
    signals = [found[1] for found in map(_SIGNAL.match, lines) if found]
    return f"native code ended it ({signals[-1]})" if signals else None


def _all_answer() -> str:
    return f"all servers of {VARIABLE} answer: {', '.join(read_rpc_servers())}. Their output may say what happened"


def _end_of(path: Path) -> str:
    """Return the end of a file; nothing if it cannot be read or has no end, such as a pipe."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _END_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
