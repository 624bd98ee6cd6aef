"""How far the estimates of placement are from what llama.cpp would allocate: KV cache and compute buffers.

llama.cpp says the sizes without loading weights, so models of any size are measured: their files have a hole in place
of their values. `ours` is the estimate, and the ratio is the estimate by the size: below 1, the estimate was too low.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from actors.llama.gguf_file import read_header
from actors.llama.layout import EngineLayout
from actors.llama.shape import shape_of
from actors.orchestrator.placement.memory import need_of
from tests.allocation import allocation_of
from tests.bench.frame import Bench, Measure, Setting, Target
from tests.bench.models import model_file
from tests.hollow_model import write_header
from tests.orchestrator.device_nodes import SHAPES

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
    return found


def _measures(name: str, path: Path) -> Iterator[Measure]:
    shape = shape_of(read_header(path))
    for what, layout in LAYOUTS.items():
        need, real = need_of(shape, shape.weights, layout), allocation_of(path, layout)
        pairs = {"KV cache": (sum(need.kv_bytes), real.kv_bytes), "compute": (need.compute_bytes, real.compute_bytes)}
        for kind, (ours, theirs) in pairs.items():
            yield Measure(
                "memory",
                f"{name}, {what}",
                f"estimated {kind}",
                "MiB",
                True,
                (ours / 2**20,),
                (theirs / 2**20,),
                Target(least_ratio=LEAST_RATIO),
            )


BENCH = Bench("estimates of memory against what llama.cpp would allocate", run)
