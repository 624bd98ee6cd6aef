"""How far the estimates of placement are from what llama.cpp would allocate: KV cache and compute buffers.

llama.cpp says the sizes without loading weights, so models of any size are measured: their files have a hole in place
of their values. `ours` is the estimate, and the ratio is the estimate by the size: below 1, the estimate was too low.

If LLAMA_RPC names a llama.cpp with RPC servers (`tests.rpc_servers`), the bench's models are also loaded on one and on
two of them, and the estimates are compared with what llama.cpp then takes of these devices.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from actors.llama.buffers import Buffers, memory_use
from actors.llama.devices import DeviceUse
from actors.llama.gguf_file import read_header
from actors.llama.layout import EngineLayout
from actors.llama.shape import shape_of
from actors.orchestrator.placement.memory import need_of
from tests.allocation import allocation_of
from tests.bench.frame import Bench, Measure, Setting, Target
from tests.bench.models import model_file
from tests.hollow_model import write_header
from tests.orchestrator.device_nodes import SHAPES
from tests.rpc_servers import RpcBuild, find_rpc_build

ROOT = Path(__file__).parents[2]

_ANSWERS = EngineLayout(2, 32, 2048, 512, 34_816, kv_unified=True, flash_attention=True, gpu_layers=0)
LAYOUTS = {
    "answers": _ANSWERS,
    "own cells": replace(_ANSWERS, kv_unified=False),
    "large batch": replace(_ANSWERS, n_ubatch=2048),
    "choices": replace(_ANSWERS, n_ctx=8704, flash_attention=False),
    "text": replace(_ANSWERS, n_ctx=512),
}
LEAST_RATIO = 0.95
"""Least ratio of an estimate to the size: `placement` leaves 5% of each device free."""


def run(setting: Setting) -> list[Measure]:
    """Compare all layouts for the bench's models, and for large ones of which only the header exists."""
    found = [one for name in setting.models for one in _measures(name, model_file(name, setting.folder))]
    for name, shape in SHAPES.items():
        path = write_header(setting.folder / f"hollow-{name}.gguf", shape)
        found += _measures(name, path)
        path.unlink()
    with tempfile.TemporaryDirectory() as folder:
        build = find_rpc_build(Path(folder))
        for name in setting.models if build else ():
            found += _measures_on_devices(name, model_file(name, setting.folder), build)
    return found


def _measures(name: str, path: Path) -> Iterator[Measure]:
    shape = shape_of(read_header(path))
    for what, layout in LAYOUTS.items():
        need, real = need_of(shape, shape.weights, layout), allocation_of(path, layout)
        yield _measure(f"{name}, {what}", "KV cache", sum(need.kv_bytes), real.kv_bytes)
        yield _measure(f"{name}, {what}", "compute", need.compute_bytes, real.compute_bytes)


def _measures_on_devices(name: str, path: Path, build: RpcBuild) -> Iterator[Measure]:
    """Compare with what a model really takes on one device, and on two of them together."""
    shape = shape_of(read_header(path))
    for count in (1, 2):
        for what, layout in LAYOUTS.items():
            need, taken = (
                need_of(shape, shape.weights, layout),
                memory_use(_load_on_devices(path, layout, count, build)),
            )
            assert taken is not None
            ours, case = need.on_devices(need.n_layers, count), f"{name}, {what}, on {count} device{'s'[: count - 1]}"
            yield _measure(case, "weights", ours.weights_bytes, taken.weights_device_bytes)
            yield _measure(case, "KV cache", ours.kv_bytes, taken.kv_device_bytes)
            yield _measure(case, "compute", ours.compute_bytes, taken.compute_device_bytes)


def _load_on_devices(path: Path, layout: EngineLayout, count: int, build: RpcBuild) -> list[Buffers]:
    """Return what llama.cpp takes in each place if all layers are on devices. Another process loads the model."""
    use = DeviceUse("RPC server", count, "layer" if count > 1 else "none")
    question = {"model": str(path), "layout": replace(layout, gpu_layers=-1, devices=use).identity}
    with contextlib.ExitStack() as servers:
        addresses = [servers.enter_context(build.server()) for _ in range(count)]
        ended = subprocess.run(
            [sys.executable, "-m", "tests.bench.taken_memory"],
            input=json.dumps(question),
            cwd=ROOT,
            env={**os.environ, **build.environment(*addresses)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return [Buffers(**one) for one in json.loads(ended.stdout)]


def _measure(case: str, kind: str, ours: int, theirs: int) -> Measure:
    return Measure(
        "memory",
        case,
        f"estimated {kind}",
        "MiB",
        True,
        (ours / 2**20,),
        (theirs / 2**20,),
        Target(least_ratio=LEAST_RATIO),
    )


BENCH = Bench("estimates of memory against what llama.cpp would allocate", run)
