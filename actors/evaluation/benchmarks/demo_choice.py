"""Demo, multiple choice: easy questions in English and Japanese, answered by comparing the choices' likelihoods.

- Source: `conf/demo/choice.jsonl`, written for this project (general knowledge)
- Licence: the project's
- Revision: none; the results hold the file's hash
- Sample item: "Which animal can fly?" an eagle | a shark | a horse | a mouse -> the first
- Prompt: four fixed examples, two in each language, then the question: "Q: ...\\nA:" or "質問: ...\\n答え:".
- Scoring: like ARC-Challenge, the highest log-likelihood per character wins (`scorers/choice.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.evaluation.benchmarks.embedded import read_embedded
from actors.evaluation.benchmarks.reading import BadLine, field
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, user_prompt
from actors.items import Choose, Scorer

PROMPTS = {"en": "Q: {question}\nA:", "ja": "質問: {question}\n答え:"}
SHOTS = (
    ("en", "Which of these is a drink?", "tea"),
    ("en", "Where do birds build nests?", "in trees"),
    ("ja", "野菜はどれですか。", "にんじん"),
    ("ja", "ご飯を食べる道具はどれですか。", "はし"),
)


@dataclass(frozen=True)
class _Row:
    item_id: str
    lang: str
    question: str
    choices: tuple[str, ...]
    gold: int


def _row(row: dict[str, Any]) -> _Row:
    choices, gold, lang = field(row, "choices", list), field(row, "gold", int), field(row, "lang")
    if len(choices) < 2 or not all(isinstance(choice, str) and choice for choice in choices):
        raise BadLine("'choices' with at least two texts")
    if not 0 <= gold < len(choices):
        raise BadLine(f"a 'gold' from 0 to {len(choices) - 1}")
    if lang not in PROMPTS:
        raise BadLine(f"a 'lang' that is one of {', '.join(PROMPTS)}")
    return _Row(field(row, "id"), lang, field(row, "question"), tuple(choices), gold)


def _load(_inputs: LoaderInputs) -> RawData:
    rows, file = read_embedded("choice.jsonl", _row)
    prefix = "".join(f"{PROMPTS[lang].format(question=question)} {answer}\n\n" for lang, question, answer in SHOTS)
    raw_items = tuple(
        RawItem(
            row.item_id,
            Choose(
                messages=user_prompt(prefix + PROMPTS[row.lang].format(question=row.question)),
                chat=False,
                choices=tuple(f" {choice}" for choice in row.choices),
            ),
            row.gold,
        )
        for row in rows
    )
    return RawData(raw_items, (file,))


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="demo_choice",
        version=1,
        kind="choose",
        metric="accuracy",
        higher_is_better=True,
        shots=len(SHOTS),
        title={"en": "Easy multiple choice (demo)", "ja": "やさしい選択問題（デモ）"},
        url="conf/demo/choice.jsonl",
        licence="as the project",
        revision="embedded",
        scorer=Scorer("choice_loglik"),
        category="knowledge_qa",
    ),
    load=_load,
)
