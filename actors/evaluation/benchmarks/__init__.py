"""The table of benchmarks, and loading one: all its items, in their fixed order, with their hashes.

Each benchmark's file says where its data lies and how its answers are scored. This file leaves prompts and
extraction to them, and the decoding to the engines.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from actors.evaluation.benchmarks import (
    arc_challenge,
    arc_challenge_letter,
    demo_choice,
    demo_qa,
    gsm8k,
    gsm8k_chat,
    mathematics,
    mgsm_ja,
    perplexity_ja_wiki,
    perplexity_pydoc,
    perplexity_wikitext2,
)
from actors.evaluation.benchmarks.custom_items import asked_benchmark
from actors.evaluation.contract import Benchmark, BenchmarkData, Inputs, Question
from actors.evaluation.custom_function import call_identity, function_benchmark
from actors.evaluation.hub_files import HUB, HubDoor
from actors.evaluation.kv_cache import Need, need_of
from actors.evaluation.prompt_fit import fit
from actors.llama.model import Model
from actors.orders import Call, Choose, Generate, Item, Message, Task
from actors.store import content_hash
from conf.custom_benchmarks import custom_defaults, read_custom_benchmark
from conf.faults import BadInput, Fault, Faults, near_names
from conf.schema import Sampling

BENCHMARKS: dict[str, Benchmark] = {
    "gsm8k": gsm8k.BENCHMARK,
    "gsm8k_chat": gsm8k_chat.BENCHMARK,
    "math": mathematics.MATH_500,
    "math_full": mathematics.MATH_FULL,
    "arc_challenge": arc_challenge.BENCHMARK,
    "arc_challenge_letter": arc_challenge_letter.BENCHMARK,
    "mgsm_ja": mgsm_ja.BENCHMARK,
    "perplexity_wikitext2": perplexity_wikitext2.BENCHMARK,
    "perplexity_ja_wiki": perplexity_ja_wiki.BENCHMARK,
    "demo_qa": demo_qa.BENCHMARK,
    "demo_choice": demo_choice.BENCHMARK,
    "perplexity_pydoc": perplexity_pydoc.BENCHMARK,
}

GROUPS: dict[str, tuple[str, ...]] = {"perplexity": ("perplexity_wikitext2", "perplexity_ja_wiki")}

LATER = (
    "elyza",
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


def find_benchmarks(names: Sequence[str]) -> tuple[Benchmark, ...]:
    """Benchmarks as a user names them: of the table, or by the path of a file of the user's own (.yaml, .py).

    In the order given, each once. Raises `BadInput`, all faults at once.
    """
    faults = Faults()
    found: dict[str, Benchmark] = {}
    for name in names:
        for benchmark in faults.gather(_own if is_file_name(name) else _of_table, name) or ():
            if found.setdefault(benchmark.name, benchmark) is not benchmark:
                allowed = "benchmarks whose names differ"
                faults.add(Fault("--benchmarks", name, allowed, f"Give it a `name:` other than {benchmark.name}."))
    faults.stop_if_any()
    return tuple(found.values())


def is_file_name(name: str) -> bool:
    """Whether a name means a file of the user's own."""
    return name.endswith((".yaml", ".yml", ".py"))


def _own(name: str) -> list[Benchmark]:
    path = Path(name).absolute()
    if path.suffix == ".py":
        custom = custom_defaults(path)
        return [function_benchmark(custom, path)]
    custom = read_custom_benchmark(path)
    if custom.name in BENCHMARKS or custom.name in GROUPS:
        raise BadInput(Fault(f"{path}: name", custom.name, "a name that no benchmark of ours has", "Rename it."))
    if custom.python is not None:
        return [function_benchmark(custom, path.parent / custom.python)]
    assert custom.scorer is not None  # the schema sees to it
    return [asked_benchmark(custom, path.parent, custom.scorer)]


def _of_table(name: str) -> list[Benchmark]:
    names = GROUPS.get(name, (name,))
    if not set(names) <= BENCHMARKS.keys():
        raise BadInput(_unknown(name))
    return [BENCHMARKS[one] for one in names]


def _unknown(name: str) -> Fault:
    known = [*BENCHMARKS, *GROUPS]
    allowed = "one of " + ", ".join(known)
    if name in LATER:
        return Fault("--benchmarks", name, allowed, f"'{name}' is planned, but not there yet: leave it out.")
    return Fault("--benchmarks", name, allowed, near_names(name, known))


