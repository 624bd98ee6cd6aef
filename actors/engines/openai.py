"""The engine for a model behind an OpenAI-compatible endpoint, for example a model on a server or in another format.

Chats go to `/chat/completions`, plain completions to `/completions`. Each answer is one request with its own seed; a
question with several turns is one request per turn.
top_k and min_p are sent in the form that the servers of llama.cpp and vLLM accept. The number of simultaneous requests
is limited. Retries and limits are those of `endpoint_client`.

An empty or truncated answer is the model's failure and is scored. An endpoint that is unreachable, refuses, or returns
something that is not a completion is our failure: the block fails, its records stay unscored, and running the same
command again retries it. This interface does not offer likelihoods.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import openai

from actors.end_marks import without_end_mark
from actors.engines import (
    CONTEXT_TOO_LONG,
    CONVERSATION_TOO_LONG,
    Answer,
    Choices,
    FinishReason,
    Measured,
    Refused,
    Usage,
)
from actors.engines.answer_reader import was_cut
from actors.engines.completion import BadTokenCount, CompletionText, read_completion
from actors.engines.endpoint_client import EndpointClient
from actors.engines.turns import joined, messages_of_turn, seeds_asked, under_all_seeds, with_temperature
from actors.errors import EndpointFailed
from actors.items import Generate, Item, Message, TemplateUse
from actors.orders import Endpoint, ReportTokens
from actors.thinking import Said, split, thinking_room
from conf.schema.answers import Sampling

NO_LIKELIHOODS = "endpoint_gives_no_likelihoods"
BAD_COUNTS = "endpoint_counts_no_tokens"
_EFFORT = "reasoning_effort"
_TOO_LONG_CODES = {"context_length_exceeded", "exceed_context_size_error"}
"""Error codes of OpenAI and llama.cpp for a prompt that does not fit the context."""
_TOO_LONG_SENTENCES = re.compile(
    r"the request exceeds the available context size"  # llama.cpp before its own error type
    r"|This model's maximum context length is \d+ tokens"  # vLLM
    r"|The input \(\d+ tokens\) is longer than the model's context length"  # SGLang
)
"""How the message begins on servers that give no code of their own, only the number 400."""
_NO_CODES = {"", "400", "badrequesterror", "invalid_request_error", "bad_request_error"}


class OpenAIEngine:
    """One model behind one endpoint."""

    def __init__(self, endpoint: Endpoint, key: str | None, chat_template: TemplateUse | None = None) -> None:
        """Prepare the client. `chat_template` holds what the server is to give to its chat template."""
        self._endpoint = endpoint
        self._use = chat_template or TemplateUse()
        self._client = EndpointClient(endpoint, key)
        self._usage = Usage()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def take_usage(self) -> Usage:
        """Return the work since the last call. All time counts as decoding: prompts are not timed separately."""
        usage, self._usage = self._usage, Usage()
        return usage

    def generate(
        self, items: Sequence[Item], seeds: Sequence[int], sampling: Sampling, report: ReportTokens
    ) -> list[Answer | Refused]:
        """Return one answer per item and seed. Raise `EndpointFailed` at the first failure, and drop the others."""
        started = time.perf_counter()
        asked = [seeds_asked(_task_of(item), seeds) for item in items]
        questions = [(item, seed) for item, own in zip(items, asked, strict=True) for seed in own]
        found = self._client.run(self._ask_all(questions, sampling, report))
        given = [answer for answer in found if isinstance(answer, Answer)]
        self._usage = Usage(
            prompt_tokens=sum(answer.prompt_tokens for answer in given),
            completion_tokens=sum(answer.completion_tokens for answer in given),
            decode_s=time.perf_counter() - started,
        )
        rest = iter(found)
        return [answer for own in asked for answer in under_all_seeds(list(itertools.islice(rest, len(own))), seeds)]

    def choose(self, items: Sequence[Item], report: ReportTokens) -> list[Choices | Refused]:
        return [Refused(NO_LIKELIHOODS) for _ in items]

    def measure(self, items: Sequence[Item], report: ReportTokens) -> list[Measured | Refused]:
        return [Refused(NO_LIKELIHOODS) for _ in items]

    async def _ask_all(
        self, questions: Sequence[tuple[Item, int]], sampling: Sampling, report: ReportTokens
    ) -> list[Answer | Refused]:
        free = asyncio.Semaphore(self._endpoint.concurrency)

        async def ask(item: Item, seed: int) -> Answer | Refused:
            async with free:
                answer = await self._ask(item, seed, sampling)
            if isinstance(answer, Answer):
                report(answer.prompt_tokens + answer.completion_tokens)
            return answer

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(item, seed)) for item, seed in questions]
        return [task.result() for task in tasks]

    async def _ask(self, item: Item, seed: int, sampling: Sampling) -> Answer | Refused:
        """Ask all turns of an item, one after another."""
        task = _task_of(item)
        answer = await self._ask_turn(task, task.messages, seed, sampling)
        for _ in task.then:
            if isinstance(answer, Refused):
                break
            messages = messages_of_turn(task, (*answer.earlier_texts, answer.text))
            after = await self._ask_turn(task, messages, seed, sampling)
            too_long = after == Refused(CONTEXT_TOO_LONG)
            answer = joined(answer, Refused(CONVERSATION_TOO_LONG) if too_long else after)
        return answer

    async def _ask_turn(
        self, task: Generate, messages: Sequence[Message], seed: int, sampling: Sampling
    ) -> Answer | Refused:
        asked: dict[str, Any] = {
            "model": self._endpoint.model,
            "seed": seed,
            "temperature": with_temperature(sampling, task).temperature,
            "top_p": sampling.top_p,
            "max_tokens": min(task.max_tokens, sampling.max_tokens) + thinking_room(task, self._use),
            "stop": list(task.stop) or None,
            "extra_body": {"top_k": sampling.top_k, "min_p": sampling.min_p},
        }
        # A server would look for stop strings in the thoughts too.
        cut_here = task.stop if task.chat and (self._use.thinking == "on" or self._use.thinking_tokens) else ()
        if cut_here:
            asked["stop"] = None
        if task.chat:
            asked["extra_body"] |= self._template_arguments
        try:
            return _answer(await self._ask_endpoint(messages, asked, chat=task.chat), cut_here)
        except BadTokenCount:
            return Refused(BAD_COUNTS)
        except openai.BadRequestError as error:
            if _is_too_long(error.body):
                return Refused(CONTEXT_TOO_LONG)
            raise self._client.failure(error) from None
        except (openai.OpenAIError, EndpointFailed) as error:
            raise self._client.failure(error) from None

    async def _ask_endpoint(self, messages: Sequence[Message], asked: dict[str, Any], *, chat: bool) -> CompletionText:
        """Send one request, and read its raw answer: the client's own types would accept an answer of another form."""
        if chat:
            sent: Any = [{"role": message.role, "content": message.content} for message in messages]
            create = self._client.requests.chat.completions.with_raw_response.create
            raw = await self._client.patiently(lambda: create(messages=sent, **asked))
        else:
            prompt = "".join(message.content for message in messages)
            complete = self._client.requests.completions.with_raw_response.create
            raw = await self._client.patiently(lambda: complete(prompt=prompt, **asked))
        return read_completion(raw.content, raw.headers.get("content-type", ""), chat=chat)

    @functools.cached_property
    def _template_arguments(self) -> dict[str, Any]:
        """What the server gives to its chat template. Some servers take `reasoning_effort` beside the others only."""
        arguments = json.loads(self._use.arguments)
        effort = {_EFFORT: arguments[_EFFORT]} if _EFFORT in arguments else {}
        return {"chat_template_kwargs": arguments, **effort} if arguments else {}


