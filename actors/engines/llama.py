"""The engine that decodes a GGUF in this process, many sequences at once.

This module renders and tokenizes prompts, refuses questions that do not fit the model, and returns results in order.
The decoding is in `generation`, `likelihood` and `side_by_side`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from actors.chat import Prompt, begin_token, render_prompt, template_of
from actors.engines import (
    CONTEXT_TOO_LONG,
    CONVERSATION_TOO_LONG,
    EMPTY_PROMPT,
    Answer,
    Choices,
    Measured,
    Refused,
    Usage,
)
from actors.engines.answer_reader import ThoughtRules, was_cut
from actors.engines.generation import Generated, Generation, GenerationRequest, Vocabulary
from actors.engines.likelihood import ChoiceRequest, Likelihoods
from actors.engines.mark_tokens import PiecesWithMarks
from actors.engines.meter import Meter
from actors.engines.prefix import EXTRA_SEQUENCES, ROOT, PrefixCache
from actors.engines.side_by_side import measure_side_by_side
from actors.engines.turns import ask_by_temperature, joined, messages_of_turn
from actors.items import Choose, Generate, Item, Measure, Message, TemplateUse
from actors.llama import library
from actors.llama.batch import Run
from actors.llama.buffers import memory_use, read_buffers
from actors.llama.context import Context
from actors.llama.grammar import Grammar
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.orders import ReportTokens
from actors.rendering import TemplateFailed
from actors.thinking import NO_MARKS, marks_of, thinking_room
from conf.schema.answers import Sampling

REQUEST = TypeVar("REQUEST")
TASK = TypeVar("TASK", Generate, Choose, Measure)
TEMPLATE_FAILED = "chat_template_failed"


@dataclass(frozen=True)
class Prepared(Generic[REQUEST]):
    """A question that is ready for the model, and the hash of its rendered prompt."""

    request: REQUEST
    rendered_hash: str


class LlamaEngine:
    """One loaded GGUF with one context."""

    def __init__(
        self,
        gguf_path: str,
        layout: EngineLayout,
        chat_template: TemplateUse | None = None,
        *,
        raw: bool = False,
        model: Model | None = None,
    ) -> None:
        """Load the model. Raise `NoRoomError` if there is no memory for it, `LlamaError` if anything else fails.

        Args:
            chat_template: how its chat template is used, or which one replaces it.
            raw: True: answers hold the thoughts too, as they were generated.
            model: the GGUF if it is already loaded as the layout says. It stays loaded when the engine is closed.
        """
        started = time.perf_counter()
        self._layout = layout
        self._use = chat_template
        self.grammar: str | None = None
        """What answers must follow from now on (`actors.llama.grammar`). The model then does not think before them."""
        with contextlib.ExitStack() as opened:
            if model is None:
                model = opened.enter_context(Model(gguf_path, gpu_layers=layout.gpu_layers, devices=layout.devices))
            self._model = model
            with library.captured_log() as log:
                self._context = Context(model, layout, max_sequences=layout.sequences + EXTRA_SEQUENCES)
            opened.callback(self._context.close)
            self._opened = opened.pop_all()
        self._meter = Meter()
        self._meter.model_loaded(time.perf_counter() - started, memory_use(read_buffers([*model.size_lines, *log])))
        self._prefix = PrefixCache(self._context, self._meter)
        self._marks = NO_MARKS if raw else marks_of(template_of(self._model, chat_template))
        self.vocabulary = Vocabulary(
            PiecesWithMarks(self._model, self._marks).piece, functools.cache(self._model.is_end_of_generation)
        )

    def close(self) -> None:
        """Free the context, and the weights if this engine has loaded them."""
        self._opened.close()

    def take_usage(self) -> Usage:
        """Return the work since the last call. The first result includes the time of loading."""
        return self._meter.take()

    def generate(
        self, items: Sequence[Item], seeds: Sequence[int], sampling: Sampling, report: ReportTokens
    ) -> list[Answer | Refused]:
        """Return one answer per item and seed, in the order of items, then seeds. Raise `LlamaError` if it fails."""
        self._meter.report = report
        tasks = [task_of(item, Generate) for item in items]
        return ask_by_temperature(items, tasks, seeds, sampling, self._all_turns)

    def _all_turns(self, items: Sequence[Item], seeds: Sequence[int], sampling: Sampling) -> list[Answer | Refused]:
        """Return the answers of items of one temperature. Each turn of all of them is generated together."""
        prepared = [self.generation_request(item, sampling, seeds) for item in items]
        answers = self._generated(prepared, len(seeds), sampling)
        asked = [(item, task_of(item, Generate), seed) for item in items for seed in seeds]
        for turn in range(1, 1 + max((len(task.then) for _, task, _ in asked), default=0)):
            going_on = [
                (place, answer)
                for place, answer in enumerate(answers)
                if isinstance(answer, Answer) and turn <= len(asked[place][1].then)
            ]
            later = [self._later_request(*asked[place], answer, sampling) for place, answer in going_on]
            for (place, answer), after in zip(going_on, self._generated(later, 1, sampling), strict=True):
                answers[place] = joined(answer, after)
        return answers

    def _generated(
        self, prepared: Sequence[Prepared[GenerationRequest] | Refused], n_seeds: int, sampling: Sampling
    ) -> list[Answer | Refused]:
        """Return the answers to prompts, `n_seeds` for each."""
        requests = [one.request for one in prepared if isinstance(one, Prepared)]
        generation = Generation(
            self._context,
            self._prefix,
            self.vocabulary,
            sampling,
            self._layout.sequences,
            requests,
            self._meter,
            begin_grammar=functools.partial(Grammar, self._model, self.grammar) if self.grammar else None,
        )
        generated = iter(generation.run())
        answers: list[Answer | Refused] = []
        for one in prepared:
            if isinstance(one, Refused):
                answers += [one] * n_seeds
                continue
            for done in itertools.islice(generated, n_seeds):
                answers.append(_answer(one, done))
        return answers

    def choose(self, items: Sequence[Item], report: ReportTokens) -> list[Choices | Refused]:
        """Return the log-likelihoods of each item's choices. Raise `LlamaError` if decoding fails."""
        self._meter.report = report
        prepared = [self.choice_request(item) for item in items]
        requests = [one.request for one in prepared if isinstance(one, Prepared)]
        logliks = iter(Likelihoods(self._context, self._prefix, self._layout.sequences, self._meter).choices(requests))
        results: list[Choices | Refused] = []
        for one in prepared:
            if isinstance(one, Refused):
                results.append(one)
                continue
            scored = sum(len(choice) - one.request.scored_from for choice in one.request.choices)
            results.append(Choices(next(logliks), one.rendered_hash, one.request.scored_from, scored))
        return results

    def measure(self, items: Sequence[Item], report: ReportTokens) -> list[Measured | Refused]:
        """Return the negative log-likelihood of each chunk, without a reference. Raise `LlamaError` if it fails."""
        self.report_to(report)
        tasks = [task_of(item, Measure) for item in items]
        return [found for (found,) in measure_side_by_side([self], tasks, self._layout.threads)]

    def report_to(self, report: ReportTokens) -> None:
        """Report decoded tokens to this function from now on."""
        self._meter.report = report

    def decode_chunk(self, task: Measure) -> Iterator[NDArray[np.float32]]:
        """Decode a chunk from an empty KV cache, and yield the logits that predict the scored tokens.

        Each array is [rows, n_vocab]. It is a view of llama.cpp's memory and is valid until this engine decodes again.

        Raises:
            LlamaError: llama.cpp failed.
        """
        self._prefix.prepare(())
        # The last token is not decoded, because no token follows that its logits would predict.
        calls = self._context.decode([Run(ROOT, 0, task.tokens[:-1], task.first_scored - 1)])
        while True:
            with self._meter.prompt() as count:
                rows = next(calls, None)
                if rows is None:
                    return
                count(rows.n_tokens)
            yield rows.logits

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token. A control token has none."""
        return self._piece(token)

    @functools.cached_property
    def _piece(self) -> Callable[[int], bytes]:
        return functools.cache(self._model.piece)

    @functools.cached_property
    def vocabulary_hash(self) -> str:
        """Hash of the text of all tokens in order. Models with equal hashes can be compared token by token."""
        pieces = hashlib.sha256()
        for token in range(self._model.n_vocab):
            piece = self._model.piece(token, special=True)
            pieces.update(len(piece).to_bytes(4) + piece)
        return pieces.hexdigest()

    def too_long(self, n_tokens: int) -> bool:
        """Return True if this is more tokens than the context length. The plan checks the size of the KV cache."""
        return n_tokens > self._model.n_ctx_train

    def generation_request(
        self, item: Item, sampling: Sampling, seeds: Sequence[int] = (0,)
    ) -> Prepared[GenerationRequest] | Refused:
        """Render and tokenize the first prompt of a question whose answer is generated under these seeds."""
        task = task_of(item, Generate)
        try:
            prompt = self._rendered(task.messages, chat=task.chat)
        except TemplateFailed:
            return Refused(TEMPLATE_FAILED)
        prompt = prompt.without_thoughts() if self.grammar else prompt
        tokens = prompt.tokens(self._model)
        max_tokens = min(task.max_tokens, sampling.max_tokens)
        if not tokens:
            return Refused(EMPTY_PROMPT, prompt.sha256)
        request = GenerationRequest(
            item.item_id, tokens, task.stop, max_tokens, tuple(seeds), thoughts=self._thought_rules(prompt, task)
        )
        if self.too_long(len(tokens) + request.most_tokens):
            return Refused(CONTEXT_TOO_LONG, prompt.sha256)
        return Prepared(request, prompt.sha256)

    def _later_request(
        self, item: Item, task: Generate, seed: int, before: Answer, sampling: Sampling
    ) -> Prepared[GenerationRequest] | Refused:
        """Render and tokenize the prompt of the turn after an answer.

        The plan counts each answer with its token limit. A text can have more tokens when it is read than it had when
        it was generated, so there may still be no room.
        """
        answers = (*before.earlier_texts, before.text)
        try:
            prompt = self._rendered(messages_of_turn(task, answers), chat=task.chat)
        except TemplateFailed:
            return Refused(TEMPLATE_FAILED)
        tokens, max_tokens = prompt.tokens(self._model), min(task.max_tokens, sampling.max_tokens)
        thoughts = self._thought_rules(prompt, task)
        request = GenerationRequest(
            item.item_id, tokens, task.stop, max_tokens, (seed,), turn=len(answers), thoughts=thoughts
        )
        needed = len(tokens) + request.most_tokens
        if self.too_long(needed) or needed > self._context.cells_per_sequence:
            return Refused(CONVERSATION_TOO_LONG)
        return Prepared(request, prompt.sha256)

    def _thought_rules(self, prompt: Prompt, task: Generate) -> ThoughtRules | None:
        """Return how thoughts are told from the answer. They get no room if the template has closed them."""
        if self._marks is NO_MARKS:
            return None
        budget = 0 if prompt.opens_thoughts is False else thinking_room(task, self._use)
        return ThoughtRules(self._marks, bool(prompt.opens_thoughts), budget)

    def choice_request(self, item: Item) -> Prepared[ChoiceRequest] | Refused:
        """Render and tokenize a question with its choices."""
        task = task_of(item, Choose)
        try:
            prompt = self._rendered(task.messages, chat=task.chat).without_thoughts()
        except TemplateFailed:
            return Refused(TEMPLATE_FAILED)
        request = choice_request_of(prompt, task.choices, self._model)
        if request is None:
            return Refused(EMPTY_PROMPT, prompt.sha256)
        if self.too_long(max(map(len, request.choices))):
            return Refused(CONTEXT_TOO_LONG, prompt.sha256)
        return Prepared(request, prompt.sha256)

    def _rendered(self, messages: Sequence[Message], *, chat: bool) -> Prompt:
        return render_prompt(messages, chat=chat, model=self._model, use=self._use)


def _answer(prepared: Prepared[GenerationRequest], done: Generated) -> Answer:
    said = done.said
    return Answer(
        said.answer,
        prepared.rendered_hash,
        len(prepared.request.tokens),
        done.n_tokens,
        done.finish_reason,
        thoughts=said.thoughts,
        thought_tokens=None if said.thoughts is None else done.thought_tokens,
        cut_while_thinking=was_cut(said, done.finish_reason),
    )


def choice_request_of(prompt: Prompt, choices: Sequence[str], model: Model) -> ChoiceRequest | None:
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
        return None if begin is None else ChoiceRequest([[begin, *whole] for whole in wholes], 1)
    return ChoiceRequest(wholes, scored_from)


def _n_shared(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def task_of(item: Item, kind: type[TASK]) -> TASK:
    """Return the item's task. Raise `TypeError` if it is not of this kind."""
    if not isinstance(item.task, kind):
        raise TypeError(f"{item.item_id}: expected a {kind.__name__} task, got {type(item.task).__name__}")
    return item.task
