"""The engine that decodes a GGUF in this process, many sequences at once.

Here is what lies around the decoding: prompts are rendered and tokenized, questions that do not fit the model
are refused, results are put in order. The decoding itself lies in `generation` and `likelihood`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from actors.chat import Prompt, begin_token, render_prompt
from actors.engines import CONTEXT_TOO_LONG, EMPTY_PROMPT, Answer, Choices, Measured, Refused, Usage
from actors.engines.generation import Ask, Generation, Vocabulary
from actors.engines.likelihood import Fork, Likelihoods
from actors.engines.meter import Meter
from actors.engines.prefix import BESIDE_SLOTS, ROOT, KeptPrefix
from actors.engines.side_by_side import measure_side_by_side
from actors.llama.batch import Run
from actors.llama.context import Context
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.orders import Choose, Generate, Item, Measure, ReportTokens
from actors.rendering import TemplateFailed
from conf.schema import Sampling

CONTENT = TypeVar("CONTENT")
TASK = TypeVar("TASK", Generate, Choose, Measure)
TEMPLATE_FAILED = "chat_template_failed"


@dataclass(frozen=True)
class Put(Generic[CONTENT]):
    """A question that is put to the model."""

    content: CONTENT
    rendered_hash: str


class LlamaEngine:
    """One GGUF, loaded, with one context."""

    def __init__(self, gguf_path: str, layout: EngineLayout, chat_template: str | None = None) -> None:
        """Load the model; `chat_template` is used in place of its own. Raises `LlamaError`."""
        started = time.perf_counter()
        self._layout = layout
        self._chat_template = chat_template
        self._model = Model(gguf_path, gpu_layers=layout.gpu_layers)
        self._context = Context(self._model, layout, max_sequences=layout.sequences + BESIDE_SLOTS)
        self._meter = Meter()
        self._meter.loaded(time.perf_counter() - started)
        self._kept = KeptPrefix(self._context, self._meter)
        self.vocabulary = Vocabulary(
            functools.cache(self._model.piece), functools.cache(self._model.is_end_of_generation)
        )

    def close(self) -> None:
        """Free context and weights."""
        self._context.close()
        self._model.close()

    def take_usage(self) -> Usage:
        """What was done since the last call; loading counts once."""
        return self._meter.take()

    def generate(
        self, items: Sequence[Item], seeds: Sequence[int], sampling: Sampling, report: ReportTokens
    ) -> list[Answer | Refused]:
        """One answer for each item and seed: items as they come, seeds within an item. Raises `LlamaError`."""
        self._meter.report = report
        prepared = [self.ask(item, sampling) for item in items]
        asks = [one.content for one in prepared if isinstance(one, Put)]
        generation = Generation(
            self._context, self._kept, self.vocabulary, sampling, self._layout.sequences, asks, seeds, self._meter
        )
        generated = iter(generation.run())
        answers: list[Answer | Refused] = []
        for one in prepared:
            if isinstance(one, Refused):
                answers += [one] * len(seeds)
                continue
            for done in itertools.islice(generated, len(seeds)):
                n_prompt = len(one.content.tokens)
                answers.append(Answer(done.text, one.rendered_hash, n_prompt, done.n_tokens, done.finish_reason))
        return answers

    def choose(self, items: Sequence[Item], report: ReportTokens) -> list[Choices | Refused]:
        """Log-likelihoods of each item's choices. Raises `LlamaError`."""
        self._meter.report = report
        prepared = [self.fork(item) for item in items]
        forks = [one.content for one in prepared if isinstance(one, Put)]
        logliks = iter(Likelihoods(self._context, self._kept, self._layout.sequences, self._meter).choices(forks))
        results: list[Choices | Refused] = []
        for one in prepared:
            if isinstance(one, Refused):
                results.append(one)
                continue
            scored = sum(len(choice) - one.content.scored_from for choice in one.content.choices)
            results.append(Choices(next(logliks), one.rendered_hash, one.content.scored_from, scored))
        return results

    def measure(self, items: Sequence[Item], report: ReportTokens) -> list[Measured | Refused]:
        """Negative log-likelihood of each chunk's scored tokens, without a reference. Raises `LlamaError`."""
        self.listen(report)
        tasks = [task_of(item, Measure) for item in items]
        return [found for (found,) in measure_side_by_side([self], tasks, self._layout.threads)]

    def listen(self, report: ReportTokens) -> None:
        """Tell of tokens from now on."""
        self._meter.report = report

    def decode_chunk(self, task: Measure) -> Iterator[NDArray[np.float32]]:
        """Logits that predict the scored tokens, [rows, n_vocab] a call, from an empty cache. Raises `LlamaError`.

        They are llama.cpp's own memory: valid until this engine decodes again.
        """
        self._kept.open(())
        # The last token's logits would predict what is not there.
        calls = self._context.decode([Run(ROOT, 0, task.tokens[:-1], task.first_scored - 1)])
        while True:
            with self._meter.prompt() as count:
                rows = next(calls, None)
                if rows is None:
                    return
                count(rows.n_tokens)
            yield rows.logits

    def piece(self, token: int) -> bytes:
        """The bytes of a token; none for a control token."""
        return self.vocabulary.piece(token)

    @functools.cached_property
    def vocabulary_hash(self) -> str:
        """Over the text of every token, in order: two models of one hash can be compared token by token."""
        pieces = hashlib.sha256()
        for token in range(self._model.n_vocab):
            piece = self._model.piece(token, special=True)
            pieces.update(len(piece).to_bytes(4) + piece)
        return pieces.hexdigest()

    def too_long(self, n_tokens: int) -> bool:
        """Whether the model was not made for so many. The cache's size is the plan's matter, not the item's."""
        return n_tokens > self._model.n_ctx_train

    def ask(self, item: Item, sampling: Sampling) -> Put[Ask] | Refused:
        """A question that is generated for, as tokens."""
        task = task_of(item, Generate)
        try:
            prompt = self._rendered(task)
        except TemplateFailed:
            return Refused(TEMPLATE_FAILED)
        tokens = prompt.tokens(self._model)
        max_tokens = min(task.max_tokens, sampling.max_tokens)
        if not tokens:
            return Refused(EMPTY_PROMPT, prompt.sha256)
        if self.too_long(len(tokens) + max_tokens):
            return Refused(CONTEXT_TOO_LONG, prompt.sha256)
        return Put(Ask(item.item_id, tokens, task.stop, max_tokens), prompt.sha256)

    def fork(self, item: Item) -> Put[Fork] | Refused:
        """A question with its choices, as tokens."""
        task = task_of(item, Choose)
        try:
            prompt = self._rendered(task)
        except TemplateFailed:
            return Refused(TEMPLATE_FAILED)
        fork = fork_of(prompt, task.choices, self._model)
        if fork is None:
            return Refused(EMPTY_PROMPT, prompt.sha256)
        if self.too_long(max(map(len, fork.choices))):
            return Refused(CONTEXT_TOO_LONG, prompt.sha256)
        return Put(fork, prompt.sha256)

    def _rendered(self, task: Generate | Choose) -> Prompt:
        return render_prompt(task.messages, chat=task.chat, model=self._model, template_instead=self._chat_template)


def fork_of(prompt: Prompt, choices: Sequence[str], model: Model) -> Fork | None:
    """Return the tokens of a prompt with each choice, and where the scored part begins. None: nothing comes before it.

    It begins at the first token that any choice does not share with the prompt alone. If a token holds the end of the
    prompt and the beginning of a choice (a space and a word), it is scored, and so is the same text in all choices.
    """
    context = prompt.tokens(model)
    wholes = [prompt.tokens(model, choice) for choice in choices]
    scored_from = min(_n_shared(context, whole) for whole in wholes)
    if not scored_from:
        # The first token of a text has no likelihood: it needs one before it.
        begin = begin_token(model)
        return None if begin is None else Fork([[begin, *whole] for whole in wholes], 1)
    return Fork(wholes, scored_from)


def _n_shared(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def task_of(item: Item, kind: type[TASK]) -> TASK:
    """The item's task. Raises `TypeError` where it is of another kind."""
    if not isinstance(item.task, kind):
        raise TypeError(f"{item.item_id}: a {kind.__name__} task expected, got {type(item.task).__name__}")
    return item.task
