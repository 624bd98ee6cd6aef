r"""Two benchmarks of MATH: competition problems with worked solutions. The final answer is compared by value.

- `math`: MATH-500, the 500 test problems that Lightman et al. 2023 (arXiv 2305.20050) kept for testing.
  Source: https://github.com/openai/prm800k; data folder `math/test.jsonl`; hub HuggingFaceH4/MATH-500, `test.jsonl`, at
  6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be.
- `math_full`: the whole test set, 5000 problems (Hendrycks et al. 2021, arXiv 2103.03874).
  Source: https://github.com/hendrycks/math; data folder `math_full/test.jsonl`; hub EleutherAI/hendrycks_math at
  21a5633873b6a120296cce3e2df9d5550074f4a3, one file per subject.
- The revisions and the sha256 of MATH-500 come from public repositories that pin them. The hub's files themselves could
  not be fetched when this was written.
- Licence: MIT
- Sample item: "Convert the point $(0,3)$ in rectangular coordinates to polar coordinates. ..." ->
  \left( 3, \frac{\pi}{2} \right)
- Prompt: 4 problems of train with their solutions, the first of each of the first four subjects, then the problem:
  "Problem:\n...\n\nSolution:\n...\n\n"; plain completion. In a data folder the examples come from
  `math/train50.jsonl`, on the hub from hendrycks_math's train files, whose problems differ. Do not compare scores
  from the two sources.
- Answers end at the next "Problem:", at the end-of-generation token, or after 1024 tokens (or the pipeline's limit, if
  lower). With 512 tokens the longest solutions are cut off, which counts as wrong and is given as the reason.
- Extraction: the last `\boxed{}`, or a final answer stated without a box (`scorers/mathematics.py`). math-verify
  compares it, in a process with limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from actors.evaluation.benchmarks.reading import BadLine, DataSet, Row, field, read_rows, row_id
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, few_shot_prompt
from actors.evaluation.hub_files import HubFile
from actors.evaluation.scorers.boxes import last_boxed
from actors.hashing import content_hash
from actors.items import Generate, Scorer

SHOTS = 4
MAX_TOKENS = 1024
_FULL = ("EleutherAI/hendrycks_math", "21a5633873b6a120296cce3e2df9d5550074f4a3")
_SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


@dataclass(frozen=True)
class _Problem:
    item_id: str
    problem: str
    solution: str
    answer: str
    subject: str


def _from_full(part: str) -> Callable[[int, Row], Row]:
    """Return the conversion of a hendrycks_math row: the subject is called `type` there, and there is no id."""
    return lambda number, row: {**row, "id": f"{part}-{number:04d}", "subject": row.get("type")}


def _from_500(number: int, row: Row) -> Row:
    return {**row, "id": row.get("unique_id")}


TEST_500 = DataSet(
    "math",
    "math/test.jsonl",
    (
        HubFile(
            "HuggingFaceH4/MATH-500",
            "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
            "test.jsonl",
            "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132",
        ),
    ),
    _from_500,
)
TEST_FULL = DataSet(
    "math_full",
    "math_full/test.jsonl",
    tuple(HubFile(*_FULL, f"{subject}/test-00000-of-00001.parquet", None) for subject in _SUBJECTS),
    _from_full("test"),
)
TRAIN = DataSet(
    "math",
    "math/train50.jsonl",
    tuple(HubFile(*_FULL, f"{subject}/train-00000-of-00001.parquet", None) for subject in _SUBJECTS[:SHOTS]),
    _from_full("train"),
)


def _row(row: Row) -> _Problem:
    solution = field(row, "solution")
    answer = field(row, "answer") if "answer" in row else last_boxed(solution)
    if not answer:
        raise BadLine(r"an 'answer', or a 'solution' with \boxed{}")
    return _Problem(row_id(row), field(row, "problem"), solution, answer, field(row, "subject"))


def _shots(rows: Iterable[_Problem]) -> list[_Problem]:
    """Return the first problem of each subject, in the order in which the subjects appear in the file."""
    first: dict[str, _Problem] = {}
    for row in rows:
        first.setdefault(row.subject, row)
    return list(first.values())[:SHOTS]


def _loader(test_set: DataSet) -> Callable[[LoaderInputs], RawData]:
    def load(inputs: LoaderInputs) -> RawData:
        test, train = read_rows(inputs, test_set, _row), read_rows(inputs, TRAIN, _row)
        shots = _shots(train.values)
        examples = [f"Problem:\n{shot.problem}\n\nSolution:\n{shot.solution}\n\n" for shot in shots]
        raw_items = tuple(
            RawItem(
                one.item_id,
                Generate(
                    messages=few_shot_prompt(examples, f"Problem:\n{one.problem}\n\nSolution:\n"),
                    chat=False,
                    stop=("Problem:",),
                    max_tokens=min(MAX_TOKENS, inputs.sampling.max_tokens),
                ),
                one.answer,
                cluster=content_hash(one.problem)[:12],  # the ids of the two test sets differ
                solution=one.solution,
            )
            for one in test.values
        )
        return RawData(raw_items, (*test.files, *train.files), len(shots))

    return load


MATH_500 = Benchmark(
    BenchmarkSpec(
        name="math",
        version=3,
        kind="generate",
        metric="accuracy",
        higher_is_better=True,
        shots=SHOTS,
        title={"en": "MATH-500 (competition mathematics)", "ja": "MATH-500（数学競技の問題）"},
        url="https://github.com/openai/prm800k",
        licence="MIT",
        revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        scorer=Scorer("math"),
        category="mathematical_reasoning",
        questions="math",
    ),
    load=_loader(TEST_500),
)

MATH_FULL = Benchmark(
    BenchmarkSpec(
        name="math_full",
        version=3,
        kind="generate",
        metric="accuracy",
        higher_is_better=True,
        shots=SHOTS,
        title={"en": "MATH, whole test set", "ja": "MATH（全テスト問題）"},
        url="https://github.com/hendrycks/math",
        licence="MIT",
        revision=_FULL[1],
        scorer=Scorer("math"),
        category="mathematical_reasoning",
        questions="math",
    ),
    load=_loader(TEST_FULL),
)
