"""The engine that asks a model behind an OpenAI-compatible endpoint: one on a server, in another format, say.

Chats go to `/chat/completions`, plain completions to `/completions`, each answer one request with its seed; top_k and
min_p go along as llama.cpp's and vLLM's servers take them. So many requests at once, each with a time-out, tried again
with growing pauses where the server is busy or away (the client's own rule).

Whose failure it is decides: an empty or cut answer is the model's, and is scored as such. An endpoint that cannot be
reached, or refuses, is ours: the block fails, its records are unscored, and the same command asks again. Likelihoods
are not to be had over this interface.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

from actors.engines import Answer, Choices, FinishReason, Measured, Refused, Usage
from actors.errors import EndpointFailed
from actors.orders import Endpoint, Generate, Item, ReportTokens
from conf.schema import Sampling

NO_LIKELIHOODS = "endpoint_gives_no_likelihoods"
TOO_LONG = "context_too_long"
_NO_KEY = "none"  # servers of one's own ask for none, the client does


class OpenAIEngine:
    """One model behind one endpoint."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self._endpoint = endpoint
        self._key = key or _NO_KEY
        self._client = openai.OpenAI(
            base_url=endpoint.url,
            api_key=self._key,
            timeout=endpoint.timeout_s,
            max_retries=endpoint.attempts - 1,
        )
        self._usage = Usage()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def take_usage(self) -> Usage:
        """What was done since the last call. Prompts and answers are not timed apart: decoding is the whole time."""
        usage, self._usage = self._usage, Usage()
        return usage

    def generate(
        self, items: Sequence[Item], seeds: Sequence[int], sampling: Sampling, report: ReportTokens
    ) -> list[Answer | Refused]:
        """One answer for each item and seed. Raises `EndpointFailed`."""
        started = time.perf_counter()
        answers: list[Answer | Refused] = []
        pool = ThreadPoolExecutor(self._endpoint.concurrency)
        try:
            futures = [pool.submit(self._ask, item, seed, sampling) for item in items for seed in seeds]
            for future in futures:
                answer = future.result()
                answers.append(answer)
                if isinstance(answer, Answer):
                    report(answer.prompt_tokens + answer.completion_tokens)
        finally:
            pool.shutdown(cancel_futures=True)
        given = [answer for answer in answers if isinstance(answer, Answer)]
        self._usage = Usage(
            prompt_tokens=sum(answer.prompt_tokens for answer in given),
            completion_tokens=sum(answer.completion_tokens for answer in given),
            decode_s=time.perf_counter() - started,
        )
        return answers

    def choose(self, items: Sequence[Item], report: ReportTokens) -> list[Choices | Refused]:
        return [Refused(NO_LIKELIHOODS) for _ in items]

    def measure(self, items: Sequence[Item], report: ReportTokens) -> list[Measured | Refused]:
        return [Refused(NO_LIKELIHOODS) for _ in items]

    def _ask(self, item: Item, seed: int, sampling: Sampling) -> Answer | Refused:
        task = item.task
        if not isinstance(task, Generate):
            raise TypeError(f"{item.item_id}: a Generate task expected, got {type(task).__name__}")
        asked: dict[str, Any] = {
            "model": self._endpoint.model,
            "seed": seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": min(task.max_tokens, sampling.max_tokens),
            "stop": list(task.stop) or None,
            "extra_body": {"top_k": sampling.top_k, "min_p": sampling.min_p},
        }
        try:
            return self._chat(task, asked) if task.chat else self._completion(task, asked)
        except openai.BadRequestError as error:
            if "context" in str(error).casefold():
                return Refused(TOO_LONG)
            raise self._failed(error) from None
        except openai.OpenAIError as error:
            raise self._failed(error) from None

    def _chat(self, task: Generate, asked: dict[str, Any]) -> Answer:
        messages: Any = [{"role": message.role, "content": message.content} for message in task.messages]
        said = self._client.chat.completions.create(messages=messages, **asked)
        if not said.choices:
            raise EndpointFailed(f"{self._endpoint.url} gave back no choice")
        choice = said.choices[0]
        return _answer(choice.message.content, choice.finish_reason, said.usage)

    def _completion(self, task: Generate, asked: dict[str, Any]) -> Answer:
        prompt = "".join(message.content for message in task.messages)
        said = self._client.completions.create(prompt=prompt, **asked)
        if not said.choices:
            raise EndpointFailed(f"{self._endpoint.url} gave back no choice")
        choice = said.choices[0]
        return _answer(choice.text, choice.finish_reason, said.usage)

    def _failed(self, error: openai.OpenAIError) -> EndpointFailed:
        # Some servers repeat the key in their answer.
        message = str(error).replace(self._key, "***") if self._key != _NO_KEY else str(error)
        return EndpointFailed(f"{self._endpoint.url} ({self._endpoint.model}): {type(error).__name__}: {message[:500]}")


def _answer(text: str | None, finish: str | None, usage: Any) -> Answer:
    reason: FinishReason = "length" if finish == "length" else "stop"
    prompt_tokens, completion_tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
    return Answer(text or "", None, prompt_tokens, completion_tokens, reason)
