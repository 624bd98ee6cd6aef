"""Which variables a chat template gets, and how long a model may think: found out from the template of each family."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.items import TemplateUse
from actors.orchestrator.sources.chat import chat_settings
from actors.orchestrator.sources.inputs import SourceArm, SourceModel, TemplateUses
from actors.orchestrator.sources.thinking import DEFAULT_THINKING_TOKENS, template_uses
from actors.orders import Endpoint
from conf.faults import BadInput
from conf.load import load
from conf.schema.answers import Chat
from tests import chat_templates
from tests import thinking_models as templates
from tests.orchestrator.small_plan import MODEL
from tests.thinking_models import write_thinking_model
from tests.tiny_model import CHAT_TEMPLATE

HALF = 1024
"""Half of the tiny context, which is less than the default budget."""


def used(
    folder: Path, template: str | None, chat: Mapping[str, Any], arms: Mapping[str, str] | None = None
) -> TemplateUses:
    """Return how templates are used, given the chat settings by name. `arms`: the template of each existing arm."""
    path = write_thinking_model(folder / "m.gguf", template)
    files = {name: write_thinking_model(folder / f"{name}.gguf", own) for name, own in (arms or {}).items()}
    values: dict[str, Any] = {"models": [{"name": "m", "path": str(path)}], "chat": dict(chat)}
    values["arms"] = [{"name": name, "path": str(file)} for name, file in files.items()]
    values["arms"].append({"name": "far", "path": "http://host/v1#model"})
    config = load(None, values)
    model = SourceModel(**{**vars(MODEL), "name": "m", "path": str(path)})
    existing = [SourceArm(name, str(file)) for name, file in files.items()]
    endpoint = Endpoint("http://host/v1", "model", 1, 1.0, 1)
    return template_uses(
        [model], [*existing, SourceArm("far", "http://host/v1#model", endpoint=endpoint)], chat_settings(config)
    )


def use_of(folder: Path, template: str | None, **chat: Any) -> TemplateUse | None:
    return used(folder, template, {"m": chat} if chat else {}).models.get("m")


@pytest.mark.parametrize(
    ("template", "on", "off"),
    [
        (templates.QWEN_3, {"enable_thinking": True}, {"enable_thinking": False}),
        (templates.DEEPSEEK_V3, {"thinking": True}, {"thinking": False}),
        (templates.SEED, {"thinking_budget": -1}, {"thinking_budget": 0}),
        (templates.DEEPSEEK_R1, {}, None),
        (templates.GPT_OSS, {}, None),
        (templates.LLM_JP_4, {}, None),
        (templates.MAGISTRAL, {}, None),
        (templates.REFLECTING, {}, None),
        (CHAT_TEMPLATE, None, None),
        (chat_templates.LLAMA_3, None, None),
    ],
)
def test_thinking_is_switched_by_what_the_template_reads(
    template: str, on: dict[str, Any] | None, off: dict[str, Any] | None, tmp_path: Path
) -> None:
    for asked, wanted in (("on", on), ("off", off)):
        if wanted is None:
            with pytest.raises(BadInput, match=rf"chat\.m\.thinking: got '{asked}'"):
                use_of(tmp_path, template, thinking=asked)
            continue
        use = use_of(tmp_path, template, thinking=asked)
        assert use is not None and json.loads(use.arguments) == wanted
        assert use.thinking_tokens == (HALF if asked == "on" else 0)


@pytest.mark.parametrize(
    ("template", "tokens"),
    [
        (templates.QWEN_3, HALF),
        (templates.DEEPSEEK_R1, HALF),
        (templates.GPT_OSS, HALF),
        (templates.LLM_JP_4, HALF),
        (templates.MAGISTRAL, HALF),
        (templates.DEEPSEEK_V3, None),  # it closes the thoughts unless it is told otherwise
        (CHAT_TEMPLATE, None),
        (chat_templates.GEMMA, None),
        (None, None),
    ],
)
def test_without_settings_a_model_that_may_think_gets_a_budget_and_others_nothing(
    template: str | None, tokens: int | None, tmp_path: Path
) -> None:
    assert use_of(tmp_path, template) == (None if tokens is None else TemplateUse(thinking_tokens=tokens))


def test_arguments_and_budget_come_from_the_configuration(tmp_path: Path) -> None:
    use = use_of(tmp_path, templates.GPT_OSS, template_arguments={"reasoning_effort": "high"}, thinking_tokens=300)
    assert use == TemplateUse(arguments='{"reasoning_effort": "high"}', thinking_tokens=300)
    closed = use_of(tmp_path, templates.QWEN_3, template_arguments={"enable_thinking": False})
    assert closed == TemplateUse(arguments='{"enable_thinking": false}')


def test_the_settings_of_an_arm_win_over_those_of_its_model(tmp_path: Path) -> None:
    chat = {"m": {"thinking": "on", "thinking_tokens": 300, "system": "Be brief."}, "calm": {"thinking": False}}
    found = used(tmp_path, templates.QWEN_3, chat, {"calm": templates.QWEN_3, "same": templates.QWEN_3})
    assert found.models["m"] == found.arms["same"]
    assert found.arms["same"] == TemplateUse(None, "on", '{"enable_thinking": true}', 300)
    assert found.arms["calm"] == TemplateUse(None, "off", '{"enable_thinking": false}', 0)
    assert found.of_files("m", [SourceArm("calm", ""), SourceArm("same", "")]) == [
        found.models["m"],
        found.arms["calm"],
    ]


def test_an_endpoint_is_asked_under_both_names_and_needs_no_settings(tmp_path: Path) -> None:
    assert used(tmp_path, CHAT_TEMPLATE, {}).arms == {}
    use = used(tmp_path, CHAT_TEMPLATE, {"far": {"thinking": "on"}}).arms["far"]
    assert json.loads(use.arguments) == {"enable_thinking": True, "thinking": True}
    assert use.thinking_tokens == DEFAULT_THINKING_TOKENS
    use = used(tmp_path, CHAT_TEMPLATE, {"far": {"template_arguments": {"reasoning_effort": "low"}}}).arms["far"]
    assert use == TemplateUse(arguments='{"reasoning_effort": "low"}')


@pytest.mark.parametrize(
    ("chat", "told"),
    [
        ({"m": {"template_arguments": {"enable_thinkng": True}}}, r"chat\.m\.template_arguments: got 'enable_thinkng'"),
        ({"m": {"template_arguments": {"messages": []}}}, r"template_arguments.*names other than"),
        ({"m": {"template_arguments": {"a b": 1}}}, r"template_arguments"),
        ({"m": {"thinking_tokens": 2048}}, r"chat\.m\.thinking_tokens: got '?2048'?.*less than the context"),
        ({"m": {"thinking_tokens": 9, "thinking": "off"}}, r"chat\.m\.thinking_tokens: got '?9'?.*thinking is off"),
        ({"m": {"thinking_tokens": 0}}, r"chat\.m\.thinking_tokens"),
        ({"m": {"thinking": "maybe"}}, r"chat\.m\.thinking: got 'maybe'"),
        ({"m": {"thinking": "on", "template_arguments": {"enable_thinking": False}}}, r"chat\.m\.thinking: got 'on'"),
        ({"far": {"template": "x.jinja"}}, r"chat\.far\.template"),
        ({"far": {"system": "Be brief."}}, r"chat\.far\.system: got 'Be brief\.'"),
        ({"other": {"thinking": "on"}}, r"chat\.other: got 'other'.*m, far"),
    ],
)  # fmt: skip
def test_settings_that_can_have_no_effect_are_bad_input(chat: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=told):
        used(tmp_path, templates.QWEN_3, chat)


@pytest.mark.parametrize(
    ("chat", "told"),
    [
        ({"thinking": "on"}, r"chat\.m\.thinking: got 'on'; allowed: template, for other, which takes it on\. .*"
         r"chat\.other\.thinking sets it for other alone"),
        ({"thinking_tokens": 9, "thinking": "on"}, r"chat\.m\.thinking: got 'on'"),
        ({"template_arguments": {"enable_thinking": True}},
         r"chat\.m\.template_arguments: got 'enable_thinking'.* for other"),
    ],
)  # fmt: skip
def test_a_fault_names_the_key_under_which_an_arm_has_the_setting(
    chat: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=told) as raised:
        used(tmp_path, templates.QWEN_3, {"m": chat}, {"other": CHAT_TEMPLATE, "like": templates.QWEN_3})
    assert len(raised.value.faults) == 1  # m and like can follow it


def test_a_fault_of_two_settings_names_both_keys(tmp_path: Path) -> None:
    chat = {"m": {"thinking": "off"}, "own": {"thinking_tokens": 9}}
    with pytest.raises(BadInput, match=r"chat\.own\.thinking_tokens: got 9.*\(chat\.m\.thinking: off\)"):
        used(tmp_path, templates.QWEN_3, chat, {"own": templates.QWEN_3})


def test_what_a_model_cannot_follow_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as raised:
        used(tmp_path, CHAT_TEMPLATE, {"m": {"thinking": "on"}}, {"like": CHAT_TEMPLATE})
    assert [fault.key for fault in raised.value.faults] == ["chat.m.thinking"]


def test_a_model_without_a_template_takes_no_settings_of_thinking(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"chat\.m\.thinking_tokens: got 9.*has no chat template.*chat\.m\.template"):
        use_of(tmp_path, None, thinking_tokens=9)


def test_yaml_reads_on_and_off_as_truth_values() -> None:
    assert [Chat(thinking=value).thinking for value in (True, False)] == ["on", "off"]
