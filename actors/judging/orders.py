"""What the orchestrator sends to a judging worker, and what comes back.

Judging is a phase after the records. A worker reads the records of one block, asks one judge about each answer, and
writes one file of judgements. Records are never changed: results put both together.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.llama.layout import EngineLayout
from actors.orders import Endpoint

JUDGE_PROMPT_VERSION = 1
"""Raise it whenever the same answer would be judged with another prompt. It is in the key of every judgement."""


@dataclass(frozen=True)
class JudgeModel:
    """One judge: a model behind an endpoint, or a GGUF that our own engine decodes."""

    name: str
    """How results call it. Names differ within a pipeline."""
    endpoint: Endpoint | None
    """None: the judge is a GGUF."""
    gguf_path: str | None = None
    gguf_sha256: str | None = None
    layout: EngineLayout | None = None
    """How the GGUF is decoded. None for an endpoint."""
    worker_bytes: int = 0
    """Memory that the GGUF and its KV cache take. 0 for an endpoint."""
    cache_bytes: int = 0
    """The part of it that is the KV cache."""
    architecture: str | None = None
    """Architecture in the GGUF's header. None for an endpoint."""
    n_ctx_train: int = 0
    """Tokens of the GGUF's context. 0: unknown, or an endpoint."""


@dataclass(frozen=True)
class JudgeRules:
    """How answers are judged. All of it is in the key of a judgement."""

    rubric: str
    """A name from `actors.judging.rubrics`."""
    repeats: int
    """How often each answer is judged. Repeats draw with seeds of their own, or see the criteria in another order."""
    temperature: float
    max_tokens: int
    """Token limit of a verdict with its reasons."""


@dataclass(frozen=True)
class JudgedItem:
    """One item, as a judge has to see it."""

    item_id: str
    questions: tuple[str, ...]
    """What the user said in each turn. Most items have one turn."""
    criteria: str | None
    """The item's own criteria. None: the rubric alone counts."""
    references: tuple[str | None, ...]
    """A reference answer for each turn, or None where the data has none."""
    category: str | None = None


@dataclass(frozen=True)
class JudgeOrder:
    """Judge the answers of one block by one judge."""

    arm: str
    benchmark: str
    judge: JudgeModel
    rules: JudgeRules
    items: tuple[JudgedItem, ...]
    """The items of the block."""
    seeds: tuple[int, ...]
    """The seeds whose records are judged."""
    records_path: str
    output_path: str
    """`<run>/judgements/<judge>-<hash8>/<benchmark>.<arm>-<hash8>/<first item>-<items>.g<seed group>.jsonl`. The file
    marks the block as judged."""
    cache_dir: str
    """Folder of all verdicts of the storage, one file per key. What is there is not asked again."""
    calls_left: int | None
    """Most calls that this order may make. None: no limit. If it is reached, the output file is not written."""


@dataclass(frozen=True)
class Judgement:
    """What one judge said about one turn of one answer in one repeat."""

    item_id: str
    seed: int
    judge: str
    repeat: int
    turn: int
    """From 0."""
    key: str
    """Hash of question, criteria, references, answer, judge, rules, prompt version and repeat."""
    score: float | None
    """On the benchmark's scale. None: unscored; `reason` says why."""
    reason: str | None = None
    """Why there is no score (`unreadable_verdict`, `judge_failed`), or why there is one without asking
    (`empty_answer`, `cut_while_thinking`, `wrong_language`)."""
    text: str | None = None
    """What the judge said. None: it was not asked."""
    model: str | None = None
    """Name of the model as the server reports it; the file name of a GGUF."""
    fingerprint: str | None = None
    """The server's `system_fingerprint`; the sha256 of a GGUF."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class JudgeSummary:
    """What judging one block gave."""

    output_path: str
    n_asked: int
    """Number of calls."""
    n_cached: int
    n_verdicts: int
    """Number of judgements that come from a verdict of the judge, now or earlier."""
