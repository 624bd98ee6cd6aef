"""What is asked of a judge, and what comes back: the interface between `judge` and those who ask.

- `endpoint` asks a model behind an OpenAI-compatible endpoint
- `gguf` asks a GGUF by our own engine
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.items import Message
from actors.orders import ReportTokens


@dataclass(frozen=True)
class JudgeCall:
    """One question to a judge."""

    key: str
    """Key of the judgement that it gives."""
    messages: tuple[Message, ...]
    seed: int
    """Calls with equal messages have different seeds."""
    scale: tuple[int, int]
    """Lowest and highest score that a verdict may give."""


@dataclass(frozen=True)
class Reply:
    """What a judge said."""

    text: str
    model: str | None
    """Name of the model as the server reports it; the file name of a GGUF."""
    fingerprint: str | None
    """The server's `system_fingerprint`; the sha256 of a GGUF."""
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Declined:
    """A call that this judge cannot take, while it takes others: the prompt is too long, or a filter refuses it."""

    reason: str


class KeepReply(Protocol):
    """A function that is called with each reply as soon as it is there, so that a killed worker has kept it."""

    def __call__(self, call: JudgeCall, reply: Reply | Declined) -> None: ...


class Asker(Protocol):
    """Asks one judge, under the rules that it was made with."""

    def ask(self, calls: Sequence[JudgeCall], keep: KeepReply, report: ReportTokens) -> None:
        """Ask all calls, in any order, and give each reply to `keep` in this thread. `report` gets the tokens.

        Raises:
            EndpointFailed, LlamaError: the judge is away or refuses everything. Replies until then were kept.
        """
        ...

    def close(self) -> None: ...
