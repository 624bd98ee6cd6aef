"""The orders that the orchestrator gives, and what comes back.

Plain frozen data that crosses process borders: no Ray, no llama.cpp, no behaviour but to say what it holds. A worker
is given everything it needs in its order and looks nothing up elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from actors.llama.layout import EngineLayout
from actors.recipes import Recipe
from conf.schema import Language, Sampling, TokenWeights

Outcome = Literal["correct", "wrong", "measured", "unscored"]
Phase = Literal["plan", "imatrix", "quantize", "evaluate", "statistics", "charts", "documents", "done"]


class ReportTokens(Protocol):
    """What a worker calls now and then while it works: tokens done since the last call."""

    def __call__(self, tokens: int) -> None: ...


# --- evaluation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One message of a prompt, before any chat template."""

    role: Literal["system", "user", "assistant"]
    content: str
    shot: int | None = None
    """Number of the worked example that it belongs to: the lowest are left out where a prompt is too long. Neighbours
    of one role are one message to a chat template."""


@dataclass(frozen=True)
class ChatSettings:
    """How a model is talked to, where that is not left to its GGUF."""

    system: str | None = None
    template: str | None = None
    """The text of a chat template."""


@dataclass(frozen=True)
class Generate:
    """Ask for an answer, sampled once a seed."""

    messages: tuple[Message, ...]
    chat: bool
    """True: rendered through the model's chat template, where it has one. False: contents joined as they are."""
    stop: tuple[str, ...]
    max_tokens: int


@dataclass(frozen=True)
class Choose:
    """Compare the log-likelihoods of given continuations of one context."""

    messages: tuple[Message, ...]
    chat: bool
    choices: tuple[str, ...]
    """Continuations, with their leading space where the prompt wants one."""


@dataclass(frozen=True)
class Measure:
    """Negative log-likelihood of the tokens from `first_scored` on, given all before each."""

    tokens: tuple[int, ...]
    first_scored: int


@dataclass(frozen=True)
class Call:
    """Call a function of the user's, which loads the model itself and gives back a score an item."""

    file: str
    sha256: str
    options: Mapping[str, Any] = field(hash=False)
    limit: int | None
    data_dir: str | None
    time_limit_s: float


Task = Generate | Choose | Measure | Call


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    item_id: str
    task: Task
    target: Any
    """What the scorer compares with: JSON-able; the gold index for `Choose`, None for `Measure`."""
    prompt_hash: str
    """Over the messages (or tokens) before any chat template; the sampling settings are added in the record."""
    cluster: str | None = None
    """The source that it shares with other items (an article, a document); None: it shares none."""
    shots_dropped: int = 0
    """Worked examples left out of `task`, for the model's context has no room for them."""
    too_long: bool = False
    """Has no room even so: unscored in every arm, put to no engine."""


@dataclass(frozen=True)
class Scorer:
    """How answers are scored: a name from `actors.evaluation.scorers`, and that scorer's settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """JSON-able; most scorers have none."""


GENERATION_VERSION = 2
"""Raised whenever generating gives other bits for the same items, seeds and layout; part of the records' key."""


@dataclass(frozen=True)
class ReferenceModel:
    """A reference as it is decoded."""

    gguf_path: str
    layout: EngineLayout


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-compatible endpoint, and how it is asked. Its key is no part of it."""

    url: str
    """Base address: `https://host/v1`."""
    model: str
    concurrency: int
    timeout_s: float
    attempts: int


@dataclass(frozen=True)
class BlockOrder:
    """arm x benchmark x a fixed run of items x all seeds of one seed group: decoded whole, written as one file."""

    arm: str
    gguf_path: str
    benchmark: str
    scorer: Scorer
    items: tuple[Item, ...]
    seeds: tuple[int, ...]
    """One seed only, the base seed, where the benchmark's output does not depend on it."""
    sampling: Sampling
    layout: EngineLayout
    records_path: str
    """`<run>/records/<benchmark>.<arm>-<hash8>/<first item>-<items>.g<seed group>.jsonl`"""
    chat_template: str | None = None
    """In place of the one in the GGUF."""
    endpoint: Endpoint | None = None
    """Where there is no GGUF; `gguf_path` is its address then."""
    reference: ReferenceModel | None = None
    """What chunks of text are compared with; the arm itself where it is the reference. None: there is none, or it is
    no text."""


@dataclass(frozen=True)
class PassOrder:
    """Blocks of several arms on the same chunks of text, decoded side by side with their common reference.

    Its own block may be among them. Each block's records are what it would give alone.
    """

    blocks: tuple[BlockOrder, ...]


@dataclass(frozen=True)
class PerformanceOrder:
    """Measure how fast an arm is and what memory it takes, by a short fixed workload."""

    arm: str
    gguf_path: str
    layout: EngineLayout
    """That of its widest benchmark."""
    output_path: str
    """`<run>/performance/<arm>-<hash8>.json`; its being there says that it was measured."""


@dataclass(frozen=True)
class CheckPart:
    """A few items of one benchmark, all of one kind, and how its blocks are decoded."""

    benchmark: str
    items: tuple[Item, ...]
    layout: EngineLayout


