"""The results describe how a prompt looks, by the chat template in the model's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.items import ChatSettings, TemplateUse
from actors.llama.model import Model
from actors.orchestrator.sources.chat import describe_chat
from tests import chat_templates as templates
from tests.tiny_model import CHAT_TEMPLATE, write_tiny_model


@pytest.mark.parametrize(
    ("template", "example"),
    [
        ("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}", "[system] {system}\n[user] {prompt}\n"),
        ("{% for m in messages %}{{ raise_exception('no') if m.role == 'system' else m.content }}{% endfor %}",
         "{system}\n\n{prompt}"),
        (templates.DROPS_SYSTEM, None),
        ("{{ raise_exception('never') }}", None),
        ("{% for m in messages %}{{ m.content }}{% endfor %}" + "x" * 4000, None),
        (None, None),
    ],
)  # fmt: skip
def test_a_prompt_is_shown_if_the_template_renders_a_system_text_and_a_question(
    template: str | None, example: str | None, tmp_path: Path
) -> None:
    path = write_tiny_model(tmp_path / "model.gguf", chat_template=template)
    with Model(path, vocab_only=True) as vocabulary:
        # A template of the configuration is not what readers of the model's file get.
        described = describe_chat(ChatSettings(use=TemplateUse(CHAT_TEMPLATE)), vocabulary)
    assert described["example"] == example
    assert described["template"] == "configuration"
