"""Special tokens around prompts: what a tokenizer adds, what a template writes, and what a choice is scored by."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from actors.chat import render_prompt
from actors.engines import Choices
from actors.engines.llama import LlamaEngine, Prepared, choice_request_of
from actors.evaluation.prompt_fit import fit
from actors.items import Choose, Generate, Item, Message
from actors.llama.model import Model
from conf.schema.answers import Sampling
from tests.conftest import ignore, layout
from tests.engines.test_llama import loglik_alone
from tests.tiny_model import CHAT_TEMPLATE, TinyTokenizer, write_tiny_model

BOS, EOS = 1, 2
NOISE = 0.02
"""Nats by which sums may differ, because decoding side by side rounds differently. One token is worth far more."""
WRITES_BOS = "{{ bos_token }}" + CHAT_TEMPLATE
TOKENIZERS = [TinyTokenizer(*flags) for flags in itertools.product((True, False), repeat=3)]
CHOICES = (" in", " the end", " of all things")
PROMPTS = ("the thing and the answer is", "it ends with a space ", "it ends with a line\n")


@pytest.fixture(scope="module", params=TOKENIZERS, ids=str)
def tokenizer(request: pytest.FixtureRequest) -> TinyTokenizer:
    found: TinyTokenizer = request.param
    return found


@pytest.fixture(scope="module", params=[CHAT_TEMPLATE, WRITES_BOS], ids=["template", "template with BOS"])
def model(request: pytest.FixtureRequest, tokenizer: TinyTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("special") / "tiny.gguf"
    return Model(write_tiny_model(path, chat_template=request.param, tokenizer=tokenizer))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return a model of the same vocabulary that adds nothing to a text."""
    path = tmp_path_factory.mktemp("plain") / "plain.gguf"
    return Model(write_tiny_model(path, tokenizer=TinyTokenizer(False, False, False)), vocab_only=True)


def by_hand(text: str, plain: Model, tokenizer: TinyTokenizer) -> list[int]:
    """Return the tokens of a plain text, with BOS and the space in front that the file asks for, and no end."""
    prefix = " " if tokenizer.add_space_prefix else ""
    tokens = plain.tokenize(prefix + text, add_special=False, parse_special=False)
    return [BOS, *tokens] if tokenizer.add_bos else tokens


def item(task: Choose | Generate) -> Item:
    return Item("i", task, 0, "hash")


def test_the_likelihood_of_a_choice_is_that_of_all_its_tokens(
    model: Model, plain: Model, tokenizer: TinyTokenizer
) -> None:
    engine = LlamaEngine(model.path, layout(n_ctx=512))
    for text in PROMPTS:
        (found,) = engine.choose([item(Choose((Message("user", text),), False, CHOICES))], ignore)
        assert isinstance(found, Choices)
        context = by_hand(text, plain, tokenizer)
        for choice, loglik in zip(CHOICES, found.logliks, strict=True):
            whole = by_hand(text + choice, plain, tokenizer)
            assert whole[: len(context)] == context and EOS not in whole  # no token holds the end of both
            assert loglik == pytest.approx(loglik_alone(model, whole, len(context)), abs=NOISE)
        assert found.prompt_tokens == len(context)
    engine.close()


def test_the_likelihood_of_a_choice_after_a_chat_begins_behind_the_template(
    model: Model, tokenizer: TinyTokenizer
) -> None:
    engine = LlamaEngine(model.path, layout(n_ctx=512))
    (found,) = engine.choose([item(Choose((Message("user", "the thing"),), True, ("in", "the end")))], ignore)
    assert isinstance(found, Choices)
    # The template ends with a line feed, which no token joins with what follows.
    text = render_prompt([Message("user", "the thing")], chat=True, model=model).text
    assert text.endswith("<|im_start|>assistant\n")
    writes_bos = text.startswith("<s>")
    context, *wholes = (
        model.tokenize(text + ending, add_special=False, parse_special=True) for ending in ("", "in", "the end")
    )
    begin = [BOS] if tokenizer.add_bos and not writes_bos else []
    assert (begin + context).count(BOS) == (1 if tokenizer.add_bos or writes_bos else 0)
    for whole, loglik in zip(wholes, found.logliks, strict=True):
        assert loglik == pytest.approx(loglik_alone(model, begin + whole, len(begin + context)), abs=NOISE)
    engine.close()


