"""Engines answer the questions of a block. This module defines their interface and the types of their answers.

An engine gets whole blocks, so that it can put many questions into one batch. Its results may depend only on the block,
not on earlier blocks, the clock or the number of workers.

- `llama` decodes a GGUF in this process
- `openai` asks a model behind an endpoint
- `scripted` gives prepared answers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from actors.items import Item
from actors.llama.buffers import MemoryUse
from actors.orders import ReportTokens
from conf.schema.answers import Sampling

CONTEXT_TOO_LONG = "context_too_long"
CONVERSATION_TOO_LONG = "conversation_too_long"
"""The model's own answers leave no room for a later turn."""
EMPTY_PROMPT = "empty_prompt"
"""The prompt has no token, and the model has none to begin a text with."""
FinishReason = Literal["stop", "eog", "length"]


@dataclass(frozen=True)
class Answer:
    """A generated text. It ends at a stop string, an end-of-generation token, or the token limit."""

    text: str
    """The answer without the thoughts before it. Of several turns, the last one."""
    rendered_hash: str | None
    """Hash of the first turn's prompt."""
    prompt_tokens: int
    """Of all turns together. The prompt of a later turn holds the turns before it."""
    completion_tokens: int
    """Number of sampled tokens, including those of the stop string but not the end-of-generation token. Of all turns
    together."""
    finish_reason: FinishReason
    """Of several turns, that of the last one."""
    earlier_texts: tuple[str, ...] = ()
    """The answers of the turns before the last one."""
    earlier_finish_reasons: tuple[FinishReason, ...] = ()
    """How those answers ended."""
    thoughts: str | None = None
    """What the model thought before its answers; of several turns, joined. None: nothing, or it does not show it."""
    thought_tokens: int | None = None
    """Number of tokens of the thoughts, which are part of `completion_tokens`. None: there are none, or nobody has
    counted them."""
    cut_while_thinking: bool = False
    """True if the token limit ended the last turn before its answer began."""
    earlier_cuts: tuple[bool, ...] = ()
    """The same for each turn before the last one."""


@dataclass(frozen=True)
class Choices:
    """The log-likelihood of each choice given the context, in nats."""

    logliks: tuple[float, ...]
    rendered_hash: str | None
    prompt_tokens: int
    """Number of tokens in the context."""
    completion_tokens: int
    """Number of tokens in all choices together."""


@dataclass(frozen=True)
class Divergence:
    """The differences between a model and its reference, as sums over some tokens."""

    kld_sum: float
    """KL divergence from the reference, in nats."""
    top_agree: int
    """Number of tokens for which both models have the same most likely token."""
    p_change_sum: float
    """Sum of (probability of the true token - its probability under the reference)."""
    p_change_squares: float
    """Sum of the squares of those differences."""


@dataclass(frozen=True)
class ClassSums:
    """Sums over the scored tokens of one class (`actors.token_classes`)."""

    n_tokens: int
    nll_sum: float
    """Negative log-likelihood, in nats."""
    divergence: Divergence | None


@dataclass(frozen=True)
class Measured:
    """Negative log-likelihood of a chunk's scored tokens, and their divergence from the reference."""

    nll_sum: float
    """Sum over the scored tokens, in nats."""
    n_tokens: int
    prompt_tokens: int
    divergence: Divergence | None = None
    by_class: Mapping[str, ClassSums] | None = None
    """One entry per label of a class that has tokens here. None: tokens are not divided into classes."""


@dataclass(frozen=True)
class Refused:
    """A question that the engine cannot give to the model. It stays unscored and is never truncated."""

    reason: str
    """Reason code: `context_too_long`, `conversation_too_long`, `chat_template_failed` or `empty_prompt`."""
    rendered_hash: str | None = None


@dataclass(frozen=True)
class Usage:
    """The work of an engine since the last `take_usage`. Times are in seconds."""

    load_s: float = 0.0
    prompt_tokens: int = 0
    """Number of prompt tokens that were decoded. A shared prefix counts once."""
    prompt_s: float = 0.0
    completion_tokens: int = 0
    decode_s: float = 0.0
    memory: MemoryUse | None = None
    """What the model takes in memory. None: this engine loads no model."""


class Engine(Protocol):
    """Answers the questions of a block. Results come in the order of the items, then of the seeds within an item."""

    def generate(
        self, items: Sequence[Item], seeds: Sequence[int], sampling: Sampling, report: ReportTokens
    ) -> list[Answer | Refused]: ...

    def choose(self, items: Sequence[Item], report: ReportTokens) -> list[Choices | Refused]: ...

    def measure(self, items: Sequence[Item], report: ReportTokens) -> list[Measured | Refused]: ...

    def take_usage(self) -> Usage:
        """Return the work since the last call."""
        ...

    def close(self) -> None: ...
