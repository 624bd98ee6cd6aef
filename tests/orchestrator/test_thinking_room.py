"""A budget of thoughts that leaves items no room in the context is told before the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.evaluation.benchmarks import BENCHMARKS
from actors.evaluation.contract import BenchmarkData
from actors.evaluation.prompt_fit import fit, room_for_thoughts
from actors.items import Generate, Item, Message, TemplateUse
from actors.llama.model import Model
from actors.orchestrator.sources.chat import ChatOfName
from actors.orchestrator.sources.inputs import SourceArm, TemplateUses
from actors.orchestrator.sources.thinking_room import Budget, check_room, longest_thoughts
from actors.orders import Endpoint
from conf.faults import BadInput
from conf.schema.answers import Chat, Sampling
from tests import thinking_models as templates
from tests.thinking_models import write_thinking_model

SAMPLING = Sampling(max_tokens=8)
SHORT, LONG, HUGE = (Generate((Message("user", "a" * n),), True, (), 8) for n in (4, 60, 300))


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    path = write_thinking_model(tmp_path_factory.mktemp("room") / "m.gguf", templates.QWEN_3, n_ctx=128)
    with Model(path, vocab_only=True) as loaded:
        yield loaded


def data_of(vocabulary: Model, use: TemplateUse, *tasks: Generate) -> BenchmarkData:
    fitted = [fit(task, 8, vocabulary, use) for task in tasks]
    items = [
        Item(f"{place}", one.task, "x", f"hash {place}", too_long=one.too_long) for place, one in enumerate(fitted)
    ]
    return BenchmarkData(BENCHMARKS["gsm8k_chat"].spec, tuple(items), len(items), "hash", 0, {})


def checked_room(vocabulary: Model, tokens: int, *tasks: Generate, is_default: bool = False) -> tuple[str, ...]:
    use = TemplateUse(thinking_tokens=tokens)
    budget = Budget(tokens, "chat.m.thinking_tokens", is_default)
    return check_room(budget, [data_of(vocabulary, use, *tasks)], SAMPLING, vocabulary, use)


@pytest.mark.parametrize("task", [SHORT, LONG, replace(SHORT, then=("and",))])
def test_the_room_is_the_longest_budget_with_which_a_task_fits(task: Generate, vocabulary: Model) -> None:
    room = room_for_thoughts(task, 8, vocabulary, TemplateUse())
    fits = [not fit(task, 8, vocabulary, TemplateUse(thinking_tokens=room + more)).too_long for more in (0, 1)]
    assert fits == [True, False]


def test_examples_are_left_out_before_thoughts_have_no_room(vocabulary: Model) -> None:
    with_shot = replace(SHORT, messages=(Message("user", "b" * 50, shot=0), *SHORT.messages))
    rooms = [room_for_thoughts(task, 8, vocabulary, TemplateUse()) for task in (SHORT, with_shot)]
    assert rooms[0] == rooms[1]


def test_a_budget_that_leaves_no_item_any_room_is_bad_input(vocabulary: Model) -> None:
    short, long = (room_for_thoughts(task, 8, vocabulary, TemplateUse()) for task in (SHORT, LONG))
    told = rf"chat\.m\.thinking_tokens: got 120; allowed: at most {long}, so that the items of gsm8k_chat have room"
    with pytest.raises(BadInput, match=rf"{told} in the context of 128 tokens \(at most {short} for some"):
        checked_room(vocabulary, 120, SHORT, LONG, HUGE)
    with pytest.raises(BadInput, match=r"It is the default"):
        checked_room(vocabulary, 120, SHORT, is_default=True)


def test_a_budget_that_leaves_some_items_no_room_gives_a_notice(vocabulary: Model) -> None:
    long = room_for_thoughts(LONG, 8, vocabulary, TemplateUse())
    (notice,) = checked_room(vocabulary, long + 1, SHORT, LONG, HUGE)
    assert (
        notice.startswith("1 of 3 items of gsm8k_chat stay unscored") and f"chat.m.thinking_tokens: {long} " in notice
    )
    assert checked_room(vocabulary, long, SHORT, LONG, HUGE) == ()  # the third one never fits
    assert checked_room(vocabulary, 0, HUGE) == checked_room(vocabulary, 50, HUGE) == ()


def test_the_largest_budget_of_a_model_and_its_files_counts(tmp_path: Path) -> None:
    uses = TemplateUses(
        {"m": TemplateUse(thinking_tokens=9)},
        {
            "own": TemplateUse(thinking_tokens=20),
            "same": TemplateUse(thinking_tokens=9),
            "far": TemplateUse(None, "on"),
        },
    )
    chats = {"m": ChatOfName(Chat(thinking_tokens=9), None), "own": ChatOfName(Chat(thinking_tokens=20), None)}
    far = SourceArm("far", "http://host/v1#m", endpoint=Endpoint("http://host/v1", "m", 1, 1.0, 1))
    own, same = SourceArm("own", "own.gguf"), SourceArm("same", "same.gguf")
    assert longest_thoughts("m", [far, same], uses, chats) == Budget(9, "chat.m.thinking_tokens", is_default=False)
    assert longest_thoughts("m", [far, own], uses, chats) == Budget(20, "chat.own.thinking_tokens", is_default=False)
    assert longest_thoughts("m", [same], uses, {}) == Budget(9, "chat.m.thinking_tokens", is_default=True)
