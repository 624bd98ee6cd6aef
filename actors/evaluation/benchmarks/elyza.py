"""ELYZA Tasks 100: 100 Japanese tasks of many kinds, each with criteria of its own. Answers are judged from 1 to 5.

- Source: https://huggingface.co/datasets/elyza/ELYZA-tasks-100 (Sasaki et al. 2023)
- Revision of the data folder (`elyza_tasks_100/`): 75413eaad90ce47ef648f2be60960f8d2b35d88f of
  https://github.com/Northern-System-Service/gpt4-autoeval, assets/01-ai/Yi-6B-Chat/dataset.jsonl
- Revision on the hub: the tag 1.0.0 of elyza/ELYZA-tasks-100, test.csv. Public programs pin this tag; neither its
  commit nor a sha256 of the file was found. The file itself could not be fetched when this was written.
- Licence: CC BY-SA 4.0
- Sample item: "仕事の熱意を取り戻すためのアイデアを5つ挙げてください。" with the criterion, among others, that more or
  fewer than five ideas cost one point
- Prompt: the task alone, as the user's message, through the model's chat template
- Answers end at the end-of-generation token or after 1024 tokens (or the pipeline's limit, if lower).
- Scoring: by a judge (`actors.judging`), with the task's criteria and its reference answer. `elyza_2023` follows the
  published guideline; `elyza_strict` gives the lowest score to an answer in another language than the task.
- Published scores are means over all 100 tasks.
"""

from __future__ import annotations

from actors.evaluation.benchmarks.reading import DataSet, Row, field, read_rows, row_id
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, user_prompt
from actors.evaluation.hub_files import HubFile
from actors.items import Generate, Scorer
from reporting.judging_reasons import JUDGE_SCORE

N_TASKS = 100
MAX_TOKENS = 1024
TEST = DataSet(
    "elyza",
    "elyza_tasks_100/test.jsonl",
    (HubFile("elyza/ELYZA-tasks-100", "1.0.0", "test.csv", None),),
    lambda number, row: {"id": number, **row},
)


def _load(inputs: LoaderInputs) -> RawData:
    def task(row: Row) -> RawItem:
        target = {
            "criteria": field(row, "eval_aspect").strip(),
            "references": [field(row, "output")],
            "category": None,
        }
        limit = min(MAX_TOKENS, inputs.sampling.max_tokens)
        return RawItem(row_id(row), Generate(user_prompt(field(row, "input")), True, (), limit), target)

    rows = read_rows(inputs, TEST, task)
    return RawData(tuple(rows.values), rows.files)


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="elyza",
        version=1,
        kind="generate",
        metric=JUDGE_SCORE,
        higher_is_better=True,
        shots=0,
        title={"en": "ELYZA Tasks 100", "ja": "ELYZA Tasks 100（日本語の指示追従）"},
        url="https://huggingface.co/datasets/elyza/ELYZA-tasks-100",
        licence="CC BY-SA 4.0",
        revision="1.0.0",
        scorer=Scorer("judged"),
        scale=(1.0, 5.0),
        rubrics=("elyza_2023", "elyza_strict"),
        n_published=N_TASKS,
    ),
    load=_load,
)
