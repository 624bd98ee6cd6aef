"""A results folder with a few generated answers, some of them hostile, for the page and the tables of all answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from reporting.analysis.results import ANSWER_COLUMNS
from reporting.frames import JUDGEMENT_SCHEMA, QUESTION_SCHEMA, RECORD_SCHEMA

ARMS = ("f16", "q8_0", "q4_k_m")
HOSTILE_TEXTS = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'><b>bold</b>",
    "]]> --> <!-- {{ 7 * 7 }} ${7 * 7}",
    "line\u2028separator\u2029and \x1b[31mescape\x07 and \u202eoverride",
    "مرحبا بالعالم <i>rtl</i>",
    '=HYPERLINK("http://evil.example";"x")',
)
COMPARISON: dict[str, Any] = {
    "pipeline_id": "demo",
    "arms": [{"name": arm, "model": "tiny", "reference": None if arm == "f16" else "f16"} for arm in ARMS],
    "benchmarks": [
        {"name": name, "kind": kind, "scale": scale, "title": {"ja": title, "en": title}}
        for name, kind, scale, title in (
            ("gsm8k", "generate", [0, 1], "GSM8K"),
            ("elyza", "generate", [1, 5], "ELYZA"),
            ("arc_challenge", "choose", [0, 1], "ARC"),
        )
    ],
}


def answer(arm: str, item_id: str, text: str | None, **fields: Any) -> dict[str, Any]:
    """Return a row of the table of answers."""
    row = {"arm": arm, "benchmark": "gsm8k", "item_id": item_id, "seed": 0, "outcome": "correct", "text": text}
    return dict.fromkeys(ANSWER_COLUMNS) | row | fields


def sample_answers() -> list[dict[str, Any]]:
    """Return answers of each kind: equal ones, flips, judged ones of two turns, thoughts, hostile and missing ones."""
    rows = [answer(arm, "same", "It is 4.", score=1.0, answer="4", completion_tokens=5) for arm in ARMS]
    rows += [
        answer("f16", "lost", "It is 4.", score=1.0, answer="4"),
        answer("q8_0", "lost", "It is 5.", score=0.0, outcome="wrong", answer="5"),
        answer("q4_k_m", "lost", "", score=0.0, outcome="wrong", reason="no_answer"),
        answer("f16", "gained", "It is 5.", score=0.0, outcome="wrong", answer="5"),
        answer("q8_0", "gained", "It is 4.", score=1.0, answer="4", thoughts="Two and two.", thought_tokens=3),
        answer("q4_k_m", "gained", None, outcome="unscored", reason="block_failed"),
    ]
    for place, text in enumerate(HOSTILE_TEXTS):
        rows += [answer(arm, f"hostile-{place}", text, score=1.0, answer=text, thoughts=text) for arm in ARMS[:2]]
    judged = {"benchmark": "elyza", "outcome": "judged", "earlier_texts": ["一つ目の回答"]}
    rows += [
        answer("f16", "task", "二つ目の回答", **judged, score=4.5),
        answer("q8_0", "task", "短い", **judged, score=2.0),
        answer("f16", "arc", None, benchmark="arc_challenge", score=1.0, answer="A"),
    ]
    return rows


def write_answers(folder: Path, rows: Sequence[Mapping[str, Any]], *, judged: bool = True) -> Path:
    """Write the tables of a run below `folder`, and return the path of its comparison, which is not written."""
    tables = folder / "report_data"
    tables.mkdir(parents=True)
    answers = pl.DataFrame(rows, schema={name: RECORD_SCHEMA[name] for name in ANSWER_COLUMNS})
    answers.sort("benchmark", "arm", "item_id").cast({pl.Categorical: pl.String}).write_parquet(
        tables / "answers.parquet"
    )
    asked = sorted({(row["benchmark"], row["item_id"]) for row in rows})
    questions = [
        {"benchmark": benchmark, "item_id": item, "question": f"What is {item}?", "expected": "4", "criteria": None}
        for benchmark, item in asked
    ]
    pl.DataFrame(questions, schema=QUESTION_SCHEMA).write_parquet(tables / "questions.parquet")
    if judged:
        _judgements().write_parquet(tables / "judgements.parquet")
    return folder / "comparison.json"


def _judgements() -> pl.DataFrame:
    """Return what two judges said of the judged answers. The second one gives no verdict on one turn."""
    rows = []
    for arm in ARMS[:2]:
        for turn in (0, 1):
            place = {"arm": arm, "benchmark": "elyza", "item_id": "task", "seed": 0, "turn": turn}
            for repeat in (0, 1):
                said = {"score": 4.0 + repeat, "text": f'{{"reason": "<b>fine</b>", "score": {4 + repeat}}}'}
                rows.append(place | {"judge": "strict", "repeat": repeat} | said)
            gave = {"score": 3.0} if turn == 0 else {"score": None, "reason": "unreadable_verdict", "text": "=1+1"}
            rows.append(place | {"judge": "mild", "repeat": 0} | gave)
    return pl.DataFrame(rows, schema=JUDGEMENT_SCHEMA)
