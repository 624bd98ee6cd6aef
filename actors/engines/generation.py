"""Generating a block's answers: many sequences in one decode, a finished one replaced at once.

The common beginning of all prompts (the few-shot examples) is there already (`prefix`), and each item's own part is
decoded once for all its seeds; sequences are forked from them. The order of work is fixed: items as they come, seeds
within an item, the lowest free slot first. Nothing here looks at a clock, so the same block gives the same answers.

Room in the KV cache is reserved before a sequence starts, for its longest possible answer: the cache cannot run
out in the middle, a short one only lets fewer sequences run at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from actors.engines import FinishReason
from actors.engines.meter import Meter
from actors.engines.prefix import ROOT, KeptPrefix, shared_length
from actors.engines.sampling import draw_tokens, generator_for
from actors.engines.stops import StopWatch
from actors.errors import LlamaError
from actors.llama.batch import Run
from actors.llama.context import Context
from conf.schema import Sampling


@dataclass(frozen=True)
class Ask:
    """One item, ready to be decoded."""

    item_id: str
    tokens: Sequence[int]
    stop: tuple[str, ...]
    max_tokens: int


@dataclass(frozen=True)
class Generated:
    """What one sequence gave."""

    text: str
    n_tokens: int
    finish_reason: FinishReason


@dataclass(frozen=True)
class Vocabulary:
    """What generating needs to know of tokens."""

    piece: Callable[[int], bytes]
    is_end: Callable[[int], bool]


@dataclass
class _Running:
    """A sequence at work in its slot."""

    ask_index: int
    seed_index: int
    generator: np.random.Generator
    watch: StopWatch
    position: int
    """Of the next token to decode."""
    token: int = -1
    """Drawn, not decoded yet."""
    n_tokens: int = 0


@dataclass
class _Waiting:
    """An item whose prompt is decoded while some of its seeds still wait for a slot."""

    prompt: int
    logits: NDArray[np.float32]  # [n_vocab], after the prompt's last token


@dataclass
class Generation:
    """One block's generation; `run` is called once.

    Slots are the sequences 1 to `n_slots`; the one after them holds an item that waits.
    """

    context: Context
    kept: KeptPrefix
    vocabulary: Vocabulary
    sampling: Sampling
    n_slots: int
    asks: Sequence[Ask]
    seeds: Sequence[int]
    meter: Meter
    _running: dict[int, _Running] = field(default_factory=dict)
    """By slot."""
    _waiting: _Waiting | None = None
    _prefix: int = 0
    _results: dict[tuple[int, int], Generated] = field(default_factory=dict)

    def run(self) -> list[Generated]:
        """Answers in the order of the asks, seeds within an ask. Raises `LlamaError`."""
        pending = deque((ask, seed) for ask in range(len(self.asks)) for seed in range(len(self.seeds)))
        self._prefix = shared_length([ask.tokens for ask in self.asks]) if self.context.shares else 0
        self._check_room()
        self.kept.open(self.asks[0].tokens[: self._prefix] if self._prefix else ())
        while pending or self._running:
            self._start(pending)
            self._step()
        return [self._results[key] for key in sorted(self._results)]

    def _start(self, pending: deque[tuple[int, int]]) -> None:
        """Give free slots to what is next; decode the prompts that are new; draw each one's first token."""
        starters = self._admit(pending)
        if not starters:
            return
        first_slot: dict[int, int] = {}
        for slot, pair in starters.items():
            if self._waiting is None or self._waiting.prompt != self._prompt(pair):
                first_slot.setdefault(self._prompt(pair), slot)
        logits = self._decode_own(first_slot, starters)
        if self._waiting is not None:
            logits[self._waiting.prompt] = self._waiting.logits
        for slot, pair in starters.items():
            source = first_slot.get(self._prompt(pair), self._holder)
            if slot != source:
                self.context.fork(source, slot)
            self._running[slot] = self._new(*pair)
        self._hold(pending, first_slot, logits)
        self._advance(list(starters), np.stack([logits[self._prompt(pair)] for pair in starters.values()]))

    @property
    def _holder(self) -> int:
        return self.n_slots + 1

    def _prompt(self, pair: tuple[int, int]) -> int:
        """A number for what is decoded once: an ask, or each (ask, seed) where nothing can be forked."""
        ask_index, seed_index = pair
        return ask_index if self.context.shares else ask_index * len(self.seeds) + seed_index

    def _admit(self, pending: deque[tuple[int, int]]) -> dict[int, tuple[int, int]]:
        """As many of the next (ask, seed) pairs as there are slots and cells for, by slot."""
        free = [slot for slot in range(1, self.n_slots + 1) if slot not in self._running]
        if not self.context.unified:  # each slot has its own cells, and `_check_room` has seen that they are enough
            return {slot: pending.popleft() for slot in free[: len(pending)]}
        starters: dict[int, tuple[int, int]] = {}
        live = {running.ask_index for running in self._running.values()}
        if self._waiting is not None:
            live.add(self._waiting.prompt)
        cells = self._prefix + sum(self._own_cells(ask_index) for ask_index in live)
        cells += sum(self.asks[running.ask_index].max_tokens for running in self._running.values())
        while pending and free:
            ask_index, _ = pending[0]
            cells += self.asks[ask_index].max_tokens
            if ask_index not in live:
                cells += self._own_cells(ask_index)
                live.add(ask_index)
            if cells > self.context.n_ctx:
                break
            starters[free.pop(0)] = pending.popleft()
        return starters

    def _check_room(self) -> None:
        """Every ask must fit alone: then work never stands still, as the item that waits is the next to start."""
        own = max((self._own_cells(ask_index) for ask_index in range(len(self.asks))), default=0)
        need = self._prefix + own + max((ask.max_tokens for ask in self.asks), default=0)
        room = self.context.cells_a_sequence
        if need > room:
            raise LlamaError(f"a KV cache of {room} cells is too small: one sequence needs {need}")

    def _own_cells(self, ask_index: int) -> int:
        return len(self.asks[ask_index].tokens) - self._prefix

    def _new(self, ask_index: int, seed_index: int) -> _Running:
        ask = self.asks[ask_index]
        generator = generator_for(self.seeds[seed_index], ask.item_id)
        return _Running(ask_index, seed_index, generator, StopWatch(ask.stop), len(ask.tokens))

    def _decode_own(
        self, first_slot: dict[int, int], starters: dict[int, tuple[int, int]]
    ) -> dict[int, NDArray[np.float32]]:
        """Decode new prompts from the common beginning on; the logits after each one's last token."""
        runs = []
        for slot in first_slot.values():
            if self._prefix:
                self.context.fork(ROOT, slot)
            ask_index, _ = starters[slot]
            own = self.asks[ask_index].tokens[self._prefix :]
            runs.append(Run(slot, self._prefix, own, len(own) - 1))
        prompts = list(first_slot)
        return {prompts[owner]: row for owner, row in self._decode_prompts(runs)}

    def _decode_prompts(self, runs: Sequence[Run]) -> list[tuple[int, NDArray[np.float32]]]:
        """Rows by the index of their run: copies, as they outlive the call that made them."""
        found = []
        with self.meter.prompt() as count:
            for rows in self.context.decode(runs):
                count(rows.n_tokens)
                found += [(int(owner), row.copy()) for owner, row in zip(rows.owners, rows.logits, strict=True)]
        return found

    def _hold(
        self, pending: deque[tuple[int, int]], first_slot: dict[int, int], logits: dict[int, NDArray[np.float32]]
    ) -> None:
        """Keep the prompt of the item whose seeds are not all started; let go of the one kept before."""
        ask_index = pending[0][0] if self.context.shares and pending and pending[0][1] > 0 else None
        if self._waiting is not None and self._waiting.prompt != ask_index:
            self.context.drop(self._holder)
            self._waiting = None
        if ask_index is not None and self._waiting is None:
            self.context.fork(first_slot[ask_index], self._holder)
            self._waiting = _Waiting(ask_index, logits[ask_index])

    def _step(self) -> None:
        """One token for every running sequence."""
        if not self.context.unified:
            self._close_gaps()
        slots = sorted(self._running)
        runs = [Run(slot, self._running[slot].position, (self._running[slot].token,), 0) for slot in slots]
        for slot in slots:
            self._running[slot].position += 1
        with self.meter.completion() as count:
            done = 0
            for rows in self.context.decode(runs):
                self._advance(slots[done : done + len(rows.logits)], rows.logits)
                done += len(rows.logits)
            count(done)

    def _close_gaps(self) -> None:
        """Move the highest slots into those that nothing is left for.

        Where each sequence has cells of its own, llama.cpp computes neighbours together (`split_equal` of its batches
        wants sequences in a row): every gap would cost another pass over all weights.
        """
        for slot in range(1, len(self._running) + 1):
            if slot not in self._running:
                highest = max(self._running)
                self.context.fork(highest, slot)
                self.context.drop(highest)
                self._running[slot] = self._running.pop(highest)

    def _advance(self, slots: Sequence[int], logits: NDArray[np.float32]) -> None:
        """Draw the next token of each slot; finish those that are done."""
        generators = [self._running[slot].generator for slot in slots]
        for slot, token in zip(slots, draw_tokens(logits, generators, self.sampling), strict=True):
            running = self._running[slot]
            reason = self._take(running, token)
            if reason is not None:
                key = (running.ask_index, running.seed_index)
                self._results[key] = Generated(running.watch.text, running.n_tokens, reason)
                del self._running[slot]
                self.context.drop(slot)

    def _take(self, running: _Running, token: int) -> FinishReason | None:
        """Add a token to its sequence; why it ends, if it does."""
        if self.vocabulary.is_end(token):
            return "eog"
        running.token = token
        running.n_tokens += 1
        if running.watch.add(self.vocabulary.piece(token)):
            return "stop"
        return "length" if running.n_tokens >= self.asks[running.ask_index].max_tokens else None
