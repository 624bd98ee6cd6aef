"""Decoding: our batched engine compared with llama-server, the `Llama` class and llama-batched-bench.

Both sides get the same questions and seeds, and wall times are compared. Prompts and limits are real ones; generated
texts differ because random numbers differ. Ours works in blocks, with the layout that a plan would choose. The model is
always SmolLM2-135M in q8_0, because texts from random weights do not end.

- `gsm8k`: 5 shots, 40 questions x 5 seeds, 96 tokens
- `chat`: the same questions through the chat template, no shots, 128 tokens
- `decode`: 64 sequences, sampled, end-of-generation ignored, 128 tokens each after a prompt of 70
- `arc`: log-likelihoods of the choices of 100 questions, 25 shots. It is compared with decoding each choice alone with
  its whole prompt, like lm-evaluation-harness: that is measured on `ALONE_ITEMS` questions and multiplied
- `sampling`: 64 rows of a vocabulary of 151,936, all of it read by us

Whatever takes minutes on their side is measured once, even with more `--repeats`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from actors.chat import render_prompt
from actors.engines.llama import LlamaEngine
from actors.engines.noise import sequence_key, step_keys
from actors.engines.prefix import EXTRA_SEQUENCES
from actors.engines.sampling import draw_tokens
from actors.evaluation.benchmarks import gsm8k
from actors.evaluation.benchmarks.arc_challenge import BENCHMARK as ARC
from actors.evaluation.benchmarks.reading import read_rows
from actors.evaluation.contract import LoaderInputs, few_shot_prompt
from actors.evaluation.kv_cache import CacheNeed, cache_need_of_tasks, choose_cache
from actors.llama.candidates import Candidates
from actors.llama.file_types import resolve_type
from actors.llama.layout import EngineLayout
from actors.llama.model import Model
from actors.llama.quantizer import quantize
from actors.orders import Choose, Generate, Item, Message, Task
from conf.schema import Execution, Layout, Sampling
from tests.bench import programs
from tests.bench.frame import Bench, Measure, Setting, Target
from tests.bench.models import model_file
from tests.bench.other_ways import SERVER_SETTINGS, Asked, batched_decoding, in_sequence, through_server

MODEL = "smollm2 q8_0"
ITEMS, SEEDS, ARC_ITEMS = 40, 5, 100
ALONE_ITEMS = 3
SEQUENCES, PROMPT_TOKENS, ANSWER_TOKENS = 64, 70, 128
LARGE_VOCABULARY = 151_936


def run(setting: Setting) -> Sequence[Measure]:
    """Measure all cases."""
    model = _model(setting.folder)
    return [
        *_sampling(setting),
        *_decode(setting, model),
        *_gsm8k(setting, model),
        *_arc(setting, model),
        *_chat(setting, model),
    ]


def _gsm8k(setting: Setting, model: Path) -> list[Measure]:
    with Model(model, vocab_only=True) as vocabulary:
        inputs = LoaderInputs(setting.data_dir, Sampling(), vocabulary)
        shots = read_rows(inputs, gsm8k.TRAIN, gsm8k.problem).values[:5]
        questions = read_rows(inputs, gsm8k.TEST, gsm8k.problem).values[:ITEMS]
    examples = [f"Question: {shot.question}\nAnswer: {gsm8k.cleaned(shot)}\n\n" for shot in shots]
    tasks = [
        Generate(few_shot_prompt(examples, f"Question: {one.question}\nAnswer:"), False, ("Question:",), 96)
        for one in questions
    ]
    asked = _asked(model, tasks, setting.threads)
    layout, other = _layouts(model, tasks, setting.threads)
    ours = [_generate(model, layout, tasks) for _ in range(setting.repeats)]
    case = f"gsm8k, 5 shots, {_kind(layout)}"
    return [
        _measure(case, "beside llama-server", ours, _server(asked, setting.repeats), Target(least_ratio=1 / 0.8)),
        _measure(case, "beside Llama in sequence", ours, [in_sequence(asked)], Target(least_ratio=1 / 0.5)),
        _measure(case, f"beside {_kind(other)}", ours, [_generate(model, other, tasks)]),
    ]


def _chat(setting: Setting, model: Path) -> list[Measure]:
    with Model(model, vocab_only=True) as vocabulary:
        questions = read_rows(LoaderInputs(setting.data_dir, Sampling(), vocabulary), gsm8k.TEST, gsm8k.problem).values
    tasks = [Generate((Message("user", one.question),), True, (), 128) for one in questions[:ITEMS]]
    layout, other = _layouts(model, tasks, setting.threads)
    ours = [_generate(model, layout, tasks) for _ in range(setting.repeats)]
    case = f"chat, no shots, {_kind(layout)}"
    sequence = [in_sequence(_asked(model, tasks, setting.threads))]
    return [
        _measure(case, "beside Llama in sequence", ours, sequence, Target(least_ratio=1 / 0.35)),
        _measure(case, f"beside {_kind(other)}", ours, [_generate(model, other, tasks)]),
    ]


def _decode(setting: Setting, model: Path) -> list[Measure]:
    """Measure the decoding time, without the prompts."""
    program = programs.find("llama-batched-bench")
    text = " ".join(["word"] * (PROMPT_TOKENS - 1))
    task = Generate((Message("user", text),), False, (), ANSWER_TOKENS)
    cells = (SEQUENCES + EXTRA_SEQUENCES) * 256
    ours, theirs = [], []
    for _ in range(setting.repeats):
        engine = LlamaEngine(str(model), _layout(setting.threads, SEQUENCES, cells, unified=False))
        engine.vocabulary = replace(engine.vocabulary, is_end=lambda token: False)
        engine.generate(_items([task] * SEQUENCES), [0], Sampling(max_tokens=ANSWER_TOKENS), _ignore)
        usage = engine.take_usage()
        engine.close()
        # On both sides, the first token of each sequence is sampled with its prompt.
        ours.append(usage.decode_s * SEQUENCES * ANSWER_TOKENS / usage.completion_tokens)
        if program:
            theirs.append(batched_decoding(program, model, setting.threads, SEQUENCES, PROMPT_TOKENS, ANSWER_TOKENS))
    return [_measure("decode, 64 sequences", "beside llama-batched-bench", ours, theirs, Target(least_ratio=0.85))]


def _arc(setting: Setting, model: Path) -> list[Measure]:
    with Model(model, vocab_only=True) as vocabulary:
        tasks = [
            one.task for one in ARC.load(LoaderInputs(setting.data_dir, Sampling(), vocabulary)).raw_items[:ARC_ITEMS]
        ]
    layout = replace(_layouts(model, tasks, setting.threads)[0], flash_attention=False)  # like in a plan
    need = _need(model, tasks)
    ours = [_choose(model, layout, tasks) for _ in range(setting.repeats)]
    one_by_one = replace(layout, sequences=1, n_ctx=need.cells_by_sequence(1), kv_unified=False, share_prefixes=False)
    few = tasks[:ALONE_ITEMS]
    share = sum(map(_n_choices, tasks)) / sum(map(_n_choices, few))
    alone = _choose(model, one_by_one, few) * share
    what = f"beside each choice alone ({ALONE_ITEMS} questions measured)"
    return [_measure("arc, 25 shots, 100 questions", what, ours, [alone], Target(least_ratio=40))]


def _sampling(setting: Setting) -> list[Measure]:
    rows = (np.random.default_rng(0).standard_normal((SEQUENCES, LARGE_VOCABULARY)) * 3).astype(np.float32)
    keys = step_keys([sequence_key(0, str(row)) for row in range(SEQUENCES)], [0] * SEQUENCES)
    draw_tokens(Candidates(rows), keys, Sampling())
    times_ms = []
    for _ in range(max(setting.repeats, 10)):
        started = time.perf_counter()
        draw_tokens(Candidates(rows), keys, Sampling())
        times_ms.append(1e3 * (time.perf_counter() - started))
    case = f"sampling, {SEQUENCES} rows of {LARGE_VOCABULARY:,}"
    return [Measure("evaluation", case, "a step", "ms", False, tuple(times_ms), (), Target(most=15))]


def _measure(case: str, what: str, ours: list[float], theirs: list[float], target: Target | None = None) -> Measure:
    return Measure("evaluation", case, what, "s", False, tuple(ours), tuple(theirs), target)


def _generate(model: Path, layout: EngineLayout, tasks: Sequence[Generate]) -> float:
    engine = LlamaEngine(str(model), layout)
    sampling = Sampling(max_tokens=tasks[0].max_tokens)
    started = time.perf_counter()
    for block in _blocks(tasks):
        engine.generate(block, range(SEEDS), sampling, _ignore)
    seconds = time.perf_counter() - started
    engine.close()
    return seconds


def _choose(model: Path, layout: EngineLayout, tasks: Sequence[Task]) -> float:
    engine = LlamaEngine(str(model), layout)
    started = time.perf_counter()
    for block in _blocks(tasks):
        engine.choose(block, _ignore)
    seconds = time.perf_counter() - started
    engine.close()
    return seconds


def _server(asked: Asked, repeats: int) -> list[float]:
    """Measure llama-server with its fastest setting; return nothing if the program is missing."""
    program = programs.find("llama-server")
    if program is None:
        return []
    first = {setting: through_server(program, asked, setting) for setting in SERVER_SETTINGS}
    best = min(first, key=first.__getitem__)
    return [first[best], *(through_server(program, asked, best) for _ in range(repeats - 1))]


def _asked(model: Path, tasks: Sequence[Generate], threads: int) -> Asked:
    with Model(model, vocab_only=True) as vocabulary:
        prompts = [render_prompt(task.messages, chat=task.chat, model=vocabulary).text for task in tasks]
    return Asked(model, prompts, SEEDS, tasks[0].stop, Sampling(max_tokens=tasks[0].max_tokens), threads)


def _layouts(model: Path, tasks: Sequence[Task], threads: int) -> tuple[EngineLayout, EngineLayout]:
    """Return the layout that a plan would choose, and the same with the other kind of KV cache."""
    need = _need(model, tasks)
    cache = choose_cache(need, Layout().sequences, share=True, most_cells=None)
    assert cache is not None
    chosen = _layout(threads, cache.sequences, cache.n_ctx, unified=cache.unified)
    return chosen, replace(chosen, kv_unified=not cache.unified, n_ctx=_cells(need, cache.sequences, not cache.unified))


def _need(model: Path, tasks: Sequence[Task]) -> CacheNeed:
    with Model(model, vocab_only=True) as vocabulary:
        return cache_need_of_tasks(tasks, max(getattr(task, "max_tokens", 0) for task in tasks), vocabulary)


def _cells(need: CacheNeed, sequences: int, unified: bool) -> int:
    return need.unified_cells(sequences) if unified else need.cells_by_sequence(sequences)


def _layout(threads: int, sequences: int, cells: int, *, unified: bool) -> EngineLayout:
    usual = Layout()
    return EngineLayout(
        threads, sequences, usual.n_batch, usual.n_ubatch, cells, unified, usual.flash_attention, gpu_layers=0
    )


def _kind(layout: EngineLayout) -> str:
    return "one run of cells" if layout.kv_unified else "cells by sequence"


def _blocks(tasks: Sequence[Task]) -> list[list[Item]]:
    items, size = _items(tasks), Execution().block_items
    return [items[start : start + size] for start in range(0, len(items), size)]


def _items(tasks: Sequence[Task]) -> list[Item]:
    return [Item(str(number), task, None, "") for number, task in enumerate(tasks)]


def _n_choices(task: Task) -> int:
    return len(task.choices) if isinstance(task, Choose) else 0


def _model(folder: Path) -> Path:
    path = folder / "smollm2-q8_0.gguf"
    if not path.exists():
        quantize(model_file("smollm2", folder), path, resolve_type("q8_0"), imatrix=None, threads=2)
    return path


def _ignore(tokens: int) -> None:
    """Ignore the progress."""


BENCH = Bench("decoding, compared with llama-server, Llama in sequence, llama-batched-bench and each choice alone", run)
