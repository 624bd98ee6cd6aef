"""The KV cache that the blocks of a benchmark get: how many sequences, how many cells, in one run or by sequence.

Decided in the plan and part of the records' key, so that it never depends on the worker that decodes. The engine keeps
within whatever it is given; this file says how much lets it run at full width, and starts fewer sequences where memory
is short. Token counts are upper bounds: a prompt split in two never has fewer tokens than the whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from actors.chat import Prompt, TemplateFailed, render_prompt
from actors.engines.prefix import BESIDE_SLOTS
from actors.llama.model import Model
from actors.orders import Choose, Generate, Measure, Task

CELL_STEP = 256  # llama.cpp pads its KV cache to multiples of this
CELL_COST_BY_SEQUENCE = 3.5
"""Looking at a cell of one's own against looking at one of the unified cache, where one matrix product serves all
sequences: measured with SmolLM2-135M on a CPU (by sequence 1.5 times as fast without a prefix, 1.08 with 5 shots)."""
_SEAM = 8  # tokens by which a cut at a text position may differ from a cut at a token's border


@dataclass(frozen=True)
class Cache:
    """A KV cache as the layout names it."""

    sequences: int
    n_ctx: int
    """Cells in all: a multiple of 256."""
    unified: bool


@dataclass(frozen=True)
class Need:
    """Upper bounds, in tokens, for any sequence of a benchmark."""

    prefix: int
    """What all prompts begin with."""
    own: int
    """The rest of a prompt; for choices that of a question with all of its choices."""
    answer: int
    """Tokens that are generated; 0 where none are."""
    at_once: int
    """Sequences that must run side by side: the choices of one question; else 1."""

    def unified_cells(self, sequences: int) -> int:
        """For each group that runs at once an own part, one more that waits for its seeds; the prefix once."""
        waiting = 1 if self.answer else 0
        own = (sequences // self.at_once + waiting) * self.own
        return _rounded(self.prefix + own + sequences * self.answer)

    def cells_by_sequence(self, sequences: int) -> int:
        return (sequences + BESIDE_SLOTS) * _rounded(self.prefix + self.own + self.answer)

    def prefers_own_cells(self, sequences: int) -> bool:
        """Whether decoding is faster by sequence: a unified cache has each token look past all others' cells.

        Counted halfway through the answers, four seeds to an item.
        """
        if not self.answer:
            return False
        alone = self.prefix + self.own + self.answer / 2
        together = self.prefix + sequences * (self.own / 4 + self.answer / 2)
        return CELL_COST_BY_SEQUENCE * alone < together


def choose_cache(need: Need, sequences: int, *, share: bool, most_cells: int | None) -> Cache | None:
    """The cache for at most `sequences` sequences; None where not even the fewest fit into `most_cells`.

    Args:
        need: of the benchmark.
        sequences: side by side at most; fewer where memory is short.
        share: False where sequences cannot be forked: each then has cells of its own.
        most_cells: that there is memory for; None: any number.
    """
    for count in range(sequences, need.at_once - 1, -1):
        unified = Cache(count, need.unified_cells(count), unified=True)
        by_sequence = Cache(count, need.cells_by_sequence(count), unified=False)
        for cache in _in_order(unified, by_sequence, share=share, own_first=need.prefers_own_cells(count)):
            if most_cells is None or cache.n_ctx <= most_cells:
                return cache
    return None


def _in_order(unified: Cache, by_sequence: Cache, *, share: bool, own_first: bool) -> tuple[Cache, ...]:
    if not share:
        return (by_sequence,)
    return (by_sequence, unified) if own_first else (unified,)


def need_of(tasks: Sequence[Task], max_tokens: int, model: Model, chat_template: str | None = None) -> Need:
    """What the items of a benchmark need, which are all of one kind; calls of a function need nothing of ours."""
    asked = [task for task in tasks if isinstance(task, Generate)]
    if asked:
        prefix, own = _lengths([_rendered(task, model, chat_template) for task in asked], model)
        return Need(prefix, max(own), max(min(task.max_tokens, max_tokens) for task in asked), at_once=1)
    choices = [task for task in tasks if isinstance(task, Choose)]
    if choices:
        return _need_of_choices(choices, model, chat_template)
    chunk = max((len(task.tokens) for task in tasks if isinstance(task, Measure)), default=0)
    return Need(chunk, 0, 0, at_once=1)


def _need_of_choices(asked: Sequence[Choose], model: Model, chat_template: str | None) -> Need:
    prefix, own = _lengths([_rendered(task, model, chat_template) for task in asked], model)
    cells = [
        own_tokens + sum(len(_tokens(choice, model)) + _SEAM for choice in task.choices)
        for own_tokens, task in zip(own, asked, strict=True)
    ]
    return Need(prefix, max(cells), 0, max(len(task.choices) for task in asked))


def _rendered(task: Generate | Choose, model: Model, chat_template: str | None) -> Prompt:
    try:
        return render_prompt(task.messages, chat=task.chat, model=model, template_instead=chat_template)
    except TemplateFailed:
        return Prompt("", add_special=False, parse_special=False)  # it will be refused: no cells


def _lengths(prompts: Sequence[Prompt], model: Model) -> tuple[int, list[int]]:
    """Tokens of the common beginning of all prompts, and of the rest of each."""
    texts = [prompt.text for prompt in prompts if prompt.text]
    common = os.path.commonprefix(texts) if len(texts) > 1 else ""  # noqa: RUF071 - of characters, as wanted
    rest = [len(_tokens(prompt.text[len(common) :], model)) + _SEAM if prompt.text else 0 for prompt in prompts]
    return len(_tokens(common, model)) + _SEAM, rest


def _tokens(text: str, model: Model) -> list[int]:
    return model.tokenize(text, add_special=False, parse_special=True)


def _rounded(cells: int) -> int:
    return max(CELL_STEP, -(-cells // CELL_STEP) * CELL_STEP)
