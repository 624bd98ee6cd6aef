"""ARC-Challenge by letters: the prompt lists the choices, and the model writes the letter of one.

- Source, revision, licence, items: as `arc_challenge`
- Sample item: "George wants to warm his hands quickly by rubbing them. Which skin surface will produce the most
  heat?\\nA. dry palms\\nB. wet palms\\nC. palms covered with oil\\nD. palms covered with lotion" -> A
- Prompt: the first 25 items of train, then the question: "Question: ...\\nA. ...\\nB. ...\\nAnswer: B\\n\\n"; plain
  completion, so that base and chat models get the same prompt. Letters follow the order of the choices.
- Answers end at the end of the line, or after 16 tokens.
- Extraction: the letter that the answer names (`scorers/letter.py`). Unlike likelihoods, answers are sampled, except
  with `--temperature 0`.
"""

from __future__ import annotations

from actors.evaluation.benchmarks import arc_challenge
from actors.evaluation.benchmarks.arc_challenge import Science
from actors.evaluation.benchmarks.reading import BadLine, Row, read_rows
from actors.evaluation.benchmarks.targets import LETTERS
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, few_shot_prompt
from actors.items import Generate, Scorer

MAX_TOKENS = 16


def _question_text(one: Science) -> str:
    choices = "".join(f"{LETTERS[place]}. {text}\n" for place, text in enumerate(one.choices))
    return f"Question: {one.question}\n{choices}Answer:"


def _with_letters(row: Row) -> Science:
    one = arc_challenge.science_question(row)
    if len(one.choices) > len(LETTERS):
        raise BadLine(f"at most {len(LETTERS)} choices: there are letters from {LETTERS[0]} to {LETTERS[-1]}")
    return one


def _load(inputs: LoaderInputs) -> RawData:
    test = read_rows(inputs, arc_challenge.TEST, _with_letters)
    train = read_rows(inputs, arc_challenge.TRAIN, _with_letters)
    shots = [f"{_question_text(shot)} {LETTERS[shot.gold]}\n\n" for shot in train.values[: arc_challenge.SHOTS]]
    raw_items = tuple(
        RawItem(
            one.item_id,
            Generate(
                messages=few_shot_prompt(shots, _question_text(one)),
                chat=False,
                stop=("\n",),
                max_tokens=min(MAX_TOKENS, inputs.sampling.max_tokens),
            ),
            LETTERS[one.gold],
            n_letters=len(one.choices),
        )
        for one in test.values
    )
    return RawData(raw_items, (*test.files, *train.files))


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="arc_challenge_letter",
        version=3,
        kind="generate",
        metric="accuracy",
        higher_is_better=True,
        shots=arc_challenge.SHOTS,
        title={"en": "ARC-Challenge by letter", "ja": "ARC-Challenge（記号で解答）"},
        url=arc_challenge.URL,
        licence=arc_challenge.LICENCE,
        revision=arc_challenge.REVISION,
        scorer=Scorer("letter"),
        questions="arc_challenge",
        category="knowledge_qa",
    ),
    load=_load,
)