@dataclass(frozen=True)
class CheckOrder:
    """Compare the batched engine with decoding one sequence at a time, before an arm's first block."""

    arm: str
    gguf_path: str
    parts: tuple[CheckPart, ...]
    chat_template: str | None
    """In place of the model's own."""
    output_path: str
    """`<run>/checks/<arm>-<hash8>.json`: its being there says that the check was passed."""


@dataclass(frozen=True)
class Record:
    """What one item gave under one seed. No times in it: records are compared byte for byte."""

    item_id: str
    seed: int
    prompt_hash: str
    rendered_hash: str | None
    outcome: Outcome
    score: float | None = None
    reason: str | None = None
    text: str | None = None
    answer: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    choice_logliks: tuple[float, ...] | None = None
    nll_sum: float | None = None
    n_tokens: int | None = None
    shots_dropped: int = 0
    kld_sum: float | None = None
    """Of a measured chunk, over its scored tokens: KL divergence from the reference, nats. This and the next three are
    null where nothing was compared; `divergence_reason` says why."""
    top_agree: int | None = None
    """Tokens on which arm and reference hold the same one for the most likely."""
    p_change_sum: float | None = None
    """Probability of the true token less that under the reference."""
    p_change_squares: float | None = None
    divergence_reason: str | None = None
    """`no_reference` (of the reference itself, too) or `vocabularies_differ`."""
    token_classes: Mapping[str, Mapping[str, float | None]] | None = None
    """By class of tokens (mathematics, science, other), of those that the chunk has: the same sums."""


@dataclass(frozen=True)
class Timing:
    """How long the work on a block took; a line of the timings file."""

    load_s: float
    """Seconds to load the model; 0 where it was loaded already."""
    prompt_tokens: int
    prompt_s: float
    completion_tokens: int
    decode_s: float
    wall_s: float
    peak_rss_bytes: int
    worker_pid: int


# --- quantization -------------------------------------------------------------------------------


@dataclass(frozen=True)
class CalibrationText:
    """A calibration text by its path and content."""

    path: str
    sha256: str
    share: float
    """Part of the tokens taken from it; the shares of an order add up to 1."""
    source: Mapping[str, Any] | None = field(default=None, hash=False)
    """Where rows of a data set come from: repository, commit, files, split, column, rows. None for a plain file."""


GROUP_CHUNKS = 8
"""Chunks that an importance matrix sums at a time, before the sums are added. Sums in floating point depend on where
they are cut, so it stands in every matrix's key and file."""


@dataclass(frozen=True)
class ChunkRules:
    """How calibration texts become chunks, beside their size and their shares."""

    chunk_shuffle_seed: int | None = None
    """None: the first chunks of each text, text after text. Else each text's chunks are drawn from all over it, and
    those of all texts are shuffled."""
    parse_special: bool = False
    """True: `<|...|>` in a text is read as the special token that it names."""
    chat_template: bool = False
    """True: the paragraphs of a text are turns of user and assistant, through the model's chat template."""


@dataclass(frozen=True)
class ImatrixOrder:
    """Collect an importance matrix."""

    model_path: str
    mix: str
    texts: tuple[CalibrationText, ...]
    dataset_size: int
    """Tokens in all; whole chunks of `ctx` are taken."""
    ctx: int
    threads: int
    gpu_layers: int
    output_path: str
    key: dict[str, Any] = field(hash=False)
    """What the file's hash is made of; kept in the manifest."""
    rules: ChunkRules = ChunkRules()
    token_weights: TokenWeights | None = None
    """None: every token counts once."""

    @property
    def group_tokens(self) -> tuple[int, ...]:
        """Tokens of each group of chunks; the last one may have fewer."""
        n_chunks = self.dataset_size // self.ctx
        starts = range(0, n_chunks, GROUP_CHUNKS)
        return tuple(min(GROUP_CHUNKS, n_chunks - start) * self.ctx for start in starts)


@dataclass(frozen=True)
class QuantizeOrder:
    """Make one GGUF, read it back, verify it, and write its manifest last."""

    arm: str
    model_path: str
    model_name: str
    recipe: Recipe
    imatrix_path: str | None
    threads: int
    output_path: str
    """`<run>/artifacts/<arm>-<hash8>/<model>-<RECIPE>.gguf`; `manifest.json` and `log.txt` stand beside it."""
    dequantized_from: str | None
    key: dict[str, Any] = field(hash=False)
    measured_path: str | None = None
    """Where measured quantization errors of this model under this importance matrix are kept for all its arms; None:
    nowhere."""


# --- visualization and documentation ------------------------------------------------------------


@dataclass(frozen=True)
class ChartOrder:
    """Draw all charts of a results folder."""

    results_path: str
    """`.../evaluation_results/quantization_comparison.json`"""
    output_dir: str
    lang: Language


@dataclass(frozen=True)
class DocumentOrder:
    """Write methodology, analysis report and scorecard from a results folder and its charts."""

    results_path: str
    run_dir: str
    lang: Language
    methodology_path: str | None = None
    """A text of the user's in place of ours."""
