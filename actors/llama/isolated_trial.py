"""Try files of others in a process of its own (`trial_process`), because llama.cpp may end a process that reads them.

A GGUF that survives this loads, tokenizes and decodes. A file that ends the process, takes too long or too much memory
is reported like any other file that llama.cpp refuses. The process serves many files, and is started anew if it ended.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

from actors.errors import LlamaError
from actors.llama.gguf_file import GgufHeader
from actors.own_process import OwnProcess, ProcessEnded, ProcessNotStarted
from conf.faults import BadInput, Fault

_PROGRAM = Path(__file__).with_name("trial_process.py")
_BASE_S = 45.0
_BYTES_PER_S = 2e7
"""A slow disk. The file is read several times, but after the first time mostly from memory."""
_LAST_LINES = 5
_REASON_LENGTH = 400
_TELLING = tuple(
    re.compile(pattern) for pattern in (r"error loading model: (.*)", r"(GGML_ASSERT\(.*)", r"what\(\): *(.*)")
)
"""Lines of llama.cpp's log that name a reason."""


class IsolatedTrial:
    """Owner of one trial process. It is started when first needed, and again after it ended."""

    def __init__(self, *, base_s: float = _BASE_S) -> None:
        self._base_s = base_s
        broken = "the process that tries files with llama.cpp does not start"
        self._process = OwnProcess(_PROGRAM, broken, log_lines=_LAST_LINES)
        self.close = self._process.close

    def check(self, header: GgufHeader) -> None:
        """Load a GGUF with every row validated, tokenize and decode. A larger file gets more time.

        Raises:
            LlamaError: the file cannot be loaded or used, has values that are not finite, or ended the process.
        """
        # Each tensor takes a thread while the file is validated.
        question = {"path": str(header.path.absolute()), "n_tensors": len(header.tensors)}
        limit_s = self._base_s + header.size_bytes / _BYTES_PER_S
        try:
            said = json.loads(self._process.ask(question, wall_s=limit_s))
        except ProcessNotStarted as error:
            raise LlamaError(error.message, error.log_tail) from None
        except ProcessEnded as error:
            late = f"did not finish with {header.path} in {limit_s:.0f} s. If the machine is busy, try again later"
            ended = f"ended its process ({error}) while it loaded or used {header.path}"
            raise LlamaError(f"llama.cpp {late if error.over_time else ended}", error.log_tail) from None
        if said["error"] is not None:
            raise LlamaError(said["error"], said["log"])


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
    return IsolatedTrial()
