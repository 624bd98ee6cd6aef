"""Chat templates: what transformers gives them works, and every message is in what they render."""

from __future__ import annotations

import pytest

from actors.chat import SpecialTexts, TemplateForm, render_chats, render_prompt, template_form
from actors.items import Message
from actors.llama.model import Model
from actors.rendering import TemplateFailed
from actors.template_process import FIXED_DATE
from tests import chat_templates as templates

SPECIAL = SpecialTexts("<s>", "</s>", "<unk>", "<pad>")
SYSTEM, HI, HO, HEY = (
    Message("system", "Be brief."),
    Message("user", "Hi\nthere"),
    Message("assistant", "Ho"),
    Message("user", "Hey"),
)


def render(template: str, *messages: Message) -> str:
    (text,) = render_chats(template, [messages or (Message("user", "<b>hi"),)], SPECIAL)
    if isinstance(text, TemplateFailed):
        raise text
    return text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            "{{ bos_token }}{% for m in messages %}\n  {% if true %}\n[{{ m.content }}]\n  {% endif %}\n{% endfor %}",
            "<s>[<b>hi]\n",
        ),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "<b>hi"}]'),
        ("{{ {'b': 'é', 'a': 1} | tojson(sort_keys=true, ensure_ascii=true) }}", '{"a": 1, "b": "\\u00e9"}'),
        ("{{ {'b': 'é'} | tojson(separators=(',', ':')) }}", '{"b":"é"}'),
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        ("{{ [1] | tojson(true, 1) }}", "[\n 1\n]"),
        ("{{ strftime_now('%Y') }}", str(FIXED_DATE.year)),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}!", "<b>hi!"),
        ("{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "02345678"),
        ("{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "012"),
        ("{% for m in messages %}{% generation %}{{ loop.index }}{{ m.role }}{% endgeneration %}{% endfor %}", "1user"),
        ("{{ unk_token + pad_token + eos_token }}", "<unk><pad></s>"),
        ("{{ tools is none and documents is none and enable_thinking is not defined }}", "True"),
        ("{{ (messages | selectattr('role', 'equalto', 'user') | list)[0].content | upper }}", "<B>HI"),
        ("{{ [3, 1, 2] | random == [3, 1, 2] | random }}{{ range(1000) | random }}", None),
    ],
)  # fmt: skip
def test_templates_see_what_transformers_gives_them(template: str, text: str | None) -> None:
    assert render(template) == (render(template + "{# #}") if text is None else text)


FAMILIES = {
    "llama": (templates.LLAMA_3, "<|start_header_id|>assistant<|end_header_id|>\n\n"),
    "qwen": (templates.QWEN, "<|im_start|>assistant\n"),
    "gemma": (templates.GEMMA, "<start_of_turn>model\n"),
    "mistral": (templates.MISTRAL, "[/INST]"),
    "vision": (templates.PARTS, "<|im_start|>assistant\n"),
    "first part": (templates.FIRST_PART, "Hey"),
    "parts of the user": (templates.PARTS_OF_USER_ONLY, "Hey"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_message_is_in_the_prompts_of_known_families(family: str) -> None:
    template, end = FAMILIES[family]
    for messages in ((HI,), (HI, HO, HEY), (SYSTEM, HI, HO, HEY)):
        text = render(template, *messages)
        positions = [text.index(message.content) for message in messages]
        assert positions == sorted(positions)
        assert "content" not in text and "'type'" not in text
    assert text.endswith(end)


def test_a_prompt_of_each_kind_in_full() -> None:
    assert render(templates.QWEN, SYSTEM, HI) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi\nthere<|im_end|>\n<|im_start|>assistant\n"
    )
    assert render(templates.GEMMA, SYSTEM, HI, HO, HEY) == (
        "<s><start_of_turn>user\nBe brief.\n\nHi\nthere<end_of_turn>\n<start_of_turn>model\nHo<end_of_turn>\n"
        "<start_of_turn>user\nHey<end_of_turn>\n<start_of_turn>model\n"
    )
    assert render(templates.MISTRAL, HI, HO, HEY) == "<s>[INST] Hi\nthere [/INST]Ho</s>[INST] Hey [/INST]"
    assert render(templates.PARTS, HI) == "<|im_start|>user\nHi\nthere<|im_end|>\n<|im_start|>assistant\n"
    assert render(templates.FIRST_PART, SYSTEM, HI) == "<s><system>Be brief.<user>Hi\nthere"


@pytest.mark.parametrize(
    ("template", "form"),
    [
        (templates.LLAMA_3, TemplateForm()),
        (templates.GEMMA, TemplateForm(system_first=False)),
        (templates.PARTS, TemplateForm(("system", "user", "assistant"))),
        (templates.PARTS_OF_USER_ONLY, TemplateForm(("user",))),
        (templates.DROPS_SYSTEM, TemplateForm()),
        ("{{ messages[0].content }}{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}",
         TemplateForm(system_first=False)),
        ("{{ raise_exception('always') }}", TemplateForm()),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", TemplateForm()),
    ],
)  # fmt: skip
def test_how_a_template_wants_its_messages_is_found_out(template: str, form: TemplateForm) -> None:
    assert template_form(template, SPECIAL) == form


def test_parts_of_one_message_are_joined_and_text_without_a_chat_is_not_rendered(tiny: Model) -> None:
    messages = [Message("user", "a"), Message("user", "b")]
    assert render_prompt(messages, chat=True, model=tiny).text == (
        "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n"
    )
    assert render_prompt(messages, chat=False, model=tiny).text == "ab"
