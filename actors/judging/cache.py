"""The verdicts of a storage, one file per key. What is there is not asked again, whichever run or pipeline wants it.

Only valid verdicts are kept. An ask that failed, or whose output could not be read, is asked again by a later run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from actors.hashing import content_hash
from actors.judging.asking import Reply
from actors.judging.orders import JUDGE_PROMPT_VERSION, JudgeModel, JudgeRules
from actors.judging.prompt import TurnToJudge
from actors.judging.rubrics import Rubric
from actors.keys import make_key
from actors.stored_files import verdict_path
from conf.files import read_object, write_json

_GRAMMAR_VERSION = 1
"""Raise it whenever a GGUF's verdicts follow another grammar."""


def judge_identity(judge: JudgeModel) -> dict[str, Any]:
    """Return what makes a judge the same judge: the sha256 of its GGUF, or the name of its model and its address.

    Servers often call their only model `default` or by its family, so the name alone does not tell two models apart.
    The price is that a judge that has moved is asked again.
    """
    if judge.endpoint is not None:
        parts = urlsplit(judge.endpoint.url)
        return {"model": judge.endpoint.model, "address": parts._replace(query="", fragment="").geturl().rstrip("/")}
    return {"gguf": judge.gguf_sha256, "form": _GRAMMAR_VERSION}


def rules_identity(rules: JudgeRules, rubric: Rubric) -> dict[str, Any]:
    """Return what changes the verdict on an answer besides the judge. The number of repeats does not."""
    return {
        "prompts": JUDGE_PROMPT_VERSION,
        "rubric": rubric.content_hash,
        "temperature": rules.temperature,
        "max_tokens": rules.max_tokens,
    }


def judgement_key(judge: JudgeModel, rules: JudgeRules, rubric: Rubric, turn: TurnToJudge, repeat: int) -> str:
    """Return the hash of all that a judgement is made from."""
    return content_hash(
        make_key(
            {
                "kind": "judgement",
                "judge": judge_identity(judge),
                "rules": rules_identity(rules, rubric),
                "questions": turn.questions,
                "answers": turn.answers,
                "references": turn.references,
                "criteria": turn.criteria,
                "repeat": repeat,
            }
        )
    )


@dataclass(frozen=True)
class KnownVerdict:
    """A valid verdict, with the reply that it was read from."""

    score: int
    reply: Reply


class VerdictCache:
    """The verdicts in one folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def read(self, key: str, scores: range) -> KnownVerdict | None:
        """Return the verdict with this key. None: there is none, or its file is damaged."""
        found = read_object(verdict_path(self._folder, key))
        if found is None:
            return None
        score, reply = found.get("score"), _reply(found)
        if type(score) is not int or score not in scores or reply is None:
            return None
        return KnownVerdict(score, reply)

    def write(self, key: str, verdict: KnownVerdict) -> None:
        """Keep a verdict."""
        reply = verdict.reply
        write_json(
            verdict_path(self._folder, key),
            {
                "score": verdict.score,
                "text": reply.text,
                "model": reply.model,
                "fingerprint": reply.fingerprint,
                "prompt_tokens": reply.prompt_tokens,
                "completion_tokens": reply.completion_tokens,
            },
        )


def _reply(found: dict[str, Any]) -> Reply | None:
    text, model, fingerprint = found.get("text"), found.get("model"), found.get("fingerprint")
    prompt_tokens, completion_tokens = found.get("prompt_tokens"), found.get("completion_tokens")
    if not isinstance(text, str) or any(one is not None and not isinstance(one, str) for one in (model, fingerprint)):
        return None
    if not isinstance(prompt_tokens, int) or not isinstance(completion_tokens, int):
        return None
    return Reply(text, model, fingerprint, prompt_tokens, completion_tokens)
