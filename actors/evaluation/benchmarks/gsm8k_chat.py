"""GSM8K asked the way a chat model is used: without shots, through the model's chat template.

- Source, revision, licence, items: as `gsm8k`
- Sample item: "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total
  does it take?" -> 3
- Prompt: the question and the instruction below, as one user message. Models without a chat template get it as plain
  text.
- Answers end at the end-of-generation token or after 512 tokens (or the pipeline's limit, if lower).
- Extraction: as for `gsm8k`; "Answer: N" is one of the marks it looks for.
"""

from __future__ import annotations

from actors.evaluation.benchmarks import gsm8k
from actors.evaluation.benchmarks.reading import read_rows
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData, RawItem, user_prompt
from actors.items import Generate, Scorer

MAX_TOKENS = 512
INSTRUCTION = 'Solve the problem step by step. End with a line that says "Answer: " and the number alone.'


def _load(inputs: LoaderInputs) -> RawData:
    test = read_rows(inputs, gsm8k.TEST, gsm8k.problem)
    raw_items = tuple(
        RawItem(
            one.item_id,
            Generate(
                messages=user_prompt(f"{one.question}\n\n{INSTRUCTION}"),
                chat=True,
                stop=(),
                max_tokens=min(MAX_TOKENS, inputs.sampling.max_tokens),
            ),
            one.target,
        )
        for one in test.values
    )
    return RawData(raw_items, test.files)


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="gsm8k_chat",
        version=4,
        kind="generate",
        metric="accuracy",
        higher_is_better=True,
        shots=0,
        title={"en": "GSM8K, chat without shots", "ja": "GSM8K（チャット形式・例示なし）"},
        url=gsm8k.URL,
        licence=gsm8k.LICENCE,
        revision=gsm8k.REVISION,
        scorer=Scorer("number"),
        questions="gsm8k",
        category="mathematical_reasoning",
    ),
    load=_load,
)
