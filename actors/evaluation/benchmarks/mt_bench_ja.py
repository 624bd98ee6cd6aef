"""Japanese MT-Bench: 80 questions of two turns in eight categories, judged from 1 to 10 (`mt_bench`).

- Source: https://github.com/Stability-AI/FastChat, branch jp-stable, fastchat/llm_judge/data/japanese_mt_bench
- Revision of the data folder (`japanese_mt_bench/`): e37eb28ee490480f6f4989274ed47c55f7dfce82 of that repository,
  question_full.jsonl
- Revision on the hub: none was found, so it needs a data folder.
- Licence: Apache-2.0
- Sample item (coding): "再帰（recursion）を用いてn番目のフィボナッチ数（Fibonacci number）を求めるC++プログラムを
  書いてください。", then the same for another sequence
- The file has no reference answers. A line may have them as `reference`, one text per turn, as in MT-Bench.
- Prompt, temperatures, length and scoring: as `mt_bench`
"""

from __future__ import annotations

from actors.evaluation.benchmarks.mt_bench import LICENCE, N_QUESTIONS, RUBRICS, SCALE, read_questions
from actors.evaluation.benchmarks.reading import DataSet
from actors.evaluation.contract import Benchmark, BenchmarkSpec, LoaderInputs, RawData
from actors.items import Scorer
from reporting.judging_reasons import JUDGE_SCORE

TEST = DataSet("mt_bench_ja", "japanese_mt_bench/question.jsonl")


def _load(inputs: LoaderInputs) -> RawData:
    rows = read_questions(inputs, TEST)
    return RawData(tuple(rows.values), rows.files)


BENCHMARK = Benchmark(
    BenchmarkSpec(
        name="mt_bench_ja",
        version=1,
        kind="generate",
        metric=JUDGE_SCORE,
        higher_is_better=True,
        shots=0,
        title={"en": "Japanese MT-Bench", "ja": "Japanese MT-Bench（日本語の2ターン対話）"},
        url="https://github.com/Stability-AI/FastChat",
        licence=LICENCE,
        revision="e37eb28ee490480f6f4989274ed47c55f7dfce82",
        scorer=Scorer("judged"),
        scale=SCALE,
        rubrics=RUBRICS,
        n_published=N_QUESTIONS,
    ),
    load=_load,
)
