"""A program for `test_devices`: decode on devices of other processes, and say what came out and where it was.

    python -m tests.engines.on_devices < QUESTION.json > ANSWER.json

A question holds `model`, `layout` and the numbers of the `given` devices. It runs as its own process, because a process
can load only one llama.cpp.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from actors.engines import Answer, Choices, Measured
from actors.engines.llama import LlamaEngine
from actors.errors import LlamaError, NoRoomError
from actors.llama import library
from actors.llama.buffers import read_buffers
from actors.llama.layout import EngineLayout
from actors.llama.offload import give_devices
from tests.conftest import ignore
from tests.engines.test_llama import GREEDY, QUESTIONS, SHOTS, choice, chunk

ROOT = Path(__file__).parents[2]


def ask(
    model: str,
    layout: EngineLayout,
    environment: Mapping[str, str],
    given: tuple[int, ...] = (),
    within_s: float = 300,
) -> dict[str, Any]:
    """Run this program with an environment, and return its answer."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.engines.on_devices"],
        input=json.dumps({"model": model, "layout": layout.identity, "given": given}),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def decode(model: str, layout: EngineLayout) -> dict[str, Any]:
    """Return greedy answers, likelihoods of choices and of a text, and the buffers in each place.

    `selected` is whether the highest logits are selected on the device.
    """
    with library.captured_log() as log:
        engine = LlamaEngine(model, layout)
    buffers = read_buffers(log)
    answers = engine.generate(QUESTIONS[:3], [0], GREEDY, ignore)
    chosen = engine.choose([choice("c0", SHOTS + "it is", (" a", " the end of it"))], ignore)
    measured = engine.measure([chunk(192, 97)], ignore)
    with engine._context.only_highest(8):
        selected = engine._context._n_highest == 8
    engine.close()
    return {
        "selected": selected,
        "texts": [one.text for one in answers if isinstance(one, Answer)],
        "logliks": [value for one in chosen if isinstance(one, Choices) for value in one.logliks],
        "nll": [one.nll_sum / one.n_tokens for one in measured if isinstance(one, Measured)],
        "buffers": [asdict(one) for one in buffers],
    }


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was decoded, or the error."""
    give_devices(question["given"])
    try:
        return decode(question["model"], EngineLayout.of(question["layout"]))
    except LlamaError as error:
        wanted_for = error.wanted_for if isinstance(error, NoRoomError) else None
        return {"error": error.message, "wanted_for": wanted_for}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
