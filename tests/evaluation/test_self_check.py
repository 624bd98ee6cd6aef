"""The self-check: it passes if the batched engine is right, and stops an arm if it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.engines import divergence
from actors.errors import LlamaError
from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.self_check import PartReport
from actors.items import Measure
from actors.llama.context import Context
from actors.orders import CheckOrder, CheckPart
from conf.files import read_json
from tests.conftest import ignore, layout
from tests.engines.test_llama import QUESTIONS, SHOTS, choice, chunk
from tests.tiny_architectures import write_tiny_architecture

CHOICES = (choice("c0", SHOTS + "it is", (" a", " the end of it")), choice("c1", SHOTS + "on", (" the", " in")))
CHUNKS = (chunk(128, 65),)


def order(path: str, folder: Path, **changes: bool) -> CheckOrder:
    how = layout(n_ctx=6 * 512, **changes)
    parts = (
        CheckPart("asked", tuple(QUESTIONS[:2]), how),
        CheckPart("chosen", CHOICES, how),
        CheckPart("measured", CHUNKS, how),
    )
    return CheckOrder("q4_k_m", path, parts, None, str(folder / "check.json"))


def run_check(order: CheckOrder) -> tuple[PartReport, ...]:
    worker = EvaluationWorker()
    try:
        return worker.check(order, ignore)
    finally:
        worker.close()


def test_a_sound_arm_passes_and_the_comparison_is_written(tiny_path: str, tmp_path: Path) -> None:
    asked, chosen, measured = run_check(order(tiny_path, tmp_path))
    assert asked.n_answers == 2 and asked.nats_a_token is None
    assert chosen.nats_a_token is not None and chosen.nats_a_token < 1e-3
    assert measured.n_tokens == 31 and measured.nats_a_token is not None and measured.nats_a_token < 1e-3
    written = read_json(tmp_path / "check.json")
    assert [part["benchmark"] for part in written["parts"]] == ["asked", "chosen", "measured"]
    assert {part["prefixes"] for part in written["parts"]} == {"shared"}


@pytest.mark.parametrize("architecture", ["gemma2", "jamba"])
def test_models_with_another_kind_of_memory_pass_with_and_without_sharing(architecture: str, tmp_path: Path) -> None:
    path = str(write_tiny_architecture(tmp_path / "tiny.gguf", architecture))  # type: ignore[arg-type]
    run_check(order(path, tmp_path))
    run_check(order(path, tmp_path, unified=False, share=False))
    assert {part["prefixes"] for part in read_json(tmp_path / "check.json")["parts"]} == {"not_shared"}


def lose_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make forks lose their prefix, as if llama.cpp did not copy sequences."""
    monkeypatch.setattr(Context, "fork", lambda self, source, target: None)


@pytest.mark.parametrize(("part", "told"), [(0, "asked: .*and"), (1, "chosen: .*nats per token")])
def test_a_fork_that_loses_its_prefix_stops_the_arm(
    part: int, told: str, tiny_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_prefix(monkeypatch)
    whole = order(tiny_path, tmp_path)
    with pytest.raises(LlamaError, match=f"self-check of q4_k_m on {told}|llama_decode failed"):
        run_check(replace(whole, parts=(whole.parts[part],)))
    assert not Path(whole.output_path).exists()


def test_a_wrong_likelihood_of_a_chunk_stops_the_arm(
    tiny_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = divergence._Softmax.logprob
    monkeypatch.setattr(divergence._Softmax, "logprob", lambda self, token: right(self, token) + 0.0032)
    whole = order(tiny_path, tmp_path)
    assert isinstance(CHUNKS[0].task, Measure)
    with pytest.raises(LlamaError, match=r"self-check of q4_k_m on measured: .* differ by 0.0032 nats per token"):
        run_check(replace(whole, parts=whole.parts[2:]))


def test_questions_of_several_turns_and_of_a_temperature_are_checked_by_their_first_greedy_answer(
    tiny_path: str, tmp_path: Path
) -> None:
    whole = order(tiny_path, tmp_path)
    talks = tuple(
        replace(item, task=replace(item.task, then=("on",), temperature=0.9))  # type: ignore[arg-type]
        for item in QUESTIONS[:2]
    )
    run_check(replace(whole, parts=(replace(whole.parts[0], items=talks),)))
    assert read_json(tmp_path / "check.json")["parts"][0]["n_answers"] == 2
