"""Logits that llama.cpp selects on the device: the same answers, and no other logits reach the host."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from actors.engines.llama import LlamaEngine
from actors.errors import LlamaError
from actors.llama.batch import Run
from actors.llama.context import Context
from actors.llama.model import Model
from conf.schema import Sampling
from tests.conftest import ignore, layout
from tests.engines.test_llama import QUESTIONS, choice

CHOICES = [choice("c0", "the hat is", (" in", " the end"))]
SETTINGS = [
    Sampling(temperature=0.0, max_tokens=24),
    Sampling(max_tokens=24),
    Sampling(max_tokens=24, top_k=0),
    Sampling(max_tokens=24, top_k=10**6),
]


@pytest.mark.parametrize("sampling", SETTINGS)
@pytest.mark.parametrize("unified", [True, False])
def test_logits_selected_by_llama_cpp_give_the_same_answers(tiny_path: str, sampling: Sampling, unified: bool) -> None:
    # llama.cpp selects on the device. Without one the "device" of all layers is the CPU, which can select, too.
    answers = []
    for gpu_layers in (0, -1):
        engine = LlamaEngine(tiny_path, replace(layout(unified=unified), gpu_layers=gpu_layers))
        answers.append([engine.generate(QUESTIONS, [3, 4], sampling, ignore), engine.choose(CHOICES, ignore)])
        engine.close()
    assert answers[0] == answers[1]


def test_only_the_highest_logits_leave_the_device_while_answers_are_sampled(tiny: Model) -> None:
    context = Context(tiny, layout(), max_sequences=3)
    runs = [Run(sequence, 0, [5 + sequence, 9, 7], 2) for sequence in range(3)]
    (whole,) = [rows.logits.copy() for rows in context.decode(runs)]
    context.clear()
    with context.only_highest(12):
        (rows,) = context.decode(runs)
        with pytest.raises(TypeError, match="only the highest"):
            _ = rows.logits
        taken = rows.candidates
    assert taken.tokens is not None and taken.tokens.shape == (3, 12)
    for row, tokens, values in zip(whole, taken.tokens, taken.logits, strict=True):
        assert set(tokens) == set(np.argsort(-row, kind="stable")[:12])
        assert np.array_equal(row[tokens], values)
    context.clear()
    (again,) = [rows.logits.copy() for rows in context.decode(runs)]
    assert np.array_equal(whole, again)
    context.close()


def test_rows_in_another_order_than_expected_are_refused(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(tiny, layout(), max_sequences=3)
    runs = [Run(sequence, 0, [5 + sequence, 9, 7], 2) for sequence in range(3)]
    with context.only_highest(12):
        monkeypatch.setattr(context, "_n_vocab", tiny.n_vocab - 1)
        with pytest.raises(LlamaError, match="order that is not known"):
            list(context.decode(runs))
    context.close()
