"""MT-Bench: 80 questions of two turns in eight categories. The answer to each turn is judged from 1 to 10.

- Source: https://github.com/lm-sys/FastChat, fastchat/llm_judge/data/mt_bench (Zheng et al. 2023, arXiv 2306.05685)
- Revision of the data folder (`mt_bench/`): 0e6d3e4beaab66f4d3f93db72541a4abab8af28d of that repository
- Revision on the hub: HuggingFaceH4/mt_bench_prompts at e3a795c5e9a82ee40611c416b8a7786c73198991. It comes from public
  repositories that pin it. The file itself could not be fetched when this was written, and no sha256 of it was found.
- Licence: Apache-2.0
- Sample item (math): "The vertices of a triangle are at points (0, 0), (-1, 1), and (3, 3). What is the area of the
  triangle?", then "What's area of the circle circumscribing the triangle?", with the references "Area is 3" and "5pi"
- Prompt: the first turn as the user's message, through the model's chat template; then the model's answer and the
  second turn
- Temperature by category, as FastChat has it: 0.7 for writing and roleplay, 0 for extraction, math, coding and
  reasoning, 0.1 for stem and humanities. It replaces the pipeline's temperature. At 0 the answers of all runs are the
  same, so they are generated once.
- Each answer ends at the end-of-generation token or after 1024 tokens (or the pipeline's limit, if lower).
- Samples per question: one per run (`runs`, 5 by default). Published scores often rest on one.
- Scoring: by a judge (`actors.judging`), each turn with its reference answer where the data have one. The score of a
  question is the mean over its turns.
"""

from __future__ import annotations

from typing import Any

from actors.evaluation.benchmarks.reading import BadLine, DataSet, Row, Rows, field, read_rows
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, user_prompt
from actors.evaluation.hub_files import HubFile
from actors.items import Generate, Scorer
from reporting.judging_reasons import JUDGE_SCORE

N_QUESTIONS = 80
MAX_TOKENS = 1024
URL = "https://github.com/lm-sys/FastChat"
LICENCE = "Apache-2.0"
RUBRICS = ("mt_bench_single",)
SCALE = (1.0, 10.0)
TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "extraction": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "reasoning": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}
TEST = DataSet(
    "mt_bench",
    "mt_bench/question.jsonl",
    (
        HubFile(
            "HuggingFaceH4/mt_bench_prompts",
            "e3a795c5e9a82ee40611c416b8a7786c73198991",
            "raw/question.jsonl",
            None,
        ),
    ),
    lambda number, row: {**row, "turns": row.get("prompt")},
)


def read_questions(inputs: LoaderInputs, data: DataSet) -> Rows[RawItem]:
    """Return the questions of a data set in the form of MT-Bench. Raise `BadInput` for broken ones."""
    limit = min(MAX_TOKENS, inputs.sampling.max_tokens)
    return read_rows(inputs, data, lambda row: _question(row, limit), id_field="question_id")


def _question(row: Row, max_tokens: int) -> RawItem:
    category = field(row, "category")
    if category not in TEMPERATURES:
        raise BadLine(f"a 'category' that is one of {', '.join(TEMPERATURES)}")
    turns = field(row, "turns", list)
    if not turns or not all(isinstance(turn, str) and turn for turn in turns):
        raise BadLine("'turns' with the text of each turn")
    task = Generate(
        user_prompt(turns[0]), True, (), max_tokens, then=tuple(turns[1:]), temperature=TEMPERATURES[category]
    )
    target = {"criteria": None, "references": _references(row, len(turns)), "category": category}
    return RawItem(str(row["question_id"]), task, target)


def _references(row: Row, n_turns: int) -> list[str | None]:
    """Return the reference answer of each turn. The data have an empty text, or nothing, where there is none."""
    given: list[Any] = row.get("reference") or []
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise BadLine("'reference' with one text per turn")
    if given and len(given) != n_turns:
        raise BadLine("as many texts in 'reference' as turns")
    return [text or None for text in given] or [None] * n_turns


def _load(inputs: LoaderInputs) -> RawData:
    rows = read_questions(inputs, TEST)
    return RawData(tuple(rows.values), rows.files)


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="mt_bench",
        version=1,
        kind="generate",
        metric=JUDGE_SCORE,
        higher_is_better=True,
        shots=0,
        title={"en": "MT-Bench", "ja": "MT-Bench（英語の2ターン対話）"},
        url=URL,
        licence=LICENCE,
        revision="0e6d3e4beaab66f4d3f93db72541a4abab8af28d",
        scorer=Scorer("judged"),
        scale=SCALE,
        rubrics=RUBRICS,
        n_published=N_QUESTIONS,
    ),
    load=_load,
)
