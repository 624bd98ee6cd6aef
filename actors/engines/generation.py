"""Generate the answers of a block, or of one turn of it, with continuous batching.

Many sequences are decoded together. When one finishes, the next takes its slot at once. The common prefix of all
prompts (the few-shot examples) is already decoded (see `prefix`). The rest of an item's prompt is decoded once for all
its seeds, and their sequences are forked from it.

The order of work is fixed: requests in their order, then seeds within a request, and always the lowest free slot.
Nothing depends on time, so the same block gives the same answers.

A sequence starts only if the KV cache has room for its longest possible answer. So the cache cannot run full during
decoding. In a smaller cache fewer sequences run at the same time.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from actors.engines import FinishReason
from actors.engines.answer_reader import AnswerReader, ThoughtRules
from actors.engines.meter import Meter
from actors.engines.noise import sequence_key, step_keys
from actors.engines.prefix import ROOT, PrefixCache, shared_length
from actors.engines.sampling import candidates_needed, draw_tokens
from actors.errors import LlamaError
from actors.llama.batch import Run
from actors.llama.candidates import Candidates, joined
from actors.llama.context import Context
from actors.llama.grammar import Grammar
from actors.thinking import Said
from conf.schema import Sampling


@dataclass(frozen=True)
class GenerationRequest:
    """The prompt of one item as tokens, and its limits."""

    item_id: str
    tokens: Sequence[int]
    stop: tuple[str, ...]
    max_tokens: int
    seeds: tuple[int, ...]
    """One answer is generated for each."""
    turn: int = 0
    """Number of the answer within its conversation, from 0. Each turn has noise of its own."""
    thoughts: ThoughtRules | None = None
    """None: thoughts are not told from the answer."""

    @property
    def most_tokens(self) -> int:
        """The longest answer with its thoughts."""
        return self.max_tokens + (self.thoughts.max_tokens if self.thoughts else 0)

    def reader(self) -> AnswerReader:
        """Return a reader for one answer."""
        return AnswerReader(self.stop, self.max_tokens, self.thoughts)


@dataclass(frozen=True)
class Generated:
    """The answer of one sequence."""

    said: Said
    n_tokens: int
    thought_tokens: int
    """How many of them belong to the thoughts."""
    finish_reason: FinishReason


@dataclass(frozen=True)
class Vocabulary:
    """The facts about tokens that generation needs."""

    piece: Callable[[int], bytes]
    """Return the bytes of a token. A control token has none, unless it is a mark of thoughts."""
    is_end: Callable[[int], bool]
    """Return True for an end-of-generation token."""


@dataclass
class _RunningSequence:
    """A sequence that is being decoded in a slot."""

    request_index: int
    seed_index: int
    noise: int
    """See `noise.sequence_key`."""
    reader: AnswerReader
    position: int
    """Position of the next token to decode."""
    grammar: Grammar | None
    """What the answer must follow."""
    token: int = -1
    """The latest sampled token. It is not decoded yet."""

    @property
    def n_tokens(self) -> int:
        """Number of sampled tokens."""
        return self.reader.n_tokens


@dataclass
class _HeldPrompt:
    """A decoded prompt that is kept because some seeds of its item still wait for a slot."""

    prompt: int
    """See `Generation._prompt_number`."""
    candidates: Candidates  # one row, after the prompt's last token


@dataclass
class Generation:
    """The generation of one block, or of one turn of it. Call `run` once.

    The slots are the sequences 1 to `n_slots`. Sequence `n_slots` + 1 keeps the held prompt.
    """

    context: Context
    prefix_cache: PrefixCache
    vocabulary: Vocabulary
    sampling: Sampling
    n_slots: int
    requests: Sequence[GenerationRequest]
    meter: Meter
    begin_grammar: Callable[[], Grammar] | None = None
    """Returns the grammar of a new answer. None: answers are free."""
    _running: dict[int, _RunningSequence] = field(default_factory=dict)
    """One entry per occupied slot."""
    _held: _HeldPrompt | None = None
    _n_prefix: int = 0
    """Number of tokens in the common prefix."""
    _results: dict[tuple[int, int], Generated] = field(default_factory=dict)

    def run(self) -> list[Generated]:
        """Return the answers in the order of the requests, then of the seeds. Raise `LlamaError` if decoding fails."""
        pending = deque(
            (index, seed) for index, request in enumerate(self.requests) for seed in range(len(request.seeds))
        )
        self._n_prefix = shared_length([one.tokens for one in self.requests]) if self.context.shares_prefixes else 0
        self._check_room()
        self.prefix_cache.prepare(self.requests[0].tokens[: self._n_prefix] if self._n_prefix else ())
        # A grammar may refuse the highest logits, so it needs all of them.
        may_select = self.context.on_device and self.begin_grammar is None
        n_needed = candidates_needed(self.sampling) if may_select else None
        with self.context.only_highest(n_needed) if n_needed else contextlib.nullcontext():
            while pending or self._running:
                self._start(pending)
                self._decode_step()
        return [self._results[key] for key in sorted(self._results)]

    def _start(self, pending: deque[tuple[int, int]]) -> None:
        """Put the next sequences into free slots, decode their prompts, and sample their first tokens."""
        starters = self._fill_free_slots(pending)
        if not starters:
            return
        first_slot: dict[int, int] = {}
        for slot, pair in starters.items():
            if self._held is None or self._held.prompt != self._prompt_number(pair):
                first_slot.setdefault(self._prompt_number(pair), slot)
        candidates = self._decode_new_prompts(first_slot, starters)
        if self._held is not None:
            candidates[self._held.prompt] = self._held.candidates
        for slot, pair in starters.items():
            source = first_slot.get(self._prompt_number(pair), self._held_slot)
            if slot != source:
                self.context.fork(source, slot)
            self._running[slot] = self._new_sequence(*pair)
        self._update_held_prompt(pending, first_slot, candidates)
        self._advance(list(starters), joined([candidates[self._prompt_number(pair)] for pair in starters.values()]))

    @property
    def _held_slot(self) -> int:
        return self.n_slots + 1

    def _prompt_number(self, pair: tuple[int, int]) -> int:
        """Return the number of the prompt to decode: one per request, or one per request and seed without forks."""
        request_index, seed_index = pair
        most_seeds = max(len(request.seeds) for request in self.requests)
        return request_index if self.context.shares_prefixes else request_index * most_seeds + seed_index

    def _fill_free_slots(self, pending: deque[tuple[int, int]]) -> dict[int, tuple[int, int]]:
        """Take (request, seed) pairs from `pending` while there are free slots and cells. Return one entry per slot."""
        free = [slot for slot in range(1, self.n_slots + 1) if slot not in self._running]
        if not pending or not free:
            return {}
        if not self.context.unified:  # each slot has its own cells; `_check_room` checked them
            return {slot: pending.popleft() for slot in free[: len(pending)]}
        starters: dict[int, tuple[int, int]] = {}
        live = {running.request_index for running in self._running.values()}
        if self._held is not None:
            live.add(self._held.prompt)
        cells = self._n_prefix + sum(self._cells_after_prefix(request_index) for request_index in live)
        cells += sum(self.requests[running.request_index].most_tokens for running in self._running.values())
        while pending and free:
            request_index, _ = pending[0]
            cells += self.requests[request_index].most_tokens
            if request_index not in live:
                cells += self._cells_after_prefix(request_index)
                live.add(request_index)
            if cells > self.context.n_ctx:
                break
            starters[free.pop(0)] = pending.popleft()
        return starters

    def _check_room(self) -> None:
        """Check that each request fits alone. Then decoding never stalls: the held prompt's item always starts next."""
        own = max((self._cells_after_prefix(request_index) for request_index in range(len(self.requests))), default=0)
        need = self._n_prefix + own + max((request.most_tokens for request in self.requests), default=0)
        room = self.context.cells_per_sequence
        if need > room:
            raise LlamaError(f"a KV cache of {room} cells is too small: one sequence needs {need}")

    def _cells_after_prefix(self, request_index: int) -> int:
        return len(self.requests[request_index].tokens) - self._n_prefix

    def _new_sequence(self, request_index: int, seed_index: int) -> _RunningSequence:
        request = self.requests[request_index]
        noise = sequence_key(request.seeds[seed_index], request.item_id, request.turn)
        grammar = self.begin_grammar() if self.begin_grammar else None
        return _RunningSequence(request_index, seed_index, noise, request.reader(), len(request.tokens), grammar)

    def _decode_new_prompts(
        self, first_slot: dict[int, int], starters: dict[int, tuple[int, int]]
    ) -> dict[int, Candidates]:
        """Decode new prompts after the common prefix. Return the logits after each prompt's last token, by prompt."""
        runs = []
        for slot in first_slot.values():
            if self._n_prefix:
                self.context.fork(ROOT, slot)
            request_index, _ = starters[slot]
            own = self.requests[request_index].tokens[self._n_prefix :]
            runs.append(Run(slot, self._n_prefix, own, len(own) - 1))
        prompts = list(first_slot)
        return {prompts[owner]: row for owner, row in self._last_logits(runs)}

    def _last_logits(self, runs: Sequence[Run]) -> list[tuple[int, Candidates]]:
        """Decode prompts. Return pairs of run index and logits. The logits are copies, so they stay valid."""
        found = []
        with self.meter.prompt() as count:
            for rows in self.context.decode(runs):
                count(rows.n_tokens)
                found += [(int(owner), rows.candidates.row(number)) for number, owner in enumerate(rows.owners)]
        return found

    def _update_held_prompt(
        self, pending: deque[tuple[int, int]], first_slot: dict[int, int], candidates: dict[int, Candidates]
    ) -> None:
        """Keep the prompt of the item whose seeds are not all started. Drop the one that was kept before."""
        request_index = pending[0][0] if self.context.shares_prefixes and pending and pending[0][1] > 0 else None
        if self._held is not None and self._held.prompt != request_index:
            self.context.drop(self._held_slot)
            self._held = None
        if request_index is not None and self._held is None:
            self.context.fork(first_slot[request_index], self._held_slot)
            self._held = _HeldPrompt(request_index, candidates[request_index])

    def _decode_step(self) -> None:
        """Decode one token of every running sequence, and sample the next."""
        if not self.context.unified:
            self._close_gaps()
        slots = sorted(self._running)
        runs = [Run(slot, self._running[slot].position, (self._running[slot].token,), 0) for slot in slots]
        for slot in slots:
            self._running[slot].position += 1
        with self.meter.completion() as count:
            done = 0
            for rows in self.context.decode(runs):
                self._advance(slots[done : done + len(rows.candidates)], rows.candidates)
                done += len(rows.candidates)
            count(done)

    def _close_gaps(self) -> None:
        """Move sequences from the highest slots into free lower slots.

        If each sequence has its own cells, llama.cpp computes only consecutive sequences together (`split_equal` in its
        batch code). Every gap would cost another pass over all weights.
        """
        for slot in range(1, len(self._running) + 1):
            if slot not in self._running:
                highest = max(self._running)
                self.context.fork(highest, slot)
                self.context.drop(highest)
                self._running[slot] = self._running.pop(highest)

    def _advance(self, slots: Sequence[int], candidates: Candidates) -> None:
        """Sample the next token of each slot. Store the answers of sequences that are finished."""
        sequences = [self._running[slot] for slot in slots]
        keys = step_keys([one.noise for one in sequences], [one.n_tokens for one in sequences])
        drawn = draw_tokens(candidates, keys, self.sampling)
        for place, (slot, running) in enumerate(zip(slots, sequences, strict=True)):
            token = drawn[place]
            if running.grammar is not None and not running.grammar.allows(token):
                allowed = running.grammar.only_allowed(candidates.logits[place])
                (token,) = draw_tokens(Candidates(allowed[np.newaxis]), keys[place : place + 1], self.sampling)
            reason = self._add_token(running, token)
            if reason is not None:
                key = (running.request_index, running.seed_index)
                reader = running.reader
                self._results[key] = Generated(reader.said(), reader.n_tokens, reader.thought_tokens, reason)
                del self._running[slot]
                self.context.drop(slot)

    def _add_token(self, running: _RunningSequence, token: int) -> FinishReason | None:
        """Add a token to its sequence. Return the reason if the sequence ends, otherwise None."""
        if self.vocabulary.is_end(token):
            return "eog"
        running.token = token
        if running.grammar is not None:
            running.grammar.accept(token)
        return running.reader.add(self.vocabulary.piece(token))
