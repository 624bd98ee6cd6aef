"""Likelihoods of given tokens: the choices of a question.

A question's context is decoded once and forked for its choices; questions are taken in groups, as many as there
are sequences and KV cells for. Where the model's memory cannot be forked, each choice is decoded whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from actors.engines.logprobs import token_logprobs
from actors.engines.meter import Meter
from actors.engines.prefix import ROOT, KeptPrefix, shared_length
from actors.errors import LlamaError
from actors.llama.batch import Run
from actors.llama.context import Context


@dataclass(frozen=True)
class Fork:
    """A question: its choices as whole token sequences, and where in each the scored part begins."""

    choices: Sequence[Sequence[int]]
    """Context and continuation, tokenized together."""
    scored_from: int
    """Length of the context alone, in tokens: the rule of lm-evaluation-harness (`_encode_pair`)."""

    @property
    def stem(self) -> int:
        """Tokens decoded once for all choices: what they share, less one token that is asked for logits."""
        return min(shared_length(self.choices), self.scored_from - 1)


@dataclass(frozen=True)
class _Scored:
    """A run whose logits are turned into log-probabilities of the tokens that follow."""

    run: Run
    targets: NDArray[np.int64]  # [len(run.tokens) - run.first_output]


@dataclass(frozen=True)
class Likelihoods:
    """Decodes questions in one context."""

    context: Context
    kept: KeptPrefix
    n_slots: int
    meter: Meter

    def choices(self, forks: Sequence[Fork]) -> list[tuple[float, ...]]:
        """Log-likelihoods, nats, of each question's choices. Raises `LlamaError`."""
        self._check_room(forks)
        if not self.context.shares:
            return self._choices_alone(forks)
        # The context proper must stay out of the root where a question's choices differ early.
        prefix = min(
            shared_length([choice for fork in forks for choice in fork.choices]),
            min((fork.stem for fork in forks), default=0),
        )
        self.kept.open(forks[0].choices[0][:prefix] if forks else ())
        results: list[tuple[float, ...]] = []
        for group in self._groups(forks, prefix):
            results += self._group(group, prefix)
        return results

    def _check_room(self, forks: Sequence[Fork]) -> None:
        room = self.context.cells_a_sequence
        need = max((len(choice) - 1 for fork in forks for choice in fork.choices), default=0)
        if need > room:
            raise LlamaError(f"a KV cache of {room} cells a sequence is too small: one choice needs {need}")

    def _choices_alone(self, forks: Sequence[Fork]) -> list[tuple[float, ...]]:
        """Each choice from its first token on, in a sequence of its own."""
        self.kept.open(())
        tails = [_whole(choice, fork) for fork in forks for choice in fork.choices]
        scores: list[float] = []
        for start in range(0, len(tails), self.n_slots):
            part = [
                replace(tail, run=replace(tail.run, sequence=slot))
                for slot, tail in enumerate(tails[start : start + self.n_slots], start=1)
            ]
            scores += self._scores(part)
            self.context.clear()
        remaining = iter(scores)
        return [tuple(itertools.islice(remaining, len(fork.choices))) for fork in forks]

    def _groups(self, forks: Sequence[Fork], prefix: int) -> Iterator[list[Fork]]:
        group: list[Fork] = []
        slots, cells = 0, prefix
        for fork in forks:
            need = fork.stem - prefix + sum(len(choice) - 1 - fork.stem for choice in fork.choices)
            need = need if self.context.unified else 0  # else each sequence has cells of its own
            if group and (slots + len(fork.choices) > self.n_slots or cells + need > self.context.n_ctx):
                yield group
                group, slots, cells = [], 0, prefix
            if len(fork.choices) > self.n_slots or cells + need > self.context.n_ctx:
                raise LlamaError(
                    f"a question of {len(fork.choices)} choices needs as many sequences and {cells + need} KV cells; "
                    f"there are {self.n_slots} and {self.context.n_ctx}"
                )
            group.append(fork)
            slots += len(fork.choices)
            cells += need
        if group:
            yield group

    def _group(self, group: Sequence[Fork], prefix: int) -> list[tuple[float, ...]]:
        """Stems in one go, then all choices in another."""
        stems: list[_Scored] = []
        tails: list[_Scored] = []
        slots_of: list[range] = []
        for fork in group:
            slots = range(1 + len(tails), 1 + len(tails) + len(fork.choices))
            slots_of.append(slots)
            stems.append(_unscored(Run(slots[0], prefix, fork.choices[0][prefix : fork.stem], fork.stem - prefix)))
            tails += [_tail(slot, choice, fork) for slot, choice in zip(slots, fork.choices, strict=True)]
        self._open(slots_of, prefix)
        self._scores(stems)
        for slots in slots_of:
            for slot in slots[1:]:
                self.context.fork(slots[0], slot)
        scores = self._scores(tails)
        for slot in range(1, 1 + len(tails)):
            self.context.drop(slot)
        return [tuple(scores[slots.start - 1 : slots.stop - 1]) for slots in slots_of]

    def _open(self, slots_of: Sequence[range], prefix: int) -> None:
        if prefix:
            for slots in slots_of:
                self.context.fork(ROOT, slots[0])

    def _scores(self, parts: Sequence[_Scored]) -> list[float]:
        """Sum of the log-probabilities of each run's targets, in float64."""
        targets = np.concatenate([part.targets for part in parts])  # in the order of the rows
        sums = np.zeros(len(parts))
        done = 0
        with self.meter.prompt() as count:
            for rows in self.context.decode([part.run for part in parts]):
                count(rows.n_tokens)
                wanted = targets[done : done + len(rows.logits)]
                np.add.at(sums, rows.owners, token_logprobs(rows.logits, wanted))
                done += len(rows.logits)
        return [float(value) for value in sums]


def _unscored(run: Run) -> _Scored:
    return _Scored(run, np.empty(0, np.int64))


def _whole(choice: Sequence[int], fork: Fork) -> _Scored:
    """A choice with its context, for whatever sequence is free; its last token need not be decoded."""
    run = Run(ROOT, 0, choice[:-1], fork.scored_from - 1)
    return _Scored(run, np.asarray(choice[fork.scored_from :], np.int64))


def _tail(slot: int, choice: Sequence[int], fork: Fork) -> _Scored:
    """A choice from its stem on; its last token need not be decoded."""
    run = Run(slot, fork.stem, choice[fork.stem : -1], fork.scored_from - 1 - fork.stem)
    return _Scored(run, np.asarray(choice[fork.scored_from :], np.int64))
