"""The orders that the orchestrator sends to workers, and what workers send back.

They are plain frozen data that crosses process borders, without Ray or llama.cpp. An order holds everything that its
worker needs, so a worker looks nothing up elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from actors.llama.buffers import MemoryUse
from actors.llama.devices import DeviceUse
from actors.llama.layout import EngineLayout
from actors.machine_load import MachineLoad
from actors.recipes import Recipe
from conf.schema.answers import Sampling, Thinking
from conf.schema.pipeline import Language
from conf.schema.protection import TokenWeights

Role = Literal["system", "user", "assistant"]
Outcome = Literal["correct", "wrong", "measured", "unscored"]
Phase = Literal["plan", "imatrix", "quantize", "evaluate", "judge", "statistics", "charts", "documents", "done"]


class ReportTokens(Protocol):
    """A function that a worker calls while it works, with the number of tokens done since its last call."""

    def __call__(self, tokens: int) -> None: ...


# --- evaluation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One message of a prompt, before any chat template."""

    role: Role
    content: str
    shot: int | None = None
    """Number of the worked example that it belongs to. If a prompt is too long, the lowest numbers are left out first.
    A chat template sees neighbouring messages of the same role as one message."""


@dataclass(frozen=True)
class TemplateUse:
    """How a chat template is used, and how long a model may think before it answers."""

    template: str | None = None
    """The text of a chat template. None: the GGUF's own is used."""
    thinking: Thinking = "template"
    """What the configuration asks for."""
    arguments: str = "{}"
    """Further variables for the template, as a JSON object: those of the configuration, and those that switch
    thinking."""
    thinking_tokens: int = 0
    """Token budget of the thoughts of an answer. 0: they count in the limit of the answer."""


@dataclass(frozen=True)
class ChatSettings:
    """Chat settings of a model that replace or add to those in its GGUF."""

    system: str | None = None
    """The system prompt. None: there is none."""
    use: TemplateUse = field(default_factory=TemplateUse)


@dataclass(frozen=True)
class Generate:
    """Generate an answer, sampled once per seed."""

    messages: tuple[Message, ...]
    chat: bool
    """True: the messages go through the model's chat template, if it has one. False: their contents are joined."""
    stop: tuple[str, ...]
    """Texts that end the answer."""
    max_tokens: int
    """Token limit of the answer; of each answer, if there are several turns."""
    then: tuple[str, ...] = ()
    """What the user says after the first answer, and after each further one. The model sees its answers before."""
    temperature: float | None = None
    """Temperature of this item. None: that of the pipeline."""


@dataclass(frozen=True)
class Choose:
    """Compare the log-likelihoods of given continuations of one context."""

    messages: tuple[Message, ...]
    chat: bool
    """See `Generate`."""
    choices: tuple[str, ...]
    """The continuations, each with a leading space if the prompt needs one."""

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of characters of each choice. A leading space only joins it to the prompt and does not count."""
        return tuple(len(choice.removeprefix(" ")) for choice in self.choices)


@dataclass(frozen=True)
class Measure:
    """Measure the negative log-likelihood of tokens, each given all tokens before it."""

    tokens: tuple[int, ...]
    first_scored: int
    """Index of the first token that is measured."""


@dataclass(frozen=True)
class Call:
    """Call a custom function, which loads the model itself and returns one score per item."""

    file: str
    """Path of the Python file."""
    sha256: str
    """Hash of the file when the run was planned."""
    options: Mapping[str, Any] = field(hash=False)
    """Options from the benchmark's YAML file, passed to the function."""
    limit: int | None
    """Most items that the function should evaluate. None: no limit."""
    data_dir: str | None
    """The user's data folder."""
    time_limit_s: float
    """Time limit in seconds for one model and seed."""
    scale: tuple[float, float] | None = None
    """Lowest and highest score. None: no bounds."""


Task = Generate | Choose | Measure | Call


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    item_id: str
    task: Task
    target: Any
    """The expected answer, as JSON values. For `Choose` it is the index of the right choice, for `Measure` None."""
    prompt_hash: str
    """Hash of the messages or tokens before any chat template. A record's hash also covers the sampling settings."""
    cluster: str | None = None
    """The source that it shares with other items, for example an article. None: it shares none."""
    shots_dropped: int = 0
    """Number of worked examples left out of `task` because the model's context has no room for them."""
    too_long: bool = False
    """True if it does not fit even without examples. No engine decodes it, and it is unscored in every arm."""
    n_letters: int | None = None
    """Number of choices if the answer is the letter of one of them, so that guessing gets some answers right."""


@dataclass(frozen=True)
class Scorer:
    """How answers are scored: a name from `conf.scorers`, and that scorer's settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Settings by name, as JSON values. Most scorers have none."""


ENDPOINT_VERSION = 3
"""Version of how answers of an endpoint become records. Increase it if the same answer would give another record."""
GENERATION_VERSION = 3
"""Raise it whenever generation gives other bits for the same items, seeds and layout. It is in the records' key."""


THINKING_VERSION = 2
"""Raise it whenever thoughts are found or limited in another way. It is in the keys of records of models that may
think."""
PROMPT_VERSION = 1
"""Raise it whenever the same messages give another prompt or other tokens. It is in the keys of what uses prompts."""


