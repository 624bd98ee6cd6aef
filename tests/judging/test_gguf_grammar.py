"""A GGUF gives a verdict that can be read, whatever model it is, and chooses reason and score itself."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from actors.engines import Answer
from actors.engines.llama import LlamaEngine
from actors.errors import LlamaError
from actors.items import Generate, Item, Message
from actors.judging.verdict import read_verdict, verdict_grammar
from actors.llama.grammar import Grammar
from actors.llama.model import Model
from conf.schema.answers import Sampling
from tests.conftest import ignore, layout
from tests.tiny_model import TinyShape, write_tiny_model

THINKING_TEMPLATE = (
    "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<think>\n{% endif %}"
)


def questions(n: int, *, chat: bool = False) -> list[Item]:
    tasks = [Generate((Message("user", f"judge number {i}"),), chat, (), 160) for i in range(n)]
    return [Item(f"q{i}", task, None, f"hash {i}") for i, task in enumerate(tasks)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_with_random_weights_gives_verdicts_that_can_be_read(tiny_path: str, temperature: float) -> None:
    with contextlib.closing(LlamaEngine(tiny_path, layout(), raw=True)) as engine:
        engine.grammar = verdict_grammar((1, 5), 160)
        answers = engine.generate(questions(20), [0], Sampling(temperature=temperature, max_tokens=160), ignore)
        verdicts = [read_verdict(one.text, range(1, 6)) for one in answers if isinstance(one, Answer)]
    assert len(verdicts) == 20 and all(verdicts)
    if temperature:
        scores = Counter(verdict.score for verdict in verdicts if verdict)
        assert len(scores) > 1, "the model chooses the score, not the grammar"


def test_two_digits_are_a_score_of_a_scale_to_ten(tiny: Model) -> None:
    grammar = Grammar(tiny, verdict_grammar((1, 10), 100))
    for piece in '{"reason": "x", "score": 10}':
        (token,) = tiny.tokenize(piece, add_special=False, parse_special=False)[-1:]
        assert grammar.allows(token), piece
        grammar.accept(token)
    assert not grammar.allows(tiny.tokenize("1", add_special=False, parse_special=False)[-1])


def test_only_allowed_tokens_keep_their_logits(tiny: Model) -> None:
    grammar = Grammar(tiny, 'root ::= "a" | "b"')
    kept = np.flatnonzero(np.isfinite(grammar.only_allowed(np.zeros(tiny.n_vocab, np.float32))))
    assert {tiny.piece(int(token)) for token in kept} == {b"a", b"b"}
    assert all(grammar.allows(int(token)) for token in kept)


def test_a_grammar_that_cannot_be_read_is_told(tiny: Model) -> None:
    with pytest.raises(LlamaError, match="cannot read the grammar"):
        Grammar(tiny, "root ::= (")


def test_a_model_whose_template_opens_thoughts_gives_its_verdict_outside_of_them(tmp_path: Path) -> None:
    path = tmp_path / "thinks.gguf"
    write_tiny_model(path, shape=TinyShape(), chat_template=THINKING_TEMPLATE)
    with contextlib.closing(LlamaEngine(str(path), layout(), raw=True)) as engine:
        engine.grammar = verdict_grammar((1, 5), 160)
        (answer,) = engine.generate(questions(1, chat=True), [0], Sampling(temperature=0.0, max_tokens=160), ignore)
    assert isinstance(answer, Answer) and read_verdict(answer.text, range(1, 6)) is not None
