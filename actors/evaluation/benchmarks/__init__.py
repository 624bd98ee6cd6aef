"""The table of benchmarks, and the function that loads one with all its items in their fixed order and their hashes.

Each benchmark's file says where its data is and how answers are scored. The engines decode.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from actors.chat import render_prompts
from actors.engines.turns import whole_conversation
from actors.evaluation.benchmarks import (
    arc_challenge,
    arc_challenge_letter,
    demo_choice,
    demo_qa,
    elyza,
    gsm8k,
    gsm8k_chat,
    mathematics,
    mgsm_ja,
    mt_bench,
    mt_bench_ja,
    perplexity_ja_wiki,
    perplexity_pydoc,
    perplexity_wikitext2,
)
from actors.evaluation.benchmarks.custom_items import prompted_benchmark
from actors.evaluation.benchmarks.solutions import solutions_of
from actors.evaluation.contract import Benchmark, BenchmarkData, BenchmarkSpec, LoaderInputs, RawItem
from actors.evaluation.custom_function import call_identity, function_benchmark
from actors.evaluation.hub_files import HUB, DatasetHub
from actors.evaluation.prompt_fit import fit
from actors.hashing import content_hash
from actors.items import Call, Choose, Generate, Item, Message, Task, TemplateUse
from actors.llama.model import Model
from actors.rendering import TemplateOverLimit
from conf.custom_benchmarks import custom_defaults, read_custom_benchmark
from conf.faults import BadInput, Fault, Faults, near_names
from conf.schema.answers import Sampling
from conf.tiers import GROUPS

BENCHMARKS: dict[str, Benchmark] = {
    "gsm8k": gsm8k.BENCHMARK,
    "gsm8k_solutions": solutions_of(gsm8k.BENCHMARK),
    "gsm8k_chat": gsm8k_chat.BENCHMARK,
    "math": mathematics.MATH_500,
    "math_solutions": solutions_of(mathematics.MATH_500),
    "math_full": mathematics.MATH_FULL,
    "math_full_solutions": solutions_of(mathematics.MATH_FULL),
    "arc_challenge": arc_challenge.BENCHMARK,
    "arc_challenge_letter": arc_challenge_letter.BENCHMARK,
    "mgsm_ja": mgsm_ja.BENCHMARK,
    "elyza": elyza.BENCHMARK,
    "mt_bench": mt_bench.BENCHMARK,
    "mt_bench_ja": mt_bench_ja.BENCHMARK,
    "perplexity_wikitext2": perplexity_wikitext2.BENCHMARK,
    "perplexity_ja_wiki": perplexity_ja_wiki.BENCHMARK,
    "demo_qa": demo_qa.BENCHMARK,
    "demo_choice": demo_choice.BENCHMARK,
    "perplexity_pydoc": perplexity_pydoc.BENCHMARK,
}

LATER = (
    "jcommonsenseqa",
    "jnli",
    "jsquad",
    "jmmlu",
    "niilc",
    "jemhopqa",
    "mawps_ja",
    "lctg",
)
"""Benchmarks that are planned. Asking for one gives another message than a misspelt name."""

OTHER_NAMES = {
    "elyza_tasks_100": "elyza",
    "japanese_mt_bench": "mt_bench_ja",
    "ja_mt_bench": "mt_bench_ja",
    "mtbench": "mt_bench",
}
"""Names by which others know a benchmark. The message for such a name says ours."""

_RARE = ("then", "temperature")
"""Fields of a task that most benchmarks leave at their defaults."""


def find_benchmarks(names: Sequence[str]) -> tuple[Benchmark, ...]:
    """Return the benchmarks with these names, in the order given, each once.

    A name is one from the table, a group, or the path of a custom benchmark's file (.yaml, .py). Raises `BadInput` with
    all faults at once.
    """
    faults = Faults()
    found: dict[str, Benchmark] = {}
    for name in names:
        for benchmark in faults.gather(_custom if is_file_name(name) else _from_table, name) or ():
            if found.setdefault(benchmark.spec.name, benchmark) is not benchmark:
                step = f"Give it a `name:` other than {benchmark.spec.name}."
                faults.add(Fault("--benchmarks", name, "benchmarks whose names differ", step))
    faults.stop_if_any()
    return tuple(found.values())


def is_file_name(name: str) -> bool:
    """Return whether a name is the path of a custom benchmark's file."""
    return name.endswith((".yaml", ".yml", ".py"))


def _custom(name: str) -> list[Benchmark]:
    path = Path(name).absolute()
    if path.suffix == ".py":
        custom = custom_defaults(path)
        return [function_benchmark(custom, path, path.parent)]
    custom = read_custom_benchmark(path)
    if custom.name in BENCHMARKS or custom.name in GROUPS:
        raise BadInput(Fault(f"{path}: name", custom.name, "a name that no built-in benchmark has", "Rename it."))
    if custom.python is not None:
        return [function_benchmark(custom, path.parent / custom.python, path.parent)]
    assert custom.scorer is not None  # the schema requires it
    return [prompted_benchmark(custom, path.parent, custom.scorer)]


def _from_table(name: str) -> list[Benchmark]:
    names = GROUPS.get(name, (name,))
    if not set(names) <= BENCHMARKS.keys():
        raise BadInput(_unknown(name))
    return [BENCHMARKS[one] for one in names]


def _unknown(name: str) -> Fault:
    known = [*BENCHMARKS, *GROUPS]
    allowed = "one of " + ", ".join(known)
    if name in LATER:
        return Fault("--benchmarks", name, allowed, f"'{name}' is planned, but not there yet. Leave it out.")
    if name in OTHER_NAMES:
        return Fault("--benchmarks", name, allowed, f"Here it is called '{OTHER_NAMES[name]}'.")
    return Fault("--benchmarks", name, allowed, near_names(name, known))


