"""The exception tree.

    BadInput                 (conf.faults) the user's input is wrong; exit code 2
    WriteFailed              (conf.files) the disk is full or fails; the job ends, and the same command goes on
    QuantAssayError
    ├── FailedWithLog        carries the last lines of a log
    │   ├── LlamaError       llama.cpp refused or failed
    │   │   └── NoRoomError  llama.cpp got no memory for weights, a KV cache or compute buffers
    │   ├── FunctionFailed   a custom benchmark function failed or took too long
    │   └── ProcessNotStarted  (actors.own_process) a program cannot start in its own process
    ├── ProcessEnded         (actors.own_process) a program took too much or ended instead of answering
    ├── SpeedUnknown         (actors.orchestrator.sources.speeds) the speed of a model could not be measured
    ├── TemplateFailed       (actors.rendering) a template cannot render a text
    │   ├── TemplateUnreadable  it is no jinja2
    │   └── TemplateOverLimit  it takes too much time or memory
    ├── EndpointFailed       an OpenAI-compatible endpoint does not answer or refuses
    │   └── EndpointRefused  it refuses the key, the address or the model's name, or it redirects
    ├── ConflictError        another job owns the run directory, or a file contradicts the plan
    ├── NoPlaceError         Ray has no node that can start a worker
    └── RayNotStarted        no local Ray could be started

A failing unit never stops the pipeline. Only the actor boundary has an `except Exception`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

RoomFor = Literal["weights", "kv_cache", "compute"]
"""What llama.cpp asks memory for. `compute`: buffers for a graph, and logits."""


class QuantAssayError(Exception):
    """Base class of all exceptions of this project except `BadInput`."""


class FailedWithLog(QuantAssayError):
    """Something that writes a log failed. `message` says what failed, `log_tail` holds the last lines of the log."""

    def __init__(self, message: str, log_tail: Sequence[str] = ()) -> None:
        self.message = message
        self.log_tail = tuple(log_tail)
        super().__init__("\n  ".join([message, *self.log_tail]))

    def __reduce__(self) -> tuple[type[FailedWithLog], tuple[Any, ...]]:
        # Keeps message and log apart between processes. The default would pass the joined text as the message.
        return (type(self), (self.message, self.log_tail))


class LlamaError(FailedWithLog):
    """A call into llama.cpp failed."""


class NoRoomError(LlamaError):
    """llama.cpp got no memory, on the host or on a device. `wanted_for` says what it was for."""

    def __init__(self, message: str, log_tail: Sequence[str] = (), wanted_for: RoomFor = "kv_cache") -> None:
        super().__init__(message, log_tail)
        self.wanted_for = wanted_for

    def __reduce__(self) -> tuple[type[FailedWithLog], tuple[Any, ...]]:
        return (type(self), (self.message, self.log_tail, self.wanted_for))


class FunctionFailed(FailedWithLog):
    """A custom benchmark in Python failed."""


class EndpointFailed(QuantAssayError):
    """An endpoint cannot be reached or does not answer. Its model has not failed."""


class EndpointRefused(EndpointFailed):
    """An endpoint refuses in a way that comes again however often one asks. Only another key or address helps."""


class ConflictError(QuantAssayError):
    """The run directory belongs to another live job, or a file in it contradicts the plan."""


class NoPlaceError(QuantAssayError):
    """Ray found no node for any worker within the time limit."""


class RayNotStarted(QuantAssayError):
    """No local Ray could be started."""
