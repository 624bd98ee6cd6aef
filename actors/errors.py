"""The exception tree.

    BadInput                 (conf.faults) what the user gave; exit code 2
    QuantAssayError
    ├── FailedWithLog        carries the last log lines of what failed
    │   ├── LlamaError       llama.cpp refused or failed
    │   │   └── NoRoomError  it got no memory for a KV cache
    │   └── FunctionFailed   a function of the user's broke, or took too long
    ├── EndpointFailed       an OpenAI-compatible endpoint is away, or refuses
    ├── ConflictError        somebody else owns the run directory, or a file is not what the plan says
    └── NoPlaceError         Ray has no node on which a worker could start

A failing unit never takes the pipeline down: `except Exception` stands at the actor boundary only.
"""

from __future__ import annotations

from collections.abc import Sequence


class QuantAssayError(Exception):
    """Base of what this project raises beside `BadInput`."""


class FailedWithLog(QuantAssayError):
    """Something failed that keeps a log; `message` says what, `log_tail` holds the log's last lines."""

    def __init__(self, message: str, log_tail: Sequence[str] = ()) -> None:
        self.message = message
        self.log_tail = tuple(log_tail)
        super().__init__("\n  ".join([message, *self.log_tail]))

    def __reduce__(self) -> tuple[type[FailedWithLog], tuple[str, tuple[str, ...]]]:
        # Crosses process borders whole: the default would hand the joined text back as the message.
        return (type(self), (self.message, self.log_tail))


class LlamaError(FailedWithLog):
    """A call into llama.cpp failed."""


class NoRoomError(LlamaError):
    """llama.cpp could not make a context: there is no memory for its KV cache, on a GPU maybe."""


class FunctionFailed(FailedWithLog):
    """A function of the user's failed: a benchmark in Python."""


class EndpointFailed(QuantAssayError):
    """An endpoint cannot be reached or does not answer: no failure of its model."""


class ConflictError(QuantAssayError):
    """The run directory belongs to another live job, or holds something that contradicts the plan."""


class NoPlaceError(QuantAssayError):
    """Ray has found no node for any worker in the time that is given to it."""
