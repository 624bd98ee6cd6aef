"""GSM8K: grade-school word problems. The model writes a solution, and its final number is compared.

- Source: https://github.com/openai/grade-school-math, grade_school_math/data/{test,train}.jsonl
- Revision of the data folder (`gsm8k/`): 3101c7d5072418e28b9008a6636bde82a006892c of that repository
- Revision on the hub: openai/gsm8k at 740312add88f781978c0658806c59bc2815b9866. This revision and the sha256 of its
  files come from public repositories that pin them. The files themselves could not be fetched when this was written.
- Licence: MIT
- Sample item: "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total
  does it take?" -> 3
- Prompt: the first 8 problems of train (never of the test set) with their worked solutions, then the question:
  "Question: ...\\nAnswer: ...\\n#### N\\n\\n". Plain completion without a chat template, so that base and chat models
  get the same prompt. Calculator marks such as `<<48/2=24>>` are removed, because they were made for models with a
  calculator (Cobbe et al. 2021, arXiv 2110.14168, section 4.1). `gsm8k_chat` asks through the chat template, without
  shots.
- Answers end at the next "Question:", at the end-of-generation token, or after 256 tokens (or the pipeline's limit, if
  lower). With a vocabulary of 49,152 tokens, 99% of the test set's own solutions are no longer than that.
- Extraction: the number stated behind the last `####` or phrase such as "the answer is", else the number of the last
  sentence that has one (`scorers/numbers_in_text.py`). Numbers are compared by value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.evaluation.benchmarks.reading import BadLine, DataSet, Row, field, read_rows, row_id
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, few_shot_prompt
from actors.evaluation.hub_files import HubFile
from actors.evaluation.scorers.numbers_in_text import final_number
from actors.evaluation.scorers.numerals import written
from actors.items import Generate, Scorer

SHOTS = 8
MAX_TOKENS = 256
URL = "https://github.com/openai/grade-school-math"
LICENCE = "MIT"
REVISION = "3101c7d5072418e28b9008a6636bde82a006892c"
_HUB = ("openai/gsm8k", "740312add88f781978c0658806c59bc2815b9866")
_CALCULATOR_MARK = re.compile(r"<<[^>]*>>")


@dataclass(frozen=True)
class Problem:
    """A problem with its worked solution."""

    item_id: str
    question: str
    solution: str
    target: str
    """The final number, as text."""


def _with_id(part: str, number: int, row: Row) -> Row:
    """Add an id made of the row's number, because the hub's rows have none."""
    return {"id": f"{part}-{number}", **row}


TEST = DataSet(
    "gsm8k",
    "gsm8k/test.jsonl",
    (
        HubFile(
            *_HUB,
            "main/test-00000-of-00001.parquet",
            "ee7b8da9e381df27b9e3f7758a159ab2bdaa4dbaa910546cbbc47e0cb44e4f59",
        ),
    ),
    lambda number, row: _with_id("test", number, row),
)
TRAIN = DataSet(
    "gsm8k",
    "gsm8k/train_first200.jsonl",
    (
        HubFile(
            *_HUB,
            "main/train-00000-of-00001.parquet",
            "ea82612ea9582142387730c793eb67d3b12849002bc0b7fa6f8efafa7351419d",
        ),
    ),
    lambda number, row: _with_id("train", number, row),
)


def problem(row: Row) -> Problem:
    """Read a line of either file. Raise `BadLine` if the line is broken."""
    solution = field(row, "answer")
    number = final_number(solution)
    if "####" not in solution or number is None:
        raise BadLine("an 'answer' that ends with '#### NUMBER'")
    return Problem(row_id(row), field(row, "question"), solution, written(number))


def _load(inputs: LoaderInputs) -> RawData:
    test, train = read_rows(inputs, TEST, problem), read_rows(inputs, TRAIN, problem)
    shots = [f"Question: {shot.question}\nAnswer: {cleaned(shot)}\n\n" for shot in train.values[:SHOTS]]
    raw_items = tuple(
        RawItem(
            one.item_id,
            Generate(
                messages=few_shot_prompt(shots, f"Question: {one.question}\nAnswer:"),
                chat=False,
                stop=("Question:",),
                max_tokens=min(MAX_TOKENS, inputs.sampling.max_tokens),
            ),
            one.target,
            solution=f" {cleaned(one)}",
        )
        for one in test.values
    )
    return RawData(raw_items, (*test.files, *train.files))


def cleaned(shot: Problem) -> str:
    """Return the solution without its calculator marks."""
    return _CALCULATOR_MARK.sub("", shot.solution)


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="gsm8k",
        version=5,
        kind="generate",
        metric="accuracy",
        higher_is_better=True,
        shots=SHOTS,
        title={"en": "GSM8K (grade-school mathematics)", "ja": "GSM8K（小学校の算数文章題）"},
        url=URL,
        licence=LICENCE,
        revision=REVISION,
        scorer=Scorer("number"),
        questions="gsm8k",
        category="mathematical_reasoning",
    ),
    load=_load,
)
