"""Orders, records and scripted judges for tests of judging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.judging.asking import Declined, JudgeCall, KeepReply, Reply
from actors.judging.cache import VerdictCache
from actors.judging.judge import BlockJudgements, judge_block
from actors.judging.orders import JudgedItem, JudgeModel, JudgeOrder, JudgeRules
from actors.orders import Endpoint, ReportTokens
from actors.records import Record
from tests.conftest import ignore

ENDPOINT = Endpoint("http://127.0.0.1:9/v1", "judge-model", 4, 10.0, 1)
JUDGE = JudgeModel("judge", ENDPOINT)
RULES = JudgeRules("elyza_2023", repeats=2, temperature=0.7, max_tokens=200)


def item(name: str, *, questions: tuple[str, ...] = ("質問です。",), **more: Any) -> JudgedItem:
    given = {"criteria": "- 短ければ 1 点減点", "references": (None,) * len(questions), **more}
    return JudgedItem(name, questions, **given)


def record(name: str, text: str | None, *, seed: int = 0, **more: Any) -> Record:
    return Record(name, seed, "hash", None, **{"outcome": "unscored", "reason": "no_judge", "text": text, **more})


def order(folder: Path, items: Sequence[JudgedItem], **more: Any) -> JudgeOrder:
    given: dict[str, Any] = {
        "arm": "q4_k_m",
        "benchmark": "elyza",
        "judge": JUDGE,
        "rules": RULES,
        "items": tuple(items),
        "seeds": (0, 1),
        "records_path": str(folder / "records.jsonl"),
        "output_path": str(folder / "judgements.jsonl"),
        "cache_dir": str(folder / "cache"),
        "calls_left": None,
    }
    return JudgeOrder(**{**given, **more})


def answered(text: str) -> Reply:
    return Reply(text, "judge-model-2026", "fp_1", 100, 20)


def verdict(score: object, reason: str = "理由") -> str:
    return f'{{"reason": "{reason}", "score": {score}}}'


@dataclass
class ScriptedJudge:
    """Says what a function of the call says."""

    say: Callable[[JudgeCall], str | Declined]
    calls: list[JudgeCall] = field(default_factory=list)

    def ask(self, calls: Sequence[JudgeCall], keep: KeepReply, report: ReportTokens) -> None:
        for call in calls:
            self.calls.append(call)
            said = self.say(call)
            keep(call, answered(said) if isinstance(said, str) else said)

    def close(self) -> None:
        """Do nothing."""


def judged(given: JudgeOrder, records: Sequence[Record], judge: ScriptedJudge) -> BlockJudgements:
    return judge_block(given, records, lambda: judge, VerdictCache(given.cache_dir), ignore)
