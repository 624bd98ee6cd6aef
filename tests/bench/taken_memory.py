"""A program for the bench of memory: load a model, and say what it takes in each place.

    python -m tests.bench.taken_memory < QUESTION.json > ANSWER.json

A question holds `model` and `layout`. It runs as its own process, because a process can load only one llama.cpp.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from actors.llama import library
from actors.llama.buffers import read_buffers
from actors.llama.context import Context
from actors.llama.layout import EngineLayout
from actors.llama.model import Model


def answer(question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the buffers of the model and its context."""
    layout = EngineLayout.of(question["layout"])
    with (
        library.captured_log() as log,
        Model(question["model"], gpu_layers=layout.gpu_layers, devices=layout.devices) as model,
        contextlib.closing(Context(model, layout, max_sequences=layout.sequences + 2)),
    ):
        return [asdict(one) for one in read_buffers(log)]


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
