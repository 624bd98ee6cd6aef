"""The KV cache for a benchmark's blocks: how many sequences, how many cells, one unified cache or one per sequence.

The plan decides it, and it is part of the records' key, so it never depends on the worker that decodes. An engine works
with any cache it is given. This file computes how many cells let it run at full width, and takes fewer sequences if
memory is short. Token counts are upper bounds: a prompt split in two never has fewer tokens than the whole prompt.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from actors.chat import Prompt, render_prompt
from actors.engines.prefix import EXTRA_SEQUENCES
from actors.engines.turns import whole_conversation
from actors.evaluation.contract import BenchmarkData
from actors.items import Choose, Generate, Measure, Task, TemplateUse
from actors.llama.model import Model
from actors.rendering import TemplateFailed
from actors.thinking import thinking_room
from conf.schema.answers import Sampling

CELL_STEP = 256  # llama.cpp pads its KV cache to multiples of this
OWN_CELL_COST = 3.5
"""Cost of attending to one cell of a sequence's own cache, relative to one cell of a unified cache, where a single
matrix product serves all sequences. Measured with SmolLM2-135M on a CPU, where own caches were 1.5 times as fast
without a prefix and 1.08 times as fast with 5 shots."""
_SEAM = 8  # tokens by which a cut at a text position may differ from a cut at a token boundary


@dataclass(frozen=True)
class Cache:
    """A KV cache, as the engine's layout describes it."""

    sequences: int
    n_ctx: int
    """Number of cells in total: a multiple of 256."""
    unified: bool


@dataclass(frozen=True)
class CacheNeed:
    """Upper bounds, in tokens, that hold for every sequence of a benchmark."""

    prefix: int
    """The common beginning of all prompts."""
    own: int
    """The rest of a prompt. For choices: the rest of a question with all of its choices. For several turns: the rest
    of the last turn's prompt, with the answers in it."""
    answer: int
    """Tokens to generate in one turn, with the thoughts; 0 if nothing is generated."""
    at_once: int
    """Number of sequences that must be decoded side by side: the choices of one question, else 1."""

    def or_more(self, other: CacheNeed) -> CacheNeed:
        """Return a need that covers this one and another one."""
        whole = max(self.prefix + self.own, other.prefix + other.own)
        prefix = min(self.prefix, other.prefix)
        at_once = max(self.at_once, other.at_once)
        return CacheNeed(prefix, whole - prefix, max(self.answer, other.answer), at_once)

    def unified_cells(self, sequences: int) -> int:
        """Return the cells for a unified cache: the prefix once, and an own part for each group that runs at once.

        If answers are generated, one more group has an own part and waits for its seeds.
        """
        waiting = 1 if self.answer else 0
        own = (sequences // self.at_once + waiting) * self.own
        return _rounded(self.prefix + own + sequences * self.answer)

    def cells_by_sequence(self, sequences: int) -> int:
        """Return the cells if each sequence has a cache of its own."""
        return (sequences + EXTRA_SEQUENCES) * _rounded(self.prefix + self.own + self.answer)

    def prefers_own_cells(self, sequences: int) -> bool:
        """Return whether decoding is faster with one cache per sequence.

        In a unified cache each token also passes over the cells of all other sequences. The costs are compared halfway
        through the answers, with four seeds per item.
        """
        if not self.answer:
            return False
        alone = self.prefix + self.own + self.answer / 2
        together = self.prefix + sequences * (self.own / 4 + self.answer / 2)
        return OWN_CELL_COST * alone < together


def choose_cache(need: CacheNeed, sequences: int, *, share: bool, most_cells: int | None) -> Cache | None:
    """Return the cache for at most `sequences` sequences, or None if `most_cells` is too small for any.

    Args:
        need: the benchmark's need.
        sequences: the most sequences to decode side by side. There are fewer if memory is short.
        share: False if sequences cannot be forked. Each then has cells of its own.
        most_cells: how many cells memory has room for. None: any number.
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


def cache_need(
    data: BenchmarkData, *, sampling: Sampling, vocabulary: Model, chat_template: TemplateUse | None = None
) -> CacheNeed:
    """Return how much cache lets every block of this benchmark run without waiting for room."""
    tasks = [item.task for item in data.items if not item.too_long]
    return cache_need_of_tasks(tasks, sampling.max_tokens, vocabulary, chat_template)


def cache_need_of_tasks(
    tasks: Sequence[Task], max_tokens: int, model: Model, chat_template: TemplateUse | None = None
) -> CacheNeed:
    """Return what tasks need, which are all of one kind. A call of a custom function needs no cache of ours."""
    generated = [task for task in tasks if isinstance(task, Generate)]
    if generated:
        prefix, rest = _lengths([_rendered(task, model, chat_template) for task in generated], model)
        answers = [min(task.max_tokens, max_tokens) for task in generated]
        own = max(
            tokens + len(task.then) * (answer + _SEAM)
            for task, tokens, answer in zip(generated, rest, answers, strict=True)
        )
        longest = max(
            answer + thinking_room(task, chat_template) for task, answer in zip(generated, answers, strict=True)
        )
        return CacheNeed(prefix, own, longest, at_once=1)
    chosen = [task for task in tasks if isinstance(task, Choose)]
    if chosen:
        return _cache_need_of_choices(chosen, model, chat_template)
    chunk = max((len(task.tokens) for task in tasks if isinstance(task, Measure)), default=0)
    return CacheNeed(prefix=chunk, own=0, answer=0, at_once=1)


def _cache_need_of_choices(tasks: Sequence[Choose], model: Model, chat_template: TemplateUse | None) -> CacheNeed:
    prefix, own = _lengths([_rendered(task, model, chat_template) for task in tasks], model)
    cells = [
        own_tokens + sum(len(_tokens(choice, model)) + _SEAM for choice in task.choices)
        for own_tokens, task in zip(own, tasks, strict=True)
    ]
    return CacheNeed(prefix, max(cells), answer=0, at_once=max(len(task.choices) for task in tasks))


def _rendered(task: Generate | Choose, model: Model, chat_template: TemplateUse | None) -> Prompt:
    """Return the prompt of a task; of several turns, the longest one."""
    messages = whole_conversation(task) if isinstance(task, Generate) else task.messages
    try:
        prompt = render_prompt(messages, chat=task.chat, model=model, use=chat_template)
        return prompt.without_thoughts() if isinstance(task, Choose) else prompt
    except TemplateFailed:
        return Prompt("", add_special=False, parse_special=False)  # the engine will refuse it: it needs no cells


def _lengths(prompts: Sequence[Prompt], model: Model) -> tuple[int, list[int]]:
    """Return the number of tokens in the common beginning of all prompts, and in the rest of each."""
    texts = [prompt.text for prompt in prompts if prompt.text]
    common = os.path.commonprefix(texts) if len(texts) > 1 else ""  # noqa: RUF071 - by characters, as intended
    rest = [len(_tokens(prompt.text[len(common) :], model)) + _SEAM if prompt.text else 0 for prompt in prompts]
    return len(_tokens(common, model)) + _SEAM, rest


def _tokens(text: str, model: Model) -> list[int]:
    return model.tokenize(text, add_special=False, parse_special=True)


def _rounded(cells: int) -> int:
    return max(CELL_STEP, -(-cells // CELL_STEP) * CELL_STEP)
