"""What a benchmark is: the types that each benchmark's file fills and that the plan and the evaluation read.

The files beside this one hold one benchmark each; `benchmarks/__init__.py` holds their table and loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from actors.evaluation.engines import Answer, Choices, Measured
from actors.llama.model import Model
from actors.work import Choose, Generate, Item, Measure, Message, Outcome
from conf.schema import Sampling

Kind = Literal["generate", "choose", "measure"]


@dataclass(frozen=True)
class Inputs:
    """What a benchmark makes its items from."""

    data_dir: Path | None
    """Folder of data sets, each in a folder of its own. None: only embedded data can be had."""
    sampling: Sampling
    vocabulary: Model
    """Tokenizer of the model; perplexity is measured over its tokens."""


@dataclass(frozen=True)
class SourceFile:
    """One file that items were read from."""

    name: str
    """Relative to the data folder, or as `conf.texts` names it."""
    sha256: str


@dataclass(frozen=True)
class Question:
    """An item before its prompt is hashed."""

    item_id: str
    task: Generate | Choose | Measure
    target: Any
    cluster: str | None = None
    """The source that it shares with other questions: they are one sample then, and intervals widen accordingly."""


@dataclass(frozen=True)
class Loaded:
    """What a benchmark's own loader gives: questions in any order, and the files they came from."""

    questions: tuple[Question, ...]
    files: tuple[SourceFile, ...]


@dataclass(frozen=True)
class Verdict:
    """What the scorer says about one answer."""

    outcome: Outcome
    score: float | None
    reason: str | None = None
    answer: str | None = None
    """What was extracted from the text, or the choice taken."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark as its file declares it."""

    name: str
    version: int
    """Raised whenever prompt, extraction or scoring change."""
    kind: Kind
    metric: str
    higher_is_better: bool
    shots: int
    title: Mapping[str, str]
    """By language: `ja` and `en`."""
    url: str
    licence: str
    revision: str
    load: Callable[[Inputs], Loaded]
    score: Callable[[Item, Answer | Choices | Measured], Verdict]


@dataclass(frozen=True)
class BenchmarkData:
    """A benchmark with all its items, whatever limit a pipeline sets."""

    name: str
    version: int
    kind: Kind
    metric: str
    higher_is_better: bool
    items: tuple[Item, ...]
    """All of them, in the order in which a limit takes them: a fixed shuffle, chunks in text order."""
    data_hash: str
    """Over all tasks and targets, and the version: the prompt texts are in it."""
    shots: int
    title: Mapping[str, str]
    source: Mapping[str, Any]
    """`url`, `licence`, `revision`, `files`: a list of `name` and `sha256`."""


def user_prompt(text: str) -> tuple[Message, ...]:
    """A prompt of one message."""
    return (Message("user", text),)
