"""What a benchmark is: the types that each benchmark's file fills and that the plan and the evaluation read.

The files beside this one hold one benchmark each; `benchmarks/__init__.py` holds their table and loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from actors.engines import Answer, Choices, Measured
from actors.evaluation.hub_files import HUB, HubDoor
from actors.llama.model import Model
from actors.orders import Item, Message, Outcome, Scorer, Task
from conf.schema import Sampling

Kind = Literal["generate", "choose", "measure", "function"]


@dataclass(frozen=True)
class Inputs:
    """What a benchmark makes its items from."""

    data_dir: Path | None
    """Folder of data sets, each in a folder of its own. None: they come from the hub, the demo's from the project."""
    sampling: Sampling
    vocabulary: Model
    """Tokenizer of the model; perplexity is measured over its tokens."""
    hub: HubDoor = HUB
    """Where data sets come from without a folder."""
    limit: int | None = None
    """Items that the pipeline will take, at most; functions of the user's are told."""


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
    task: Task
    target: Any
    cluster: str | None = None
    """The source that it shares with other questions: they are one sample then, and intervals widen accordingly."""
    shots_dropped: int = 0
    too_long: bool = False
    """Both are found out by `fitting`, and mean what they mean of an item."""


@dataclass(frozen=True)
class Loaded:
    """What a benchmark's own loader gives: questions in any order, and the files they came from."""

    questions: tuple[Question, ...]
    files: tuple[SourceFile, ...]
    shots: int | None = None
    """Examples shown, where the data decide it; None: as the benchmark declares."""


@dataclass(frozen=True)
class Verdict:
    """What the scorer says about one answer."""

    outcome: Outcome
    score: float | None
    reason: str | None = None
    answer: str | None = None
    """What was extracted from the text, or the choice taken."""


Score = Callable[[Item, Answer | Choices | Measured], Verdict]
"""Says what one result is worth. Raises `TypeError` for a kind of result that it cannot score."""


def text_of(item: Item, result: Answer | Choices | Measured) -> str:
    """The text of a generated answer. Raises `TypeError` for anything else."""
    return answer_of(item, result).text


def answer_of(item: Item, result: Answer | Choices | Measured) -> Answer:
    """The result, which must be a generated answer. Raises `TypeError` for anything else."""
    if not isinstance(result, Answer):
        raise TypeError(f"{item.item_id}: a text expected, got {type(result).__name__}")
    return result


def no_answer(answer: Answer) -> Verdict:
    """Wrong for want of an answer: the model's own failure, with its reason."""
    return Verdict("wrong", 0.0, "cut_at_token_limit" if answer.finish_reason == "length" else "no_answer")


def right_or_wrong(right: bool, answer: str) -> Verdict:
    """1 or 0, and the answer that was compared."""
    return Verdict("correct" if right else "wrong", float(right), answer=answer)


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
    scorer: Scorer
    sampled: bool = True
    """Of a function: whether its scores depend on the seed."""
    category: str | None = None
    """What it asks for, by which means and charts are grouped; names in `reporting.analysis.categories`. None: it
    belongs to no category."""


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
    scorer: Scorer
    sampled: bool
    shots: int
    title: Mapping[str, str]
    source: Mapping[str, Any]
    """`url`, `licence`, `revision`, `files`: a list of `name` and `sha256`."""
    category: str | None = None


def user_prompt(text: str) -> tuple[Message, ...]:
    """A prompt of one message."""
    return (Message("user", text),)


def few_shot_prompt(shots: Iterable[str], question: str) -> tuple[Message, ...]:
    """Worked examples and a question: one text, in parts that can be left out one by one."""
    examples = (Message("user", text, shot=number) for number, text in enumerate(shots))
    return (*examples, Message("user", question))
