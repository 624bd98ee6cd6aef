"""The engine that gives prepared answers instead of decoding a model.

Use it to try code that takes an engine without a model, for example in tests. A question without a prepared answer is
refused, so an outdated script is noticed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actors.engines import Answer, Choices, FinishReason, Measured, Refused, Usage
from actors.engines.turns import seeds_asked
from actors.items import Generate, Item, Measure
from actors.orders import ReportTokens
from actors.thinking import split
from conf.schema.answers import Sampling

NOT_WRITTEN = "not_in_script"
Turns = str | tuple[str, ...]
"""An answer: one text, or one text per turn."""


@dataclass(frozen=True)
class Script:
    """The prepared answers, one entry per item id."""

    texts: Mapping[str, Turns | Mapping[int, Turns]] = field(default_factory=dict)
    """One answer for all seeds, or one per seed."""
    logliks: Mapping[str, Sequence[float]] = field(default_factory=dict)
    nll_sums: Mapping[str, float] = field(default_factory=dict)


class ScriptedEngine:
    """Gives the answers of a `Script`. Each character counts as one token."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._usage = Usage()

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def take_usage(self) -> Usage:
        usage, self._usage = self._usage, Usage()
        return usage

    def generate(
        self, items: Sequence[Item], seeds: Sequence[int], sampling: Sampling, report: ReportTokens
    ) -> list[Answer | Refused]:
        return [self._answer(item, seed, report) for item in items for seed in self._seeds(item, seeds)]

    def choose(self, items: Sequence[Item], report: ReportTokens) -> list[Choices | Refused]:
        return [
            Choices(tuple(self._script.logliks[item.item_id]), None, 0, 0)
            if item.item_id in self._script.logliks
            else Refused(NOT_WRITTEN)
            for item in items
        ]

    def measure(self, items: Sequence[Item], report: ReportTokens) -> list[Measured | Refused]:
        return [self._measured(item) for item in items]

    def _seeds(self, item: Item, seeds: Sequence[int]) -> list[int]:
        """Return the seed whose answer is given in place of each."""
        asked = seeds_asked(item.task, seeds) if isinstance(item.task, Generate) else tuple(seeds)
        return list(asked) if len(asked) == len(seeds) else [*asked] * len(seeds)

    def _answer(self, item: Item, seed: int, report: ReportTokens) -> Answer | Refused:
        written = self._script.texts.get(item.item_id)
        said = written.get(seed) if isinstance(written, Mapping) else written
        texts = (said,) if isinstance(said, str) else said
        if texts is None or len(texts) != 1 + len(getattr(item.task, "then", ())):
            return Refused(NOT_WRITTEN)
        n_tokens = sum(map(len, texts))
        report(n_tokens)
        self._usage = Usage(completion_tokens=self._usage.completion_tokens + n_tokens)
        read = [split(text) for text in texts]
        thoughts = [one.thoughts for one in read if one.thoughts is not None]
        ended: list[FinishReason] = ["eog" for _ in texts]
        return Answer(
            read[-1].answer,
            None,
            0,
            n_tokens,
            ended[-1],
            tuple(one.answer for one in read[:-1]),
            tuple(ended[:-1]),
            thoughts="\n\n".join(thoughts) if thoughts else None,
            thought_tokens=sum(map(len, thoughts)) if thoughts else None,
        )

    def _measured(self, item: Item) -> Measured | Refused:
        if item.item_id not in self._script.nll_sums or not isinstance(item.task, Measure):
            return Refused(NOT_WRITTEN)
        n_tokens = len(item.task.tokens) - item.task.first_scored
        return Measured(self._script.nll_sums[item.item_id], n_tokens, len(item.task.tokens))