def test_a_prompt_has_one_bos_at_most_and_no_end(model: Model, plain: Model, tokenizer: TinyTokenizer) -> None:
    engine = LlamaEngine(model.path, layout(n_ctx=512))
    sampling = Sampling(max_tokens=4)
    asked = Generate((Message("user", "the thing"),), False, (), 4)
    put = engine.generation_request(item(asked), sampling)
    assert isinstance(put, Prepared) and list(put.request.tokens) == by_hand("the thing", plain, tokenizer)
    chat = Generate((Message("user", "the thing"),), True, (), 4)
    put = engine.generation_request(item(chat), sampling)
    assert isinstance(put, Prepared)
    tokens = list(put.request.tokens)
    writes_bos = "bos_token" in (model.chat_template or "")
    assert tokens.count(BOS) == (1 if tokenizer.add_bos or writes_bos else 0)
    assert EOS not in tokens and tokens[-1] == plain.tokenize("\n", add_special=False, parse_special=False)[-1]
    assert not fit(chat, 4, model).too_long
    engine.close()


def test_without_any_token_before_it_a_choice_follows_the_one_that_begins_texts(
    model: Model, plain: Model, tokenizer: TinyTokenizer
) -> None:
    engine = LlamaEngine(model.path, layout(n_ctx=512))
    (found,) = engine.choose([item(Choose((Message("user", ""),), False, ("the", "in")))], ignore)
    assert isinstance(found, Choices)
    for choice, loglik in zip(("the", "in"), found.logliks, strict=True):
        own = plain.tokenize(
            (" " if tokenizer.add_space_prefix else "") + choice, add_special=False, parse_special=False
        )
        assert loglik == pytest.approx(loglik_alone(model, [BOS, *own], 1), abs=NOISE)
    put = engine.generation_request(item(Generate((Message("user", ""),), False, (), 4)), Sampling(max_tokens=4))
    assert isinstance(put, Prepared) and list(put.request.tokens) == [BOS]
    engine.close()


def test_a_token_that_holds_the_end_of_the_prompt_is_scored_in_every_choice(tiny: Model) -> None:
    # "the" is one token; so is "th", and the prompt ends in the middle of it.
    prompt = render_prompt([Message("user", "in th")], chat=False, model=tiny)
    fork = choice_request_of(prompt, ("e", "x"), tiny)
    assert fork is not None
    in_, the = (tiny.tokenize(text, add_special=True, parse_special=False) for text in ("in", "in the"))
    assert fork.choices[0] == the and the[: len(in_)] == in_
    assert fork.scored_from == len(in_)


def test_double_bos_after_white_space_of_a_template(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "space.gguf", chat_template="\n{{ '\n' + bos_token }}{{ messages[0].request }}")
    with Model(path, vocab_only=True) as model:
        prompt = render_prompt([Message("user", "the")], chat=True, model=model)
        assert prompt.tokens(model).count(BOS) == 1


def test_a_text_is_tokenized_without_an_end_even_if_it_ends_with_one(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "eos.gguf", tokenizer=TinyTokenizer(add_eos=True))
    with Model(path, vocab_only=True) as model:
        assert model.tokenize("the</s>", add_special=True, parse_special=True)[-1] == EOS
        assert model.tokenize("the", add_special=True, parse_special=True)[-1] != EOS
        assert model.tokenize("", add_special=True, parse_special=True) == [BOS]


class _NothingToBeginWith(Model):
    """A model without BOS and EOS."""

    bos = eos = -1  # type: ignore[assignment]

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return super().tokenize(text, add_special=False, parse_special=parse_special)


def test_a_model_that_has_no_token_to_begin_with_refuses_an_empty_prompt(tiny_path: str) -> None:
    with _NothingToBeginWith(tiny_path, vocab_only=True) as model:
        prompt = render_prompt([Message("user", "")], chat=False, model=model)
        assert prompt.tokens(model) == []
        assert choice_request_of(prompt, ("a", "b"), model) is None
