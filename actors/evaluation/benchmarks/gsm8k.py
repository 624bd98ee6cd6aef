"""GSM8K: grade-school word problems; the model writes a solution, its number is compared.

- Source: https://github.com/openai/grade-school-math, grade_school_math/data/{test,train}.jsonl
- Revision: 3101c7d5072418e28b9008a6636bde82a006892c, as found in the data folder (`gsm8k/`)
- Licence: MIT
- Sample item: "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total
  does it take?" -> 3
- Prompt: the first 8 problems of `train_first200.jsonl` with their worked solutions (never one of the test),
  then the question; plain completion, no chat template, so that base and chat models are asked alike:
  "Question: ...\\nAnswer: ...\\n#### N\\n\\n". The calculator marks `<<48/2=24>>` are taken out: they were made
  for models with a calculator (Cobbe et al. 2021, arXiv 2110.14168, section 4.1).
- Answers end at the next "Question:", at the end-of-generation token, or after 256 tokens (or the pipeline's
  limit, if lower): 99% of the test's own solutions are no longer than that with a vocabulary of 49,152 tokens.
- Extraction: the last answer, behind `####` or a phrase such as "the answer is", else the last number of the text
  (`scorers/numbers_in_text.py`). Compared by value.
"""

from __future__ import annotations

import re
from typing import Any

from actors.evaluation.benchmarks.reading import BadLine, data_file, field, read_lines, source_file
from actors.evaluation.contract import Benchmark, Inputs, Loaded, Question, user_prompt
from actors.evaluation.scorers.numbers_in_text import final_number, score_number
from actors.work import Generate

SHOTS = 8
MAX_TOKENS = 256
_TEST = "gsm8k/test.jsonl"
_TRAIN = "gsm8k/train_first200.jsonl"
_CALCULATOR_MARK = re.compile(r"<<[^>]*>>")


def _row(row: dict[str, Any]) -> tuple[str, str, str]:
    """Id, question, worked solution."""
    solution = field(row, "answer")
    if "####" not in solution or final_number(solution) is None:
        raise BadLine("an 'answer' that ends with '#### NUMBER'")
    return str(field(row, "id", (str, int))), field(row, "question"), solution


def _load(inputs: Inputs) -> Loaded:
    test_path = data_file(inputs, "gsm8k", _TEST)
    train_path = data_file(inputs, "gsm8k", _TRAIN)
    shots = read_lines(train_path, "id", _row)[:SHOTS]
    prefix = "".join(f"Question: {question}\nAnswer: {_cleaned(solution)}\n\n" for _, question, solution in shots)
    questions = [
        Question(
            item_id,
            Generate(
                messages=user_prompt(f"{prefix}Question: {question}\nAnswer:"),
                chat=False,
                stop=("Question:",),
                max_tokens=min(MAX_TOKENS, inputs.sampling.max_tokens),
            ),
            str(final_number(solution)),
        )
        for item_id, question, solution in read_lines(test_path, "id", _row)
    ]
    return Loaded(tuple(questions), (source_file(inputs, test_path), source_file(inputs, train_path)))


def _cleaned(solution: str) -> str:
    return _CALCULATOR_MARK.sub("", solution)


BENCHMARK = Benchmark(
    name="gsm8k",
    version=2,
    kind="generate",
    metric="accuracy",
    higher_is_better=True,
    shots=SHOTS,
    title={"en": "GSM8K (grade-school mathematics)", "ja": "GSM8K（小学校の算数文章題）"},
    url="https://github.com/openai/grade-school-math",
    licence="MIT",
    revision="3101c7d5072418e28b9008a6636bde82a006892c",
    load=_load,
    score=score_number,
)
