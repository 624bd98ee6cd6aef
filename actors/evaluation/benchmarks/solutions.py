"""Benchmarks that measure the gold solutions of others, instead of sampling answers.

Each question is asked as in the other benchmark, with the same examples, and the model is given the solution that the
data set holds (teacher forcing). What is measured is the negative log-likelihood of the solution, in nats per token.
That takes one pass over prompt and solution per item and arm, no seeds, and no sampling noise. The examples are decoded
once for all items. It shows how well a model predicts a right solution, not whether it finds one. Measured with
SmolLM2-135M on 96 items of GSM8K, against f16: q8_0 loses 0.0024 nats per token (standard deviation between items
0.009), q4_k_m 0.0775 (0.041).

These are benchmarks of their own, with records of their own, so answers that exist already stay valid. They run only if
the user names them: what they measure is not what users of a model notice, and each benchmark that is asked for is one
more that an arm must be no worse on.
"""

from __future__ import annotations

from dataclasses import replace

from actors.evaluation.contract import Benchmark, LoaderInputs, RawData, RawItem
from actors.items import Choose, Generate, Scorer

SUFFIX = "_solutions"


def solutions_of(benchmark: Benchmark) -> Benchmark:
    """Return the benchmark that measures the gold solutions of another. Its loader must give the solutions."""
    spec = benchmark.spec
    return Benchmark(
        replace(
            spec,
            name=f"{spec.name}{SUFFIX}",
            version=1,
            kind="choose",
            metric="nll",
            higher_is_better=False,
            title={"en": f"{spec.title['en']}: gold solutions", "ja": f"{spec.title['ja']}: 模範解答の尤度"},
            scorer=Scorer("measured"),
            scale=None,
        ),
        load=lambda inputs: _load(benchmark, inputs),
    )


def _load(benchmark: Benchmark, inputs: LoaderInputs) -> RawData:
    loaded = benchmark.load(inputs)
    return replace(loaded, raw_items=tuple(map(_forced, loaded.raw_items)))


def _forced(raw: RawItem) -> RawItem:
    """Return the item whose only choice is the solution."""
    task, solution = raw.task, raw.solution
    if not isinstance(task, Generate) or not solution:
        raise TypeError(f"{raw.item_id}: expected a question with a solution")
    return replace(raw, task=Choose(task.messages, task.chat, (solution,)), target=0)
