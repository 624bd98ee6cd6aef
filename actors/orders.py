"""The orders that the orchestrator sends to workers. Those of quantization are in `actors.quantization_orders`.

They are plain frozen data that crosses process borders, without Ray or llama.cpp. An order holds everything that its
worker needs, so a worker looks nothing up elsewhere. Its items are in `actors.items`; what comes back is in
`actors.records`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from actors.items import Item, Scorer, TemplateUse
from actors.llama.layout import EngineLayout
from conf.schema.answers import Sampling
from conf.schema.pipeline import Language

Phase = Literal["plan", "imatrix", "quantize", "evaluate", "judge", "statistics", "charts", "documents", "done"]


class ReportTokens(Protocol):
    """A function that a worker calls while it works, with the number of tokens done since its last call."""

    def __call__(self, tokens: int) -> None: ...


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