@dataclass(frozen=True)
class ReferenceModel:
    """The model file of a reference, and how it is decoded."""

    gguf_path: str
    layout: EngineLayout


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-compatible endpoint, and how to call it. The API key is not included."""

    url: str
    """Base address, such as `https://host/v1`."""
    model: str
    """Name of the model on the server."""
    concurrency: int
    """Most requests at a time."""
    timeout_s: float
    """Time limit of one request, in seconds."""
    attempts: int
    """How often a request is tried in all."""


@dataclass(frozen=True)
class BlockOrder:
    """Evaluate one block: arm x benchmark x a fixed run of items x all seeds of one seed group.

    A block is decoded whole and written as one file.
    """

    arm: str
    gguf_path: str
    """Path of the arm's GGUF. For an endpoint: its address."""
    benchmark: str
    scorer: Scorer
    items: tuple[Item, ...]
    seeds: tuple[int, ...]
    """The seeds of the group. Only the base seed if the benchmark's output does not depend on the seed."""
    sampling: Sampling
    layout: EngineLayout
    records_path: str
    """`<run>/records/<benchmark>.<arm>-<hash8>/<first item>-<items>.g<seed group>.jsonl`"""
    chat_template: TemplateUse | None = None
    """How the chat template is used. None: the GGUF's own, as it is."""
    endpoint: Endpoint | None = None
    """The endpoint to call if the arm has no GGUF."""
    reference: ReferenceModel | None = None
    """The model that chunks of text are compared with: the arm itself if it is the reference. None: there is no
    reference, or the benchmark does not measure text."""


@dataclass(frozen=True)
class PassOrder:
    """Evaluate blocks of several arms on the same chunks of text, side by side with their common reference.

    A block of the reference itself may be among them. Each block's records are the same as if it were decoded alone.
    """

    blocks: tuple[BlockOrder, ...]
    host_threads: int
    """Threads that compare the models' logits while none of them decodes. The records do not depend on it."""


@dataclass(frozen=True)
class PerformanceOrder:
    """Measure an arm's speed and memory with a short fixed workload."""

    arm: str
    gguf_path: str
    layout: EngineLayout
    """The layout of the arm's benchmark with the most KV cells."""
    output_path: str
    """`<run>/performance/<arm>-<hash8>.json`. The file marks the arm as measured."""


@dataclass(frozen=True)
class CheckPart:
    """A few items of one benchmark, all of one kind of task, and how its blocks are decoded."""

    benchmark: str
    items: tuple[Item, ...]
    layout: EngineLayout


@dataclass(frozen=True)
class CheckOrder:
    """Check an arm before its first block: compare batched decoding with decoding one sequence at a time."""

    arm: str
    gguf_path: str
    parts: tuple[CheckPart, ...]
    chat_template: TemplateUse | None
    """See `BlockOrder`."""
    output_path: str
    """`<run>/checks/<arm>-<hash8>.json`. The file marks the check as passed."""


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


# --- quantization -------------------------------------------------------------------------------


@dataclass(frozen=True)
class CalibrationText:
    """A calibration text: its path and the hash of its content."""

    path: str
    sha256: str
    share: float
    """Fraction of the tokens that is taken from it. The shares of an order add up to 1."""
    source: Mapping[str, Any] | None = field(default=None, hash=False)
    """Where the rows of a data set come from: repository, commit, files, split, column, rows. None: a plain file."""


GROUP_CHUNKS = 8
"""Chunks per group when an importance matrix is collected: each group is summed by itself, then the groups' sums are
added. A floating-point sum depends on its grouping, so this number is in every matrix's key and file."""


@dataclass(frozen=True)
class ChunkRules:
    """How calibration texts are cut into chunks, apart from chunk size and shares."""

    chunk_shuffle_seed: int | None = None
    """None: take the first chunks of each text, one text after the other. A seed: draw each text's chunks from the
    whole text, and shuffle the chunks of all texts."""
    parse_special: bool = False
    """True: read `<|...|>` in a text as the special token of that name."""
    chat_template: bool = False
    """True: treat paragraphs as turns of user and assistant, and put them through the model's chat template."""


@dataclass(frozen=True)
class ImatrixOrder:
    """Collect an importance matrix."""

    model_path: str
    mix: str
    texts: tuple[CalibrationText, ...]
    dataset_size: int
    """Number of tokens in total, rounded down to whole chunks."""
    ctx: int
    """Tokens per chunk."""
    threads: int
    """Threads that decode. Sums in floating point depend on it."""
    gpu_layers: int
    output_path: str
    key: dict[str, Any] = field(hash=False)
    """Everything that the file's hash is made of. The manifest holds it too."""
    rules: ChunkRules = ChunkRules()
    token_weights: TokenWeights | None = None
    """How much each token counts. None: every token counts once."""
    devices: DeviceUse | None = None
    """The devices of those layers. None: all that the worker has, or none if there are no such layers."""

    @property
    def group_tokens(self) -> tuple[int, ...]:
        """Number of tokens of each group of chunks. The last group may have fewer."""
        n_chunks = self.dataset_size // self.ctx
        starts = range(0, n_chunks, GROUP_CHUNKS)
        return tuple(min(GROUP_CHUNKS, n_chunks - start) * self.ctx for start in starts)


@dataclass(frozen=True)
class QuantizeOrder:
    """Make one GGUF, read it back, verify it, and then write its manifest."""

    arm: str
    model_path: str
    model_name: str
    recipe: Recipe
    imatrix_path: str | None
    threads: int
    """Threads of the work. The file does not depend on it, so the orchestrator sets what the worker was given."""
    output_path: str
    """`<run>/artifacts/<arm>-<hash8>/<model>-<RECIPE>.gguf`. `manifest.json` and `log.txt` are in the same folder."""
    dequantized_from: str | None
    """The type of a source that was already quantized, such as `Q4_1`. None: it was not."""
    key: dict[str, Any] = field(hash=False)
    """Everything that the file's hash is made of."""
    measured_path: str | None = None
    """File that keeps the quantization errors measured for this model with this importance matrix, for all its arms.
    None: they are not kept."""


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
    """See `ChartOrder`."""
    run_dir: str
    lang: Language
    methodology_path: str | None = None
    """A methodology text by the user that replaces the built-in one."""
