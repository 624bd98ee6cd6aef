"""MGSM, Japanese: 250 problems of GSM8K's test set, translated by people. Answers are numbers.

- Source: https://github.com/google-research/url-nlp, mgsm/mgsm_ja.tsv (Shi et al. 2022, arXiv 2210.03057)
- Revision of the data folder (`mgsm_ja/`): 452a21ad3dae5668c06ceeac21ff073e1e40f9be of that repository
- Revision on the hub: juletxara/mgsm at b2f13d426afe3be8d69a7e739b36724db8b66bbc. It comes from a public repository
  that pins it. The files themselves could not be fetched when this was written, and no sha256 of them was found.
- Licence: CC BY 4.0 (copies on the hub state CC BY-SA 4.0)
- Sample item: "ローブを作成するには、青色の繊維を2巻分、白色の繊維をその半分用いる必要があります。
  全体で何巻必要ですか？" -> 3
- Prompt: the question and the instruction below, through the model's chat template, without shots. If the data folder
  has `mgsm_ja/train.jsonl` (`id`, `question`, and `answer`: a worked solution), its first 8 rows are shown first, as
  turns of the conversation.
- Answers end at the end-of-generation token or after 512 tokens (or the pipeline's limit, if lower).
- Extraction: the number after the last 答え or other mark, else the last number (`scorers/numbers_in_text.py`).
  Japanese numerals count too.
- Its problems are the first 250 of GSM8K's test set (`gsm8k_id`), so results on the two are not independent. A mean
  over both takes each problem as one source.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.evaluation.benchmarks.reading import BadLine, DataSet, Row, Rows, field, read_rows, row_id
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, user_prompt
from actors.evaluation.hub_files import HubFile
from actors.evaluation.scorers.numbers_in_text import final_number
from actors.evaluation.scorers.numerals import written
from actors.items import Generate, Message, Scorer

MOST_SHOTS = 8
MAX_TOKENS = 512
INSTRUCTION = "順を追って考え、最後の行に「答え: 」と数値だけを書いてください。"
TEST = DataSet(
    "mgsm_ja",
    "mgsm_ja/test.jsonl",
    (HubFile("juletxara/mgsm", "b2f13d426afe3be8d69a7e739b36724db8b66bbc", "ja/test-00000-of-00001.parquet", None),),
    lambda number, row: {
        "id": f"mgsm_ja-{number}",
        "gsm8k_id": f"test-{number}",
        **row,
        "answer": str(row.get("answer_number")),
    },
)
TRAIN = DataSet("mgsm_ja", "mgsm_ja/train.jsonl")


@dataclass(frozen=True)
class _Problem:
    item_id: str
    question: str
    answer: str
    target: str
    gsm8k_id: str | None
    """The question of GSM8K that it is a translation of, if the data say so."""


def _row(row: Row) -> _Problem:
    answer = str(field(row, "answer", (str, int, float)))
    number = final_number(answer)
    if number is None:
        raise BadLine("an 'answer' with a number")
    source = row.get("gsm8k_id")
    return _Problem(
        row_id(row), field(row, "question"), answer, written(number), None if source is None else str(source)
    )


def _shots(inputs: LoaderInputs) -> Rows[_Problem]:
    if inputs.data_dir is None or not (inputs.data_dir / TRAIN.name).is_file():
        return Rows([], ())
    return read_rows(inputs, TRAIN, _row)


def _prompt_text(question: str) -> str:
    return f"{question}\n\n{INSTRUCTION}"


def _load(inputs: LoaderInputs) -> RawData:
    test, train = read_rows(inputs, TEST, _row), _shots(inputs)
    shots = train.values[:MOST_SHOTS]
    turns = tuple(
        message
        for number, shot in enumerate(shots)
        for message in (Message("user", _prompt_text(shot.question), number), Message("assistant", shot.answer, number))
    )
    raw_items = tuple(
        RawItem(
            one.item_id,
            Generate(
                messages=(*turns, *user_prompt(_prompt_text(one.question))),
                chat=True,
                stop=(),
                max_tokens=min(MAX_TOKENS, inputs.sampling.max_tokens),
            ),
            one.target,
            one.gsm8k_id,
        )
        for one in test.values
    )
    return RawData(raw_items, (*test.files, *train.files), len(shots))


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="mgsm_ja",
        version=4,
        kind="generate",
        metric="accuracy",
        higher_is_better=True,
        shots=0,
        title={"en": "MGSM (Japanese)", "ja": "MGSM（日本語の算数文章題）"},
        url="https://github.com/google-research/url-nlp",
        licence="CC BY 4.0",
        revision="452a21ad3dae5668c06ceeac21ff073e1e40f9be",
        scorer=Scorer("number"),
        questions="gsm8k",
        category="mathematical_reasoning",
    ),
    load=_load,
)