def _task_of(item: Item) -> Generate:
    if not isinstance(item.task, Generate):
        raise TypeError(f"{item.item_id}: expected a Generate task, got {type(item.task).__name__}")
    return item.task


def _is_too_long(body: object) -> bool:
    """Return whether a refusal says that the prompt does not fit the context.

    The error code decides. The message decides only where a server has no codes: then it must begin with that server's
    own sentence, because any message may contain the word "context".
    """
    error = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return False
    codes = {str(error.get(name) or "").casefold() for name in ("code", "type")}
    if codes & _TOO_LONG_CODES:
        return True
    return codes <= _NO_CODES and _TOO_LONG_SENTENCES.match(str(error.get("message"))) is not None


def _answer(completion: CompletionText, stops: Sequence[str]) -> Answer:
    """Return an answer without its thoughts, whether the server has told them apart or not.

    It ends before a stop string, and before a mark that ends a model's turn.
    """
    reason: FinishReason = "length" if completion.finish_reason == "length" else "stop"
    if completion.reasoning is None:
        said = split(completion.text)
    elif completion.reasoning.strip():
        # The server has told both apart: marks in the answer are part of it, and blank lines before it are not.
        said = Said(completion.text.lstrip(), completion.reasoning.strip(), cut=False)
    else:
        said = split(completion.text)
    said = replace(said, answer=without_end_mark(said.answer))
    ends = [at for stop in stops if (at := said.answer.find(stop)) >= 0]
    if ends:
        said, reason = replace(said, answer=said.answer[: min(ends)]), "stop"
    # Some servers count the thoughts, and show none of them.
    hidden = said.thoughts is None and bool(completion.reasoning_tokens)
    return Answer(
        said.answer,
        None,
        completion.prompt_tokens,
        completion.completion_tokens,
        reason,
        thoughts=said.thoughts,
        thought_tokens=completion.reasoning_tokens if hidden or said.thoughts is not None else None,
        cut_while_thinking=was_cut(said, reason, hidden=hidden),
    )