def load(
    named: Benchmark | str,
    *,
    data_dir: Path | None,
    sampling: Sampling,
    vocabulary: Model,
    hub: HubDoor = HUB,
    limit: int | None = None,
    system: str | None = None,
    chat_template: str | None = None,
) -> BenchmarkData:
    """All items of a benchmark, one of the table where it is named.

    `system` is the model's system prompt: it goes before the messages of chats that have none of their own.
    `chat_template` is used in place of the model's own. Raises `BadInput` for missing or broken data.
    """
    benchmark = BENCHMARKS[named] if isinstance(named, str) else named
    loaded = benchmark.load(Inputs(data_dir, sampling, vocabulary, hub, limit))
    questions = [
        _fitted(_with_system(question, system), sampling, vocabulary, chat_template)
        for question in _in_order(benchmark, loaded.questions)
    ]
    content = [[q.item_id, _content(q.task), q.target, q.shots_dropped, q.too_long] for q in questions]
    return BenchmarkData(
        name=benchmark.name,
        version=benchmark.version,
        kind=benchmark.kind,
        metric=benchmark.metric,
        higher_is_better=benchmark.higher_is_better,
        items=tuple(
            Item(q.item_id, q.task, q.target, _prompt_hash(q), q.cluster, q.shots_dropped, q.too_long)
            for q in questions
        ),
        data_hash=content_hash(
            {
                "name": benchmark.name,
                "version": benchmark.version,
                "scorer": asdict(benchmark.scorer),
                "items": content,
            }
        ),
        scorer=benchmark.scorer,
        sampled=benchmark.sampled,
        shots=benchmark.shots if loaded.shots is None else loaded.shots,
        title=benchmark.title,
        source={
            "url": benchmark.url,
            "licence": benchmark.licence,
            "revision": benchmark.revision,
            "files": [asdict(file) for file in loaded.files],
        },
        category=benchmark.category,
    )


def _in_order(benchmark: Benchmark, questions: Sequence[Question]) -> list[Question]:
    """Sorted by id, then (but for chunks of a text) shuffled once and for all: a larger limit extends a smaller one."""
    ordered = sorted(questions, key=lambda question: question.item_id)
    if benchmark.kind != "measure":
        random.Random(0).shuffle(ordered)
    return ordered


def _fitted(question: Question, sampling: Sampling, vocabulary: Model, chat_template: str | None) -> Question:
    if isinstance(question.task, Call):
        return question
    fitted = fit(question.task, sampling.max_tokens, vocabulary, chat_template)
    return replace(question, task=fitted.task, shots_dropped=fitted.shots_dropped, too_long=fitted.too_long)


def _with_system(question: Question, system: str | None) -> Question:
    task = question.task
    if system is None or not isinstance(task, Generate | Choose) or not task.chat or task.messages[0].role == "system":
        return question
    return replace(question, task=replace(task, messages=(Message("system", system), *task.messages)))


def _content(task: Task) -> dict[str, Any]:
    return call_identity(task) if isinstance(task, Call) else asdict(task)


def _prompt_hash(question: Question) -> str:
    """Over messages (and choices) or tokens, before any chat template."""
    task = question.task
    if isinstance(task, Call):
        return content_hash({"call": call_identity(task)})
    if isinstance(task, Generate):
        return content_hash({"messages": [asdict(message) for message in task.messages]})
    if isinstance(task, Choose):
        return content_hash({"messages": [asdict(message) for message in task.messages], "choices": task.choices})
    return content_hash({"tokens": task.tokens, "first_scored": task.first_scored})


def cache_need(data: BenchmarkData, *, sampling: Sampling, vocabulary: Model, chat_template: str | None = None) -> Need:
    """KV cells with which no block of this benchmark ever waits for room, over all items."""
    tasks = [item.task for item in data.items if not item.too_long]
    return need_of(tasks, sampling.max_tokens, vocabulary, chat_template)


def is_sampled(data: BenchmarkData, sampling: Sampling) -> bool:
    """Whether the output depends on the seed: never for likelihoods and perplexity, nor at temperature 0."""
    return data.kind in ("generate", "function") and data.sampled and sampling.temperature > 0.0
