"""Before anything starts, the first prompts of each benchmark are rendered with the chat template of each model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs import pipeline
from tests import chat_templates as templates
from tests.jobs.running import small_pipeline
from tests.tiny_model import CHAT_TEMPLATE, write_tiny_model

RAISES = "\n{{ raise_exception('not with me') }}"
RECURSES = "{% macro f() %}\n{{ f() }}{% endmacro %}{{ f() }}"
LOOPS = "{% for i in range(99999) %}\n{% for j in range(99999) %}{% endfor %}{% endfor %}"
LONG_TEXTS_LOOP = (
    "{% for m in messages %}{{ m.content }}{% if m.content | length > 30 %}" + LOOPS + "{% endif %}{% endfor %}"
)


@pytest.fixture
def chat_benchmark(tmp_path: Path) -> Path:
    """Write a benchmark that chats, with a system message."""
    lines = [
        {"id": f"q{n}", "question": f"What is {n} and {n}? " * (1 + n // 20), "answer": str(2 * n)} for n in range(24)
    ]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    path = tmp_path / "sums.yaml"
    path.write_text(
        'data: sums.jsonl\nprompt: "{{ question }}"\ntarget: answer\nscorer: contains\nchat: true\nsystem: Be brief.\n',
        encoding="utf-8",
    )
    return path


def planned(
    template: str, benchmark: Path | str, folder: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, str, str]:
    """Plan a run of a model with this template and return exit code, output and errors."""
    model = write_tiny_model(folder / "model.gguf", chat_template=template)
    words = ("--benchmarks", str(benchmark), "--imatrix", "none", "--dry-run", *more)
    code = pipeline.main([*small_pipeline(model, folder / "runs", "p"), *words])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (RAISES, "line 2: not with me"),
        (RECURSES, "line 2: it calls itself without end"),
        (LOOPS, "line 2: it takes more than 2 s of processor time"),
        (LONG_TEXTS_LOOP, "line 2: it takes more than 2 s of processor time"),
        ("{% if %}", "line 1: Expected an expression"),
        ("{# nothing #}", "the text is empty"),
        (templates.DROPS_SYSTEM, "the system message ('Be brief.') is not in it; line 1 reads the messages"),
        ("{{ bos_token }}\n{{ messages[0].content }}", "line 2 reads the messages"),
        ("Hello", "it never reads `messages`"),
    ],
)  # fmt: skip
def test_a_template_that_makes_no_prompt_is_bad_input(
    template: str, told: str, chat_benchmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = planned(template, chat_benchmark, tmp_path, capsys)
    assert code == 2
    assert f"--model: got 'tiny={tmp_path}/model.gguf'" in said
    assert told in said and "sums" in said and "chat.tiny.template" in said
    assert not (tmp_path / "runs").exists()


def test_a_benchmark_that_does_not_chat_needs_no_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert planned(RAISES, "demo_qa", tmp_path, capsys)[0] == 0


def test_a_system_message_that_a_template_refuses_goes_into_the_first_user_turn_with_a_notice(
    chat_benchmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notice = "The chat template of tiny takes no system message: its text goes in front of the first user turn."
    code, out, said = planned(templates.GEMMA, chat_benchmark, tmp_path, capsys)
    assert code == 0 and notice in " ".join((out + said).split())
    code, out, said = planned(templates.PARTS, chat_benchmark, tmp_path, capsys)
    assert code == 0 and notice not in " ".join((out + said).split())


def test_the_template_of_an_arm_and_of_the_configuration_are_checked_too(
    chat_benchmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_tiny_model(tmp_path / "other.gguf", seed=1, chat_template=templates.DROPS_SYSTEM)
    code, _, said = planned(CHAT_TEMPLATE, chat_benchmark, tmp_path, capsys, "--arm", f"other={other}")
    assert code == 2 and f"--arm: got 'other={other}'" in said and "'Be brief.'" in said
    assert "chat.other.template" in said and "chat.tiny" not in said  # that of the model stays as it is
    (tmp_path / "mine.jinja").write_text(templates.DROPS_SYSTEM, encoding="utf-8")
    (tmp_path / "c.yaml").write_text(f"chat: {{tiny: {{template: {tmp_path}/mine.jinja}}}}\n", encoding="utf-8")
    code, _, said = planned(CHAT_TEMPLATE, chat_benchmark, tmp_path, capsys, "--config", str(tmp_path / "c.yaml"))
    assert code == 2 and "chat.tiny.template: got" in said and "'Be brief.'" in said
    (tmp_path / "mine.jinja").write_text(LOOPS, encoding="utf-8")
    code, _, said = planned(CHAT_TEMPLATE, chat_benchmark, tmp_path, capsys, "--config", str(tmp_path / "c.yaml"))
    assert code == 2 and "chat.tiny.template: got" in said and "line 2: it takes more than 2 s" in said
