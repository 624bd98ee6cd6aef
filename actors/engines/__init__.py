"""Engines: what answers a block's questions, and the types in which they answer.

An engine takes whole blocks, so that it may lay many questions into one batch. What it gives must be a
function of the block alone: not of earlier blocks, of the clock, or of how many workers there are.
`llama` decodes a GGUF in this process; `scripted` gives answers that were written down beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from actors.orders import Item, ReportTokens
from conf.schema import Sampling

CONTEXT_TOO_LONG = "context_too_long"
EMPTY_PROMPT = "empty_prompt"
"""The prompt has no token, and the model has none to begin a text with."""
FinishReason = Literal["stop", "eog", "length"]


@dataclass(frozen=True)
class Answer:
    """A generated text: up to a stop string, the end-of-generation token, or the token limit."""

    text: str
    rendered_hash: str | None
    prompt_tokens: int
    completion_tokens: int
    """Tokens drawn, those of the stop string included, the end-of-generation token not."""
    finish_reason: FinishReason


@dataclass(frozen=True)
class Choices:
    """Log-likelihoods, in nats, of the choices given the context."""

    logliks: tuple[float, ...]
    rendered_hash: str | None
    prompt_tokens: int
    """Tokens of the context."""
    completion_tokens: int
    """Tokens of all choices together."""


@dataclass(frozen=True)
class Divergence:
    """How far a model is from its reference on some tokens, as sums over them."""

    kld_sum: float
    """Nats."""
    top_agree: int
    """Tokens on which both hold the same one for the most likely."""
    p_change_sum: float
    """Probability of the true token less that under the reference."""
    p_change_squares: float


@dataclass(frozen=True)
class ClassSums:
    """The scored tokens of one class (`actors.token_classes`)."""

    n_tokens: int
    nll_sum: float
    """Nats."""
    divergence: Divergence | None


@dataclass(frozen=True)
class Measured:
    """Negative log-likelihood of a chunk's scored tokens, and how far they are from the reference's."""

    nll_sum: float
    """Nats, summed over the scored tokens."""
    n_tokens: int
    prompt_tokens: int
    divergence: Divergence | None = None
    by_class: Mapping[str, ClassSums] | None = None
    """By the label of each class that has tokens here; None where tokens are not told apart."""


@dataclass(frozen=True)
class Refused:
    """A question that the engine cannot put to the model: unscored, never cut to fit."""

    reason: str
    """`context_too_long`, `chat_template_failed` or `empty_prompt`."""
    rendered_hash: str | None = None


@dataclass(frozen=True)
class Usage:
    """What an engine did since it was last asked."""

    load_s: float = 0.0
    prompt_tokens: int = 0
    """Prompt tokens that were really decoded: a shared prefix counts once."""
    prompt_s: float = 0.0
    completion_tokens: int = 0
    decode_s: float = 0.0


class Engine(Protocol):
    """Answers blocks. Each method gives results in the order of its items, seeds within an item."""

    def generate(
        self, items: Sequence[Item], seeds: Sequence[int], sampling: Sampling, report: ReportTokens
    ) -> list[Answer | Refused]: ...

    def choose(self, items: Sequence[Item], report: ReportTokens) -> list[Choices | Refused]: ...

    def measure(self, items: Sequence[Item], report: ReportTokens) -> list[Measured | Refused]: ...

    def take_usage(self) -> Usage:
        """What was done since the last call."""
        ...

    def close(self) -> None: ...
