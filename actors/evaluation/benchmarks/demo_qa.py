"""Demo, generated answers: short questions in English and Japanese that a very small model sometimes gets right.

- Source: `conf/demo/qa.jsonl`, written for this project (general knowledge and small arithmetic)
- Licence: the project's
- Revision: none; the results hold the file's hash
- Sample item: "What is the opposite of hot?" -> cold; "一週間は何日ですか。" -> 7
- Prompt: six fixed examples, three in each language, then the question: "Q: ...\\nA:" or "質問: ...\\n答え:". The
  beginning is the same for both languages, so that the engine decodes it once. Plain completion.
- Answers end at the end of the line, or after 16 tokens.
- Extraction: the first line, compared with the accepted answers (`scorers/short_answer.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.evaluation.benchmarks.embedded import read_embedded
from actors.evaluation.benchmarks.reading import BadLine, field
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, user_prompt
from actors.items import Generate, Scorer

MAX_TOKENS = 16
PROMPTS = {"en": "Q: {question}\nA:", "ja": "質問: {question}\n答え:"}
SHOTS = (
    ("ja", "「いぬ」をもう一度書いてください。", "いぬ"),
    ("ja", "2と5、大きいのはどちらですか。", "5"),
    ("ja", "「かわ」をもう一度書いてください。", "かわ"),
    ("en", "What is 3 + 1?", "4"),
    ("en", "What is the opposite of up?", "down"),
    ("en", "What is the capital of France?", "Paris"),
)


@dataclass(frozen=True)
class _Row:
    item_id: str
    lang: str
    question: str
    answers: tuple[str, ...]


def _row(row: dict[str, Any]) -> _Row:
    answers = field(row, "answers", list)
    if not answers or not all(isinstance(answer, str) and answer for answer in answers):
        raise BadLine("'answers' with at least one text")
    lang = field(row, "lang")
    if lang not in PROMPTS:
        raise BadLine(f"a 'lang' that is one of {', '.join(PROMPTS)}")
    return _Row(field(row, "id"), lang, field(row, "question"), tuple(answers))


def few_shot() -> str:
    """Return the examples as one text, each followed by an empty line."""
    return "".join(f"{PROMPTS[lang].format(question=question)} {answer}\n\n" for lang, question, answer in SHOTS)


def _load(inputs: LoaderInputs) -> RawData:
    rows, file = read_embedded("qa.jsonl", _row)
    prefix = few_shot()
    raw_items = tuple(
        RawItem(
            row.item_id,
            Generate(
                messages=user_prompt(prefix + PROMPTS[row.lang].format(question=row.question)),
                chat=False,
                stop=("\n",),
                max_tokens=min(MAX_TOKENS, inputs.sampling.max_tokens),
            ),
            list(row.answers),
        )
        for row in rows
    )
    return RawData(raw_items, (file,))


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="demo_qa",
        version=2,
        kind="generate",
        metric="accuracy",
        higher_is_better=True,
        shots=len(SHOTS),
        title={"en": "Short questions (demo)", "ja": "短い質問（デモ）"},
        url="conf/demo/qa.jsonl",
        licence="as the project",
        revision="embedded",
        scorer=Scorer("short_answer"),
        category="knowledge_qa",
    ),
    load=_load,
)
