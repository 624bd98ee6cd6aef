"""Try files of others in a process of its own (`trial_process`), because llama.cpp may end a process that reads them.

A GGUF that survives this loads, tokenizes and decodes. A file that ends the process, takes too long or too much memory
is reported like any other file that llama.cpp refuses. The process serves many files, and is started anew if it ended.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from actors.errors import LlamaError
from actors.llama.gguf_file import GgufHeader
from conf.faults import BadInput, Fault

_MODULE = "actors.llama.trial_process"
_ROOT = Path(__file__).parents[2]
_BASE_S = 45.0
_BYTES_PER_S = 2e7
"""A slow disk. The file is read several times, but after the first time mostly from memory."""
_START_S = 60.0
_LAST_LINES = 5
_LOG_BYTES = 2**16
_REASON_LENGTH = 400
_TELLING = tuple(
    re.compile(pattern) for pattern in (r"error loading model: (.*)", r"(GGML_ASSERT\(.*)", r"what\(\): *(.*)")
)
"""Lines of llama.cpp's log that name a reason."""


class IsolatedTrial:
    """Owner of one trial process. It is started when first needed, and again after it ended."""

    def __init__(self, *, base_s: float = _BASE_S) -> None:
        self._base_s = base_s
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[bytes] | None = None

    def check(self, header: GgufHeader) -> None:
        """Load a GGUF with every row validated, tokenize and decode. A larger file gets more time.

        Raises:
            LlamaError: the file cannot be loaded or used, has values that are not finite, or ended the process.
        """
        process, began = self._started(), self._log_size()
        assert process.stdin is not None and process.stdout is not None
        # Each tensor takes a thread while the file is validated.
        asked = {"path": str(header.path.absolute()), "n_tensors": len(header.tensors)}
        limit_s = self._base_s + header.size_bytes / _BYTES_PER_S
        with contextlib.suppress(BrokenPipeError):  # the process has ended: the answer is empty, too
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
        line = _line(process, limit_s)
        if line:
            said = json.loads(line)
            if said["error"] is not None:
                raise LlamaError(said["error"], said["log"])
            return
        ended = line is not None
        tail = self._tail(began)
        code = self.close()
        if not ended:
            raise LlamaError(f"llama.cpp did not finish with {header.path} in {limit_s:.0f} s", tail)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise LlamaError(f"llama.cpp ended its process ({how}) while it loaded or used {header.path}", tail)

    def close(self) -> int:
        """Kill the process. Return its exit code; 0 if there was none."""
        process, self._process = self._process, None
        log, self._log = self._log, None
        if log is not None:
            log.close()
        if process is None:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)  # one that is ending by itself keeps its own exit code
        process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.communicate()
        return process.returncode

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 (`close` closes it)
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                cwd=_ROOT,
            )
            if _line(self._process, _START_S) != "ready\n":
                tail = self._tail(0)
                self.close()
                raise LlamaError("the process that tries files with llama.cpp does not start", tail)
        return self._process

    def _log_size(self) -> int:
        return 0 if self._log is None else self._log.seek(0, 2)

    def _tail(self, began: int) -> Sequence[str]:
        """Return the last lines that the process wrote after its log had the size `began`."""
        if self._log is None:
            return ()
        self._log.seek(max(began, self._log.seek(0, 2) - _LOG_BYTES))
        text = self._log.read().decode("utf-8", "replace")
        return [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]


def _line(process: subprocess.Popen[str], limit_s: float) -> str | None:
    """Return the next line; an empty one if the process ended, None if it is late."""
    assert process.stdout is not None
    until = time.monotonic() + limit_s
    while (left_s := until - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], left_s)[0]:
            return process.stdout.readline()
    return None


def check_loads(header: GgufHeader, *, key: str, got: str) -> None:
    """Raise `BadInput` unless llama.cpp can load and use a GGUF. `key` and `got`: the flag, and what the user wrote."""
    try:
        shared_trial().check(header)
    except LlamaError as error:
        allowed = "a GGUF that llama.cpp loads, with finite values"
        raise BadInput(Fault(key, got, allowed, f"{_reason(error)}. Name another file, or make it again.")) from error


def _reason(error: LlamaError) -> str:
    """Return the one line of an error that says most, without control characters."""
    line = error.message
    for telling in _TELLING:
        found = [match[1] for match in map(telling.search, error.log_tail) if match]
        if found:
            line = f"{error.message}: {found[0]}"
            break
    return "".join(character if character.isprintable() else "?" for character in line)[:_REASON_LENGTH].rstrip(". ")


@functools.cache
def shared_trial() -> IsolatedTrial:
    """Return the trial that this process keeps for all files."""
    trial = IsolatedTrial()
    atexit.register(trial.close)
    return trial
