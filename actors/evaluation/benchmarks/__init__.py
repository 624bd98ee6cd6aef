"""The table of benchmarks, and loading one: all its items, in their fixed order, with their hashes.

Each benchmark's file says where its data lies and how its answers are scored. This file leaves prompts and
extraction to them, and the decoding to the engines.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from actors.evaluation.benchmarks import (
    arc_challenge,
    demo_choice,
    demo_qa,
    gsm8k,
    perplexity_ja_wiki,
    perplexity_pydoc,
    perplexity_wikitext2,
)
from actors.evaluation.context_need import cells_of_choices, cells_of_chunks, cells_of_generation
from actors.evaluation.contract import Benchmark, BenchmarkData, Inputs, Question
from actors.llama.model import Model
from actors.store import content_hash
from actors.work import Choose, Generate, Item
from conf.faults import BadInput, Fault, near_names
from conf.schema import Sampling

BENCHMARKS: dict[str, Benchmark] = {
    "gsm8k": gsm8k.BENCHMARK,
    "arc_challenge": arc_challenge.BENCHMARK,
    "perplexity_wikitext2": perplexity_wikitext2.BENCHMARK,
    "perplexity_ja_wiki": perplexity_ja_wiki.BENCHMARK,
    "demo_qa": demo_qa.BENCHMARK,
    "demo_choice": demo_choice.BENCHMARK,
    "perplexity_pydoc": perplexity_pydoc.BENCHMARK,
}

GROUPS: dict[str, tuple[str, ...]] = {"perplexity": ("perplexity_wikitext2", "perplexity_ja_wiki")}

LATER = (
    "math",
    "elyza",
    "mgsm_ja",
    "mt_bench",
    "japanese_mt_bench",
    "jcommonsenseqa",
    "jnli",
    "jsquad",
    "jmmlu",
    "niilc",
    "jemhopqa",
    "mawps_ja",
    "lctg",
)
"""Benchmarks that are planned: asking for one is told apart from a slip of the pen."""


def expand_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names as a user gives them -> names of the table, in order, each once. Raises `BadInput`, all faults at once."""
    faults: list[Fault] = []
    expanded: list[str] = []
    for name in names:
        if name in GROUPS:
            expanded.extend(GROUPS[name])
        elif name in BENCHMARKS:
            expanded.append(name)
        else:
            faults.append(_unknown(name))
    if faults:
        raise BadInput(faults)
    return tuple(dict.fromkeys(expanded))


def _unknown(name: str) -> Fault:
    known = [*BENCHMARKS, *GROUPS]
    allowed = "one of " + ", ".join(known)
    if name in LATER:
        return Fault("benchmarks", name, allowed, f"'{name}' is planned, but not there yet: leave it out.")
    return Fault("benchmarks", name, allowed, near_names(name, known))


def load(name: str, *, data_dir: Path | None, sampling: Sampling, vocabulary: Model) -> BenchmarkData:
    """All items of a benchmark of the table. Raises `BadInput` for missing or broken data."""
    benchmark = BENCHMARKS[name]
    loaded = benchmark.load(Inputs(data_dir, sampling, vocabulary))
    questions = _in_order(benchmark, loaded.questions)
    content = [[question.item_id, asdict(question.task), question.target] for question in questions]
    return BenchmarkData(
        name=benchmark.name,
        version=benchmark.version,
        kind=benchmark.kind,
        metric=benchmark.metric,
        higher_is_better=benchmark.higher_is_better,
        items=tuple(Item(q.item_id, q.task, q.target, _prompt_hash(q), q.cluster) for q in questions),
        data_hash=content_hash({"name": benchmark.name, "version": benchmark.version, "items": content}),
        shots=benchmark.shots,
        title=benchmark.title,
        source={
            "url": benchmark.url,
            "licence": benchmark.licence,
            "revision": benchmark.revision,
            "files": [asdict(file) for file in loaded.files],
        },
    )


def _in_order(benchmark: Benchmark, questions: Sequence[Question]) -> list[Question]:
    """Sorted by id, then (but for chunks of a text) shuffled once and for all: a larger limit extends a smaller one."""
    ordered = sorted(questions, key=lambda question: question.item_id)
    if benchmark.kind != "measure":
        random.Random(0).shuffle(ordered)
    return ordered


def _prompt_hash(question: Question) -> str:
    """Over messages (and choices) or tokens, before any chat template."""
    task = question.task
    if isinstance(task, Generate):
        return content_hash({"messages": [asdict(message) for message in task.messages]})
    if isinstance(task, Choose):
        return content_hash({"messages": [asdict(message) for message in task.messages], "choices": task.choices})
    return content_hash({"tokens": task.tokens, "first_scored": task.first_scored})


def required_context(data: BenchmarkData, *, sequences: int, sampling: Sampling, vocabulary: Model) -> int:
    """KV cells with which no block of this benchmark ever waits for room, over all items: a multiple of 256."""
    tasks = [item.task for item in data.items]
    if data.kind == "generate":
        return cells_of_generation(tasks, sequences, sampling.max_tokens, vocabulary)
    if data.kind == "choose":
        return cells_of_choices(tasks, sequences, vocabulary)
    return cells_of_chunks(tasks)


def is_sampled(data: BenchmarkData, sampling: Sampling) -> bool:
    """Whether the output depends on the seed: never for likelihoods and perplexity, nor at temperature 0."""
    return data.kind == "generate" and sampling.temperature > 0.0
