"""Ask a judge behind an OpenAI-compatible endpoint.

Servers differ in what they accept, so the client finds it out: a verdict is asked for with a JSON schema, else with the
form "JSON object", else in words alone. What a server refuses with status 400 or 422 and then accepts in a weaker form
is not tried with it again. A call that it refuses in every form is declined, and other calls go on.

Retries and limits are those of `actors.engines.endpoint_client`: redirects are not followed, so the key goes to no
other host.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import openai

from actors.engines.completion import BadTokenCount, read_completion
from actors.engines.endpoint_client import EndpointClient
from actors.errors import EndpointFailed, EndpointRefused
from actors.judging.asking import Declined, JudgeCall, KeepReply, Reply
from actors.judging.orders import JudgeRules
from actors.orders import Endpoint, ReportTokens

BAD_COUNTS = "endpoint_counts_no_tokens"
_MOST_NAME = 200
PAUSE_S = 1.0
"""Pause before a reply that is no completion is asked for again, in seconds."""
Form = Literal["json_schema", "json_object", "text"]
_WEAKER: dict[Form, Form] = {"json_schema": "json_object", "json_object": "text"}
_Refusal = (openai.BadRequestError, openai.UnprocessableEntityError)


@dataclass(frozen=True)
class Dialect:
    """What an endpoint accepts, as far as it is known."""

    form: Form = "json_schema"
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """OpenAI's newer models know only the second, many other servers only the first."""
    takes_seed: bool = True

    def weaker(self, refused: str | None) -> Dialect | None:
        """Return what to try after a refusal, or None. `refused` is the parameter that the server names, if any."""
        if refused == "max_tokens" and self.limit_name == "max_tokens":
            return replace(self, limit_name="max_completion_tokens")
        if refused == "seed" and self.takes_seed:
            return replace(self, takes_seed=False)
        weaker = _WEAKER.get(self.form)
        return None if weaker is None else replace(self, form=weaker)


class EndpointJudge:
    """One model behind one endpoint, as a judge."""

    def __init__(self, endpoint: Endpoint, rules: JudgeRules, key: str | None) -> None:
        self._endpoint = endpoint
        self._rules = rules
        self._client = EndpointClient(endpoint, key)
        self._dialect = Dialect()
        self._has_answered = False

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, calls: Sequence[JudgeCall], keep: KeepReply, report: ReportTokens) -> None:
        """Ask all calls, some at a time. After a failure no further call begins, and those that run are waited for.

        Raises:
            EndpointFailed: the judge is away.
            EndpointRefused: it refuses the key or the model, or has refused every call since it was opened.
        """
        declined: list[Declined] = []

        def keep_and_report(call: JudgeCall, reply: Reply | Declined) -> None:
            if isinstance(reply, Declined):
                declined.append(reply)
            else:
                self._has_answered = True
                report(reply.prompt_tokens + reply.completion_tokens)
            keep(call, reply)

        self._client.run(self._ask_all(deque(calls), keep_and_report))
        if declined and not self._has_answered:
            raise self._client.failure(EndpointRefused(f"it refused every call: {declined[0].reason}"))

    async def _ask_all(self, waiting: deque[JudgeCall], keep: KeepReply) -> None:
        failures: list[EndpointFailed] = []

        async def ask_in_turn(calls: deque[JudgeCall]) -> None:
            while calls and not failures:
                call = calls.popleft()
                try:
                    reply = await self._ask(call)
                except EndpointFailed as error:
                    failures.append(error)
                else:
                    keep(call, reply)

        # The first call alone finds out what the endpoint accepts, so that not all of them are refused at once.
        await ask_in_turn(deque([waiting.popleft()]))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._endpoint.concurrency, len(waiting))):
                group.create_task(ask_in_turn(waiting))
        if failures:
            raise failures[0]

    async def _ask(self, call: JudgeCall) -> Reply | Declined:
        dialect: Dialect | None = self._dialect
        attempts_left = self._endpoint.attempts
        while dialect is not None:
            try:
                reply = await self._ask_endpoint(call, dialect)
            except BadTokenCount:
                return Declined(BAD_COUNTS)
            except _Refusal as error:
                refusal = self._client.told(f"{type(error).__name__}: {error}")
                dialect = dialect.weaker(error.param)
            except EndpointFailed as error:
                # A reply that is no completion: the client itself tries again only what failed by its status.
                attempts_left -= 1
                if not attempts_left or isinstance(error, EndpointRefused):
                    raise self._client.failure(error) from None
                await asyncio.sleep(PAUSE_S)
            except openai.OpenAIError as error:
                raise self._client.failure(error) from None
            else:
                self._dialect = dialect
                return reply
        return Declined(refusal)

    async def _ask_endpoint(self, call: JudgeCall, dialect: Dialect) -> Reply:
        asked: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [{"role": message.role, "content": message.content} for message in call.messages],
            "temperature": self._rules.temperature,
            dialect.limit_name: self._rules.max_tokens,
        }
        if dialect.takes_seed:
            asked["seed"] = call.seed
        if dialect.form != "text":
            asked["response_format"] = _response_format(dialect.form, call.scale)
        create = self._client.requests.chat.completions.with_raw_response.create
        raw = await self._client.patiently(lambda: create(**asked))
        said = read_completion(raw.content, raw.headers.get("content-type", ""), chat=True)
        model, fingerprint = _reported(raw.content)
        return Reply(said.text, model, fingerprint, said.prompt_tokens, said.completion_tokens)


def _response_format(form: Form, scale: tuple[int, int]) -> dict[str, Any]:
    if form == "json_object":
        return {"type": "json_object"}
    schema = {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "score": {"type": "integer", "enum": list(range(scale[0], scale[1] + 1))},
        },
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}


def _reported(content: bytes) -> tuple[str | None, str | None]:
    """Return the model's name and the fingerprint that a completion reports, each if it is a text."""
    said = json.loads(content)
    names = [said.get(name) for name in ("model", "system_fingerprint")]
    model, fingerprint = (
        # Half of a surrogate pair cannot be written as UTF-8.
        name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")[:_MOST_NAME]
        if isinstance(name, str)
        else None
        for name in names
    )
    return model, fingerprint
