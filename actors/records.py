"""What a worker writes for a block: one record per item and seed, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from actors.llama.buffers import MemoryUse
from actors.machine_load import MachineLoad

Outcome = Literal["correct", "wrong", "measured", "unscored"]


@dataclass(frozen=True)
class Record:
    """The result of one item under one seed. It holds no times, because records are compared byte for byte."""

    item_id: str
    seed: int
    prompt_hash: str
    """Hash of the prompt before any chat template and of the sampling settings."""
    rendered_hash: str | None
    """Hash of the prompt after the chat template. None: unknown, for example for an endpoint."""
    outcome: Outcome
    score: float | None = None
    reason: str | None = None
    """Code that says why the item is unscored, or why it is wrong, such as `no_answer`."""
    text: str | None = None
    """The generated text, without the thoughts before it. Of several turns, the last one."""
    earlier_texts: tuple[str, ...] | None = None
    """The answers of the turns before the last one. None: there is one turn."""
    thoughts: str | None = None
    """What the model thought before its answer. None: it did not think, or does not show it. The thoughts of several
    turns are joined."""
    thought_tokens: int | None = None
    """Number of tokens of the thoughts, which are part of `completion_tokens`."""
    answer: str | None = None
    """The answer extracted from the text, or the choice taken."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    """How the answer ended; of several turns, the last one."""
    earlier_finish_reasons: tuple[str, ...] | None = None
    """How the answers of the turns before ended: `length` says that one was cut at the token limit."""
    earlier_cuts: tuple[bool, ...] | None = None
    """Which of the turns before reached the token limit while the model was thinking. None: none did."""
    choice_logliks: tuple[float, ...] | None = None
    """Log-likelihood of each choice, in nats."""
    nll_sum: float | None = None
    """Sum of the negative log-likelihoods of a chunk's scored tokens, in nats."""
    n_tokens: int | None = None
    """Number of scored tokens of a chunk."""
    shots_dropped: int = 0
    kld_sum: float | None = None
    """Sum of the KL divergence from the reference over a chunk's scored tokens, in nats. This field and the next three
    are None if there is no comparison; `divergence_reason` says why."""
    top_agree: int | None = None
    """Number of tokens for which arm and reference have the same most likely token."""
    p_change_sum: float | None = None
    """Sum of the probability of the true token minus its probability under the reference."""
    p_change_squares: float | None = None
    """Sum of the squares of those differences."""
    divergence_reason: str | None = None
    """`no_reference` (also for the reference itself) or `vocabularies_differ`."""
    token_classes: Mapping[str, Mapping[str, float | None]] | None = None
    """The same sums per class of tokens (mathematics, science, other), for the classes that the chunk contains."""


@dataclass(frozen=True)
class Timing:
    """How long a block took. It is the one line of the block's timings file."""

    load_s: float
    """Seconds to load the model; 0 if it was already loaded."""
    prompt_tokens: int
    prompt_s: float
    """Seconds to decode the prompts."""
    completion_tokens: int
    decode_s: float
    """Seconds to generate the answers."""
    wall_s: float
    """Wall time of the block, in seconds."""
    worker_pid: int
    memory: MemoryUse | None
    """What the arm's model takes in memory. None: no model of ours was loaded, as for an endpoint."""
    machine: MachineLoad | None
    """What else went on while the block ran; for a block of a pass, during the whole pass."""
