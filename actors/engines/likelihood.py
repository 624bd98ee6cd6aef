"""Compute the log-likelihoods of a question's choices.

The context of a question is decoded once and forked for its choices. Questions are decoded in groups, as many as the
sequences and KV cells allow. If the model's memory cannot be forked, each choice is decoded with its whole context.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from actors.engines.logprobs import token_logprobs
from actors.engines.meter import Meter
from actors.engines.prefix import ROOT, PrefixCache, shared_length
from actors.errors import LlamaError
from actors.llama.batch import Run
from actors.llama.context import Context


@dataclass(frozen=True)
class ChoiceRequest:
    """One question: the tokens of its choices, and where the scored part of each choice begins."""

    choices: Sequence[Sequence[int]]
    """Per choice: the tokens of context and continuation, tokenized together."""
    scored_from: int
    """Number of tokens of the context when tokenized alone, as in lm-evaluation-harness (`_encode_pair`)."""

    @property
    def stem(self) -> int:
        """Number of leading tokens that are decoded once for all choices.

        The context's last token is never included, because its logits score the first token of each choice.
        """
        return min(shared_length(self.choices), self.scored_from - 1)


@dataclass(frozen=True)
class _Scored:
    """A run, and the tokens whose log-probabilities its logits give."""

    run: Run
    targets: NDArray[np.int64]  # [len(run.tokens) - run.first_output]


@dataclass(frozen=True)
class Likelihoods:
    """Scores the choices of questions in one context."""

    context: Context
    prefix_cache: PrefixCache
    n_slots: int
    meter: Meter

    def choices(self, requests: Sequence[ChoiceRequest]) -> list[tuple[float, ...]]:
        """Return the log-likelihoods of each question's choices, in nats. Raise `LlamaError` if decoding fails."""
        self._check_room(requests)
        if not self.context.shares_prefixes:
            return self._choices_without_sharing(requests)
        # The prefix must not be longer than any stem: choices of one question may differ early.
        prefix = min(
            shared_length([choice for request in requests for choice in request.choices]),
            min((request.stem for request in requests), default=0),
        )
        self.prefix_cache.prepare(requests[0].choices[0][:prefix] if requests else ())
        results: list[tuple[float, ...]] = []
        for group in self._request_groups(requests, prefix):
            results += self._score_group(group, prefix)
        return results

    def _check_room(self, requests: Sequence[ChoiceRequest]) -> None:
        room = self.context.cells_per_sequence
        need = max((len(choice) - 1 for request in requests for choice in request.choices), default=0)
        if need > room:
            raise LlamaError(f"a KV cache of {room} cells per sequence is too small: one choice needs {need}")

    def _choices_without_sharing(self, requests: Sequence[ChoiceRequest]) -> list[tuple[float, ...]]:
        """Score the choices, each decoded from its first token in its own sequence."""
        self.prefix_cache.prepare(())
        tails = [_whole_choice(choice, request) for request in requests for choice in request.choices]
        scores: list[float] = []
        for start in range(0, len(tails), self.n_slots):
            part = [
                replace(tail, run=replace(tail.run, sequence=slot))
                for slot, tail in enumerate(tails[start : start + self.n_slots], start=1)
            ]
            scores += self._score(part)
            self.context.clear()
        remaining = iter(scores)
        return [tuple(itertools.islice(remaining, len(request.choices))) for request in requests]

    def _request_groups(self, requests: Sequence[ChoiceRequest], prefix: int) -> Iterator[list[ChoiceRequest]]:
        group: list[ChoiceRequest] = []
        slots, cells = 0, prefix
        for request in requests:
            need = request.stem - prefix + sum(len(choice) - 1 - request.stem for choice in request.choices)
            need = need if self.context.unified else 0  # otherwise each sequence has its own cells
            if group and (slots + len(request.choices) > self.n_slots or cells + need > self.context.n_ctx):
                yield group
                group, slots, cells = [], 0, prefix
            if len(request.choices) > self.n_slots or cells + need > self.context.n_ctx:
                raise LlamaError(
                    f"a question of {len(request.choices)} choices needs as many sequences and {cells + need} "
                    f"KV cells; there are {self.n_slots} and {self.context.n_ctx}"
                )
            group.append(request)
            slots += len(request.choices)
            cells += need
        if group:
            yield group

    def _score_group(self, group: Sequence[ChoiceRequest], prefix: int) -> list[tuple[float, ...]]:
        """Score a group of questions: decode all stems together, then all choices together."""
        stems: list[_Scored] = []
        tails: list[_Scored] = []
        slots_of: list[range] = []
        for request in group:
            slots = range(1 + len(tails), 1 + len(tails) + len(request.choices))
            slots_of.append(slots)
            stems.append(_stem(slots[0], prefix, request))
            tails += [_choice_tail(slot, choice, request) for slot, choice in zip(slots, request.choices, strict=True)]
        self._fork_prefix(slots_of, prefix)
        self._score(stems)
        for slots in slots_of:
            for slot in slots[1:]:
                self.context.fork(slots[0], slot)
        scores = self._score(tails)
        for slot in range(1, 1 + len(tails)):
            self.context.drop(slot)
        return [tuple(scores[slots.start - 1 : slots.stop - 1]) for slots in slots_of]

    def _fork_prefix(self, slots_of: Sequence[range], prefix: int) -> None:
        if prefix:
            for slots in slots_of:
                self.context.fork(ROOT, slots[0])

    def _score(self, parts: Sequence[_Scored]) -> list[float]:
        """Decode the runs. Return the sum of the log-probabilities of each run's targets, computed in float64."""
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


def _stem(slot: int, prefix: int, request: ChoiceRequest) -> _Scored:
    """Return the run that decodes a request's stem after the shared prefix. It asks for no logits."""
    tokens = request.choices[0][prefix : request.stem]
    return _Scored(Run(slot, prefix, tokens, len(tokens)), np.empty(0, np.int64))


def _whole_choice(choice: Sequence[int], request: ChoiceRequest) -> _Scored:
    """Return the run for a choice with its context, without the last token. The caller sets the sequence."""
    run = Run(ROOT, 0, choice[:-1], request.scored_from - 1)
    return _Scored(run, np.asarray(choice[request.scored_from :], np.int64))


def _choice_tail(slot: int, choice: Sequence[int], request: ChoiceRequest) -> _Scored:
    """Return the run for a choice after the stem, without the last token."""
    run = Run(slot, request.stem, choice[request.stem : -1], request.scored_from - 1 - request.stem)
    return _Scored(run, np.asarray(choice[request.scored_from :], np.int64))