def load(
    named: Benchmark | str,
    *,
    data_dir: Path | None,
    sampling: Sampling,
    vocabulary: Model,
    hub: DatasetHub = HUB,
    limit: int | None = None,
    system: str | None = None,
    chat_template: TemplateUse | None = None,
) -> BenchmarkData:
    """Load all items of a benchmark, which may be given by its name in the table.

    `system` is the model's system prompt. It is put before the messages of chats that have no system message.
    `chat_template` says how the model's chat template is used, or which one replaces it.

    Raises:
        BadInput: missing or broken data.
        TemplateOverLimit: the chat template takes too much time or memory.
    """
    benchmark = BENCHMARKS[named] if isinstance(named, str) else named
    spec = benchmark.spec
    loaded = benchmark.load(LoaderInputs(data_dir, sampling, vocabulary, hub, limit))
    ordered = [_with_system(raw, system) for raw in _in_order(spec, loaded.raw_items)]
    _render_ahead(ordered, vocabulary, chat_template)
    raw_items = [_fitted(raw, sampling, vocabulary, chat_template) for raw in ordered]
    return BenchmarkData(
        spec=spec,
        items=tuple(map(_item, raw_items)),
        n_items_total=len(raw_items),
        data_hash=_data_hash(spec, raw_items),
        shots=spec.shots if loaded.shots is None else loaded.shots,
        source={
            "url": spec.url,
            "licence": spec.licence,
            "revision": spec.revision,
            "files": [asdict(file) for file in loaded.files],
        },
    )


def _in_order(spec: BenchmarkSpec, raw_items: Sequence[RawItem]) -> list[RawItem]:
    """Sort the items by id, then shuffle them with a fixed seed, so that a larger limit extends a smaller one.

    The chunks of a text stay in text order.
    """
    if spec.kind == "measure":
        return list(raw_items)
    ordered = sorted(raw_items, key=lambda raw: raw.item_id)
    random.Random(0).shuffle(ordered)
    return ordered


def _fitted(raw: RawItem, sampling: Sampling, vocabulary: Model, chat_template: TemplateUse | None) -> RawItem:
    if isinstance(raw.task, Call):
        return raw
    fitted = fit(raw.task, sampling.max_tokens, vocabulary, chat_template)
    return replace(raw, task=fitted.task, shots_dropped=fitted.shots_dropped, too_long=fitted.too_long)


def _render_ahead(raw_items: Sequence[RawItem], vocabulary: Model, chat_template: TemplateUse | None) -> None:
    """Render the prompts of all chats together, which is faster than one by one. The renderer keeps them."""
    tasks = [raw.task for raw in raw_items]
    chats = [task.messages for task in tasks if isinstance(task, Generate | Choose) and task.chat]
    chats += [whole_conversation(task) for task in tasks if isinstance(task, Generate) and task.chat and task.then]
    for prompt in render_prompts(chats, chat=True, model=vocabulary, use=chat_template):
        if isinstance(prompt, TemplateOverLimit):
            raise prompt


def _with_system(raw: RawItem, system: str | None) -> RawItem:
    task = raw.task
    if system is None or not isinstance(task, Generate | Choose) or not task.chat or task.messages[0].role == "system":
        return raw
    return replace(raw, task=replace(task, messages=(Message("system", system), *task.messages)))


def _item(raw: RawItem) -> Item:
    return Item(
        raw.item_id,
        raw.task,
        raw.target,
        _prompt_hash(raw.task),
        cluster=raw.cluster,
        shots_dropped=raw.shots_dropped,
        too_long=raw.too_long,
        n_letters=raw.n_letters,
    )


def _data_hash(spec: BenchmarkSpec, raw_items: Sequence[RawItem]) -> str:
    items = [[raw.item_id, _content(raw.task), raw.target, raw.shots_dropped, raw.too_long] for raw in raw_items]
    return content_hash({"name": spec.name, "version": spec.version, "scorer": asdict(spec.scorer), "items": items})


def _content(task: Task) -> dict[str, Any]:
    if isinstance(task, Call):
        return call_identity(task)
    # Settings that few benchmarks have are left out where they are not set, so that hashes of all others stay.
    return {key: value for key, value in asdict(task).items() if key not in _RARE or value not in ((), None)}


def _prompt_hash(task: Task) -> str:
    """Hash the messages (and choices) or the tokens, before any chat template."""
    if isinstance(task, Call):
        return content_hash({"call": call_identity(task)})
    if isinstance(task, Generate):
        rare = {key: value for key in _RARE if (value := getattr(task, key)) not in ((), None)}
        return content_hash({"messages": [asdict(message) for message in task.messages], **rare})
    if isinstance(task, Choose):
        return content_hash({"messages": [asdict(message) for message in task.messages], "choices": task.choices})
    return content_hash({"tokens": task.tokens, "first_scored": task.first_scored})


def is_sampled(spec: BenchmarkSpec, sampling: Sampling, items: Sequence[Item] = ()) -> bool:
    """Return whether the output depends on the seed. Likelihoods, perplexity and temperature 0 never do.

    An item's own temperature counts before that of the pipeline.
    """
    if spec.kind not in ("generate", "function") or not spec.sampled:
        return False
    own = [item.task.temperature for item in items if isinstance(item.task, Generate)]
    given = [temperature for temperature in own if temperature is not None]
    return any(given) or (sampling.temperature > 0.0 and (len(given) < len(own) or not own))
