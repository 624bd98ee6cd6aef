"""Other ways to decode the same questions: llama-server, the `Llama` class of llama-cpp-python, llama-batched-bench.

Each function returns the wall time in seconds, without the time to load the model. No program repacks weights, like
ours; each uses flash attention as by default. Sampling settings have the same values under different names.
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp

from conf.schema.answers import Sampling

READY_S = 120.0
CELLS_PER_SLOT = 1024


@dataclass(frozen=True)
class Asked:
    """The prompts as texts, and the settings of the answers."""

    model: Path
    prompts: Sequence[str]
    seeds: int
    stop: tuple[str, ...]
    sampling: Sampling
    threads: int


@dataclass(frozen=True)
class ServerSetting:
    """One way to run llama-server."""

    slots: int
    n_cmpl: int
    """Completions per request: the seeds of one question that are asked for at once."""
    unified: bool


SERVER_SETTINGS = (
    ServerSetting(20, 5, True),
    ServerSetting(32, 1, True),
    ServerSetting(8, 1, True),
    ServerSetting(8, 1, False),
)


def in_sequence(asked: Asked) -> float:
    """Measure one completion after another. The class reuses the prefix that a prompt shares with the previous one."""
    with without_repacked_weights():
        llama = llama_cpp.Llama(
            str(asked.model), n_ctx=4096, n_threads=asked.threads, n_threads_batch=asked.threads, verbose=False
        )
    sampling = asked.sampling
    started = time.perf_counter()
    for prompt in asked.prompts:
        for seed in range(asked.seeds):
            llama.create_completion(
                prompt,
                max_tokens=sampling.max_tokens,
                stop=list(asked.stop),
                seed=seed,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k,
                min_p=sampling.min_p,
            )
    seconds = time.perf_counter() - started
    llama.close()
    return seconds


def through_server(program: str, asked: Asked, setting: ServerSetting) -> float:
    """Measure all questions through llama-server, with as many concurrent requests as there are slots."""
    sampling = asked.sampling
    body = {"n_predict": sampling.max_tokens, "stop": list(asked.stop), "temperature": sampling.temperature}
    body |= {"top_k": sampling.top_k, "top_p": sampling.top_p, "min_p": sampling.min_p, "cache_prompt": True}
    bodies = [
        body | {"prompt": prompt, "seed": seed, "n_cmpl": setting.n_cmpl}
        for prompt in asked.prompts
        for seed in range(0, asked.seeds, setting.n_cmpl)
    ]
    with _running_server(program, asked, setting) as url:
        _post(url, body | {"prompt": asked.prompts[0], "n_predict": 1})  # fills the cache with the shared prefix
        started = time.perf_counter()
        with ThreadPoolExecutor(max(1, setting.slots // setting.n_cmpl)) as pool:
            list(pool.map(functools.partial(_post, url), bodies))
        return time.perf_counter() - started


def batched_decoding(program: str, model: Path, threads: int, sequences: int, prompt: int, answer: int) -> float:
    """Measure llama-batched-bench decoding the answers, without the prompts."""
    arguments = ["-m", str(model), "-c", str(sequences * 256), "-npp", str(prompt), "-ntg", str(answer)]
    arguments += ["-npl", str(sequences), "-t", str(threads), "--no-repack", "--output-format", "jsonl"]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    (line,) = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
    return float(line["t_tg"])


@contextlib.contextmanager
def _running_server(program: str, asked: Asked, setting: ServerSetting) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["-m", str(asked.model), "--host", "127.0.0.1", "--port", str(port), "-np", str(setting.slots)]
    arguments += ["-c", str(setting.slots * CELLS_PER_SLOT), "-kvu" if setting.unified else "-no-kvu", "--no-repack"]
    arguments += ["-t", str(asked.threads)]
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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


@contextlib.contextmanager
def without_repacked_weights() -> Iterator[None]:
    """Set `use_extra_bufts` to False while a `Llama` is made: some machines crash otherwise (see `model`).

    `Llama` has no argument for this setting, so its default is replaced.
    """
    module: Any = llama_cpp.llama_cpp
    defaults = module.llama_model_default_params

    def plain_defaults() -> Any:
        params = defaults()
        params.use_extra_bufts = False
        return params

    module.llama_model_default_params = plain_defaults
    try:
        yield
    finally:
        module.llama_model_default_params = defaults
