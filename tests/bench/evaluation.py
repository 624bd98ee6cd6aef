"""Decoding benchmarks: our batched engine beside llama-server, the high-level `Llama` class and llama-batched-bench.

The same questions and seeds on each side, wall time against wall time; prompts and limits are those of the work, the
texts that come out differ by their random numbers. `python -m tests.bench.evaluation --help` runs it alone.

Cases: `gsm8k` (5 shots), `chat` (no shots), `decode` (one batch, end-of-generation ignored), `arc` (likelihood with 25
shots; scoring each choice alone is measured on a few questions and multiplied).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import llama_cpp

from actors.chat import render_prompt
from actors.evaluation.benchmarks.arc_challenge import BENCHMARK as ARC
from actors.evaluation.context_need import choose_cache, need_of
from actors.evaluation.contract import Inputs, few_shot_prompt
from actors.evaluation.engines.llama import LlamaEngine
from actors.llama.model import Model
from actors.llama.plain import PlainModel, without_repacked_weights
from actors.work import Choose, EngineLayout, Generate, Item, Message
from conf.schema import Sampling

READY_S = 120.0
SERVER_SETTINGS = ((20, 5, True), (32, 1, True), (8, 1, True), (8, 1, False))
"""Slots, completions a request (`n_cmpl`), unified KV cache."""
ALONE_ITEMS = 3
"""Questions on which what takes longest is measured; the rest is multiplication."""


@dataclass(frozen=True)
class Setting:
    """What every case is given."""

    model: str
    data_dir: Path
    threads: int
    items: int
    seeds: int
    sequences: int


@dataclass(frozen=True)
class Side:
    """Seconds of one way, and what it was."""

    name: str
    seconds: float
    note: str = ""


def gsm8k(setting: Setting) -> list[tuple[Side, Side, float]]:
    """(ours, theirs, the share of their time that ours may take at most), for each program compared with."""
    rows = _rows(setting, "gsm8k/train_first200.jsonl")[:5]
    shots = [f"Question: {row['question']}\nAnswer: {_cleaned(row['answer'])}\n\n" for row in rows]
    prompts = [few_shot_prompt(shots, f"Question: {row['question']}\nAnswer:") for row in _questions(setting)]
    tasks = [Generate(messages, False, ("Question:",), 96) for messages in prompts]
    ours = _ours(setting, tasks)
    return [(ours, _server(setting, tasks), 0.8), (ours, _in_sequence(setting, tasks), 0.5)]


def chat(setting: Setting) -> list[tuple[Side, Side, float]]:
    tasks = [Generate((Message("user", row["question"]),), True, (), 128) for row in _questions(setting)]
    return [(_ours(setting, tasks), _in_sequence(setting, tasks), 0.35)]


def decode(setting: Setting) -> list[tuple[Side, Side, float]]:
    """64 sequences, 128 tokens each, after a prompt of 70: seconds of decoding alone."""
    n_sequences, n_prompt, n_tokens = 64, 70, 128
    program = _program("llama-batched-bench")
    arguments = ["-m", setting.model, "-c", str(n_sequences * 256), "-npp", str(n_prompt), "-ntg", str(n_tokens)]
    arguments += ["-npl", str(n_sequences), "-t", str(setting.threads), "--no-repack", "-fa", "off"]
    arguments += ["--output-format", "jsonl"]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    (line,) = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
    engine = LlamaEngine(setting.model, EngineLayout(setting.threads, 64, 2048, 512, 66 * 256, False, False, 0))
    engine.vocabulary = replace(engine.vocabulary, is_end=lambda token: False)
    text = " ".join(["word"] * (n_prompt - 1))
    items = [_item(number, Generate((Message("user", text),), False, (), n_tokens)) for number in range(n_sequences)]
    engine.take_usage()
    engine.generate(items, [0], Sampling(max_tokens=n_tokens), _ignore)
    usage = engine.take_usage()
    engine.close()
    # The first token of each sequence comes with its prompt on both sides.
    ours = usage.decode_s * n_sequences * n_tokens / usage.completion_tokens
    return [(Side("ours", ours), Side("llama-batched-bench", line["t_tg"]), 1 / 0.85)]


def arc(setting: Setting) -> list[tuple[Side, Side, float]]:
    with Model(setting.model, vocab_only=True) as vocabulary:
        questions = ARC.load(Inputs(setting.data_dir, Sampling(), vocabulary)).questions[: setting.items]
    items = [_item(number, question.task) for number, question in enumerate(questions)]
    engine = LlamaEngine(setting.model, _layout(setting, [item.task for item in items]))
    started = time.perf_counter()
    engine.choose(items, _ignore)
    ours = time.perf_counter() - started
    forks = [fork.content for item in items[:ALONE_ITEMS] if hasattr(fork := engine.fork(item), "content")]
    engine.close()
    plain = PlainModel(setting.model, n_ctx=4096, threads=setting.threads, gpu_layers=0)
    started = time.perf_counter()
    for fork in forks:
        for choice in fork.choices:
            plain.loglik(choice, fork.scored_from)
    alone = time.perf_counter() - started
    plain.close()
    n_choices = sum(len(item.task.choices) for item in items if isinstance(item.task, Choose))
    whole = alone * n_choices / sum(len(fork.choices) for fork in forks)
    return [(Side("ours", ours), Side("each choice alone", whole, f"{ALONE_ITEMS} questions measured"), 1 / 40)]


CASES: dict[str, Callable[[Setting], list[tuple[Side, Side, float]]]] = {
    "gsm8k": gsm8k,
    "chat": chat,
    "decode": decode,
    "arc": arc,
}


def _ours(setting: Setting, tasks: Sequence[Generate]) -> Side:
    layout = _layout(setting, tasks)
    engine = LlamaEngine(setting.model, layout)
    items = [_item(number, task) for number, task in enumerate(tasks)]
    started = time.perf_counter()
    engine.generate(items, range(setting.seeds), Sampling(max_tokens=tasks[0].max_tokens), _ignore)
    seconds = time.perf_counter() - started
    usage = engine.take_usage()
    engine.close()
    return Side(
        "ours", seconds, f"{usage.completion_tokens} tokens, {'unified' if layout.kv_unified else 'by sequence'}"
    )


def _in_sequence(setting: Setting, tasks: Sequence[Generate]) -> Side:
    """One completion after the other; the class keeps the beginning that two prompts share."""
    with Model(setting.model, vocab_only=True) as vocabulary:
        prompts = [render_prompt(task.messages, chat=task.chat, model=vocabulary).text for task in tasks]
    with without_repacked_weights():
        llama = llama_cpp.Llama(
            setting.model, n_ctx=4096, n_threads=setting.threads, n_threads_batch=setting.threads, verbose=False
        )
    n_tokens = 0
    started = time.perf_counter()
    for prompt, task in zip(prompts, tasks, strict=True):
        for seed in range(setting.seeds):
            done: Any = llama.create_completion(
                prompt, max_tokens=task.max_tokens, stop=list(task.stop), seed=seed, temperature=0.7, top_p=0.95
            )
            n_tokens += done["usage"]["completion_tokens"]
    seconds = time.perf_counter() - started
    llama.close()
    return Side("Llama in sequence", seconds, f"{n_tokens} tokens")


def _server(setting: Setting, tasks: Sequence[Generate]) -> Side:
    """llama-server at the best of its settings."""
    with Model(setting.model, vocab_only=True) as vocabulary:
        prompts = [render_prompt(task.messages, chat=task.chat, model=vocabulary).text for task in tasks]
    sides = []
    for slots, n_cmpl, unified in SERVER_SETTINGS:
        with _running_server(setting, slots, unified) as url:
            body = {"n_predict": tasks[0].max_tokens, "stop": list(tasks[0].stop), "temperature": 0.7, "n_cmpl": n_cmpl}
            body |= {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "cache_prompt": True}
            _post(url, body | {"prompt": prompts[0], "n_predict": 1, "n_cmpl": 1})  # the prefix, as a user would
            bodies = [
                body | {"prompt": prompt, "seed": seed}
                for prompt in prompts
                for seed in range(0, setting.seeds, n_cmpl)
            ]
            started = time.perf_counter()
            with ThreadPoolExecutor(max(1, slots // n_cmpl)) as pool:
                list(pool.map(functools.partial(_post, url), bodies))
            note = f"{slots} slots, n_cmpl {n_cmpl}, {'unified' if unified else 'by slot'}"
            sides.append(Side("llama-server", time.perf_counter() - started, note))
    return min(sides, key=lambda side: side.seconds)


@contextlib.contextmanager
def _running_server(setting: Setting, slots: int, unified: bool) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["-m", setting.model, "--port", str(port), "-np", str(slots), "-c", str(slots * 1024), "--no-repack"]
    arguments += ["-t", str(setting.threads), "-fa", "off", *(["-kvu"] if unified else ["-no-kvu"])]
    process = subprocess.Popen(
        [_program("llama-server"), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        ready = time.monotonic() + READY_S
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            if time.monotonic() > ready or process.poll() is not None:
                raise RuntimeError(f"llama-server does not answer at {url}")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait()


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=3600) as answer:
        return json.load(answer)


def _layout(setting: Setting, tasks: Sequence[Any]) -> EngineLayout:
    """As the plan would have it."""
    with Model(setting.model, vocab_only=True) as vocabulary:
        need = need_of(tasks, max(getattr(task, "max_tokens", 0) for task in tasks), vocabulary)
    cache = choose_cache(need, setting.sequences, share=True, most_cells=None)
    assert cache is not None
    return EngineLayout(setting.threads, cache.sequences, 2048, 512, cache.n_ctx, cache.unified, False, 0)


def _rows(setting: Setting, name: str) -> list[dict[str, Any]]:
    with open(setting.data_dir / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _questions(setting: Setting) -> list[dict[str, Any]]:
    return _rows(setting, "gsm8k/test.jsonl")[: setting.items]


def _cleaned(solution: str) -> str:
    return re.sub("<<[^>]*>>", "", solution)


def _item(number: int, task: Any) -> Item:
    return Item(str(number), task, None, "")


def _ignore(tokens: int) -> None:
    """Nobody listens."""


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("LLAMA_TOOLS")) or shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is neither in the folder LLAMA_TOOLS nor on the PATH")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a GGUF")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("cases", nargs="*", default=list(CASES), choices=[*CASES, []])
    options = vars(parser.parse_args())
    cases = options.pop("cases")
    for case in cases:
        for ours, theirs, most in CASES[case](Setting(**options)):
            ratio = ours.seconds / theirs.seconds
            verdict = "pass" if ratio <= most else "MISS"
            sides = ", ".join(f"{side.name} {side.seconds:.1f} s ({side.note})" for side in (ours, theirs))
            print(f"{case}: {sides}, ratio {ratio:.3f}, at most {most:.3f}: {verdict}", flush=True)


if __name__ == "__main__":
    main()
