"""The types that each benchmark's file fills in, and that the plan and the evaluation read.

The files in `benchmarks/` hold one benchmark each. `benchmarks/__init__.py` holds the table of them and loads their
items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from actors.engines import Answer, Choices, Measured
from actors.evaluation.hub_files import HUB, DatasetHub
from actors.items import Item, Message, Scorer, Task
from actors.llama.model import Model
from actors.records import Outcome
from conf.custom_benchmarks import UNIT_SCALE
from conf.schema.answers import Sampling

Kind = Literal["generate", "choose", "measure", "function"]


@dataclass(frozen=True)
class LoaderInputs:
    """What a benchmark's loader makes its items from."""

    data_dir: Path | None
    """Folder with one subfolder per data set. None: data sets come from the hub, the demo's from the project."""
    sampling: Sampling
    vocabulary: Model
    """The model's tokenizer. Perplexity is measured over its tokens."""
    hub: DatasetHub = HUB
    """Where data sets come from if there is no `data_dir`."""
    limit: int | None = None
    """The most items that the pipeline will use. Only custom functions read it."""


@dataclass(frozen=True)
class SourceFile:
    """One file that items were read from."""

    name: str
    """Relative to the data folder, or as `conf.texts` names it."""
    sha256: str


@dataclass(frozen=True)
class RawItem:
    """An item as its loader gives it: not yet fitted to the model's context, and without a prompt hash."""

    item_id: str
    task: Task
    target: Any
    cluster: str | None = None
    """The source (for example an article) that this item shares with others. Statistics treat items of one source as
    one sample, which widens the intervals."""
    shots_dropped: int = 0
    """Set by `prompt_fit`; see `Item`."""
    too_long: bool = False
    """Set by `prompt_fit`; see `Item`."""
    n_letters: int | None = None
    """See `Item`."""
    solution: str | None = None
    """The data set's worked solution, as it would follow the prompt. It is not part of the question: only the benchmark
    that measures solutions reads it (`benchmarks/solutions.py`). None: the data set has none."""


@dataclass(frozen=True)
class RawData:
    """What a benchmark's loader returns: its items in any order, and the files they came from."""

    raw_items: tuple[RawItem, ...]
    files: tuple[SourceFile, ...]
    shots: int | None = None
    """Number of examples shown, if the data decide it. None: as the benchmark declares."""


@dataclass(frozen=True)
class ScoredResult:
    """What a scorer says about one result of an engine."""

    outcome: Outcome
    score: float | None
    reason: str | None = None
    answer: str | None = None
    """The answer extracted from the text, or the choice taken."""


ScoreFunction = Callable[[Item, Answer | Choices | Measured], ScoredResult]
"""Scores one result. Raises `TypeError` for a kind of result that it cannot score."""


def answer_of(item: Item, result: Answer | Choices | Measured) -> Answer:
    """Return the result if it is a generated answer, else raise `TypeError`."""
    if not isinstance(result, Answer):
        raise TypeError(f"{item.item_id}: a text expected, got {type(result).__name__}")
    return result


def right_or_wrong(right: bool, answer: str) -> ScoredResult:
    """Return score 1 or 0, with the answer that was compared."""
    return ScoredResult("correct" if right else "wrong", float(right), answer=answer)


@dataclass(frozen=True)
class BenchmarkSpec:
    """What a benchmark's file declares about it, as plain data."""

    name: str
    version: int
    """Raise it whenever the prompt, the extraction or the scoring changes."""
    kind: Kind
    metric: str
    higher_is_better: bool
    shots: int
    title: Mapping[str, str]
    """One title per language: `ja` and `en`."""
    url: str
    licence: str
    revision: str
    scorer: Scorer
    sampled: bool = True
    """For a function: do its scores depend on the seed?"""
    questions: str | None = None
    """The set of questions that it asks, if another benchmark asks them in another form. Items of two such benchmarks
    belong together if they have the same id (or, if an item has a `cluster`, the same as that)."""
    scale: tuple[float, float] | None = UNIT_SCALE
    """The lowest and the highest score of an item. None: not bounded, as losses of texts."""
    category: str | None = None
    """The skill it tests. Means and charts are grouped by it; `reporting.analysis.categories` holds the names. None: it
    belongs to no category."""
    rubrics: tuple[str, ...] = ()
    """Names of the rubrics that its answers can be judged by, the default first. Empty: they are not judged."""
    n_published: int | None = None
    """Number of items that published scores rest on. With fewer, scores do not compare with them. None: it does not
    matter."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: its declaration, and the function that loads its items."""

    spec: BenchmarkSpec
    load: Callable[[LoaderInputs], RawData]


@dataclass(frozen=True)
class BenchmarkData:
    """A benchmark with its items, as one model's tokenizer reads them."""

    spec: BenchmarkSpec
    items: tuple[Item, ...] = field(repr=False)
    """In the order in which a limit takes them: a fixed shuffle, or chunks in text order."""
    n_items_total: int
    """Number of items before any limit."""
    data_hash: str
    """Hash of the version, the scorer, and the task and target of every item before any limit. It covers the prompt
    texts."""
    shots: int
    """Number of examples shown."""
    source: Mapping[str, Any]
    """`url`, `licence`, `revision`, and `files`: a list of `name` and `sha256`."""

    def limited(self, limit: int | None) -> BenchmarkData:
        """Return the same benchmark with only its first `limit` items. None keeps all of them."""
        return replace(self, items=self.items[:limit])


def user_prompt(text: str) -> tuple[Message, ...]:
    """Return a prompt of one user message."""
    return (Message("user", text),)


def few_shot_prompt(shots: Iterable[str], question: str) -> tuple[Message, ...]:
    """Return worked examples and a question as one text, in parts that can be left out one by one."""
    examples = (Message("user", text, shot=number) for number, text in enumerate(shots))
    return (*examples, Message("user", question))
