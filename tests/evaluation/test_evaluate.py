"""Blocks: their records, the order and bytes of those, and the worker that writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from actors.chat import render_prompt
from actors.engines.scripted import Script, ScriptedEngine
from actors.errors import LlamaError
from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.benchmarks import load
from actors.evaluation.evaluate import evaluate_block, summarize, write_block
from actors.items import Generate, Message, TemplateUse
from actors.llama.model import Model
from actors.orders import BlockOrder
from actors.stored_files import timings_path
from conf.schema.answers import Sampling
from tests.conftest import ignore, layout


def order(name: str, tiny: Model, path: Path, n_items: int = 3, seeds: tuple[int, ...] = (0, 1)) -> BlockOrder:
    sampling = Sampling(max_tokens=8)
    data = load(name, data_dir=None, sampling=sampling, vocabulary=tiny)
    return BlockOrder(
        "f16",
        tiny.path,
        name,
        data.spec.scorer,
        data.items[:n_items],
        seeds,
        sampling,
        layout(n_ctx=4096),
        str(path / f"{name}.jsonl"),
    )


def test_a_scripted_block_has_right_wrong_and_unscored_records_in_order(tmp_path: Path, tiny: Model) -> None:
    block = order("demo_qa", tiny, tmp_path)
    one, two, _ = block.items
    engine = ScriptedEngine(Script(texts={one.item_id: {0: one.target[0], 1: "xyzzy"}, two.item_id: ""}))
    result = evaluate_block(block, engine, ignore)
    assert [(record.item_id, record.seed) for record in result.records] == [
        (item.item_id, seed) for item in block.items for seed in (0, 1)
    ]
    assert [record.outcome for record in result.records] == [
        "correct",
        "wrong",
        "wrong",
        "wrong",
        "unscored",
        "unscored",
    ]
    assert [record.reason for record in result.records] == [None, None, "no_answer", "no_answer"] + [
        "not_in_script"
    ] * 2
    assert result.records[4].score is None
    assert summarize(block, result).outcomes == {"correct": 1, "wrong": 3, "unscored": 2}


def test_sampling_settings_are_in_the_prompt_hash_of_generated_answers_only(tmp_path: Path, tiny: Model) -> None:
    block = order("demo_qa", tiny, tmp_path)
    warmer = replace(block, sampling=Sampling(max_tokens=8, temperature=1.5))
    engine = ScriptedEngine(Script())
    first, second = (evaluate_block(o, engine, ignore).records[0].prompt_hash for o in (block, warmer))
    assert first != second
    choices = order("demo_choice", tiny, tmp_path, seeds=(0,))
    record = evaluate_block(replace(choices, sampling=warmer.sampling), engine, ignore).records[0]
    assert record.prompt_hash == choices.items[0].prompt_hash


@pytest.mark.parametrize("name", ["demo_qa", "demo_choice", "perplexity_pydoc"])
def test_a_worker_writes_the_same_bytes_whatever_it_did_before(name: str, tmp_path: Path, tiny: Model) -> None:
    seeds = (0, 1) if name == "demo_qa" else (0,)
    block = order(name, tiny, tmp_path, seeds=seeds)
    worker, other = EvaluationWorker(), EvaluationWorker()
    worker.evaluate(block, ignore)
    first = Path(block.records_path).read_bytes()
    again = replace(block, records_path=str(tmp_path / "again.jsonl"))
    worker.evaluate(order("demo_qa", tiny, tmp_path / "x", n_items=5, seeds=(7,)), ignore)
    worker.evaluate(again, ignore)
    assert Path(again.records_path).read_bytes() == first
    fresh = replace(block, records_path=str(tmp_path / "fresh.jsonl"))
    other.evaluate(fresh, ignore)
    assert Path(fresh.records_path).read_bytes() == first
    records = [json.loads(line) for line in first.splitlines()]
    assert len(records) == 3 * len(seeds)
    (timing,) = [json.loads(line) for line in timings_path(block.records_path).read_text().splitlines()]
    assert timing["wall_s"] > 0 and timing["worker_pid"] == worker.pid()
    assert not any(key.endswith("_s") for key in records[0])
    worker.close()
    other.close()


def test_records_appear_only_after_their_timings(tmp_path: Path, tiny: Model) -> None:
    block = order("demo_qa", tiny, tmp_path)
    result = evaluate_block(block, ScriptedEngine(Script()), ignore)
    timings_path(block.records_path).mkdir(parents=True)  # writing the timings fails
    with pytest.raises(OSError):
        write_block(block, result)
    assert not Path(block.records_path).exists()


def test_a_model_that_does_not_load_is_an_error_and_the_worker_keeps_working(tmp_path: Path, tiny: Model) -> None:
    block = order("demo_qa", tiny, tmp_path)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF nothing")
    worker = EvaluationWorker()
    with pytest.raises(LlamaError, match="cannot load"):
        worker.evaluate(replace(block, gguf_path=str(broken)), ignore)
    assert sum(worker.evaluate(block, ignore).outcomes.values()) == 6
    worker.close()


def test_a_template_of_the_configuration_replaces_the_models_own(tmp_path: Path, tiny: Model) -> None:
    messages, template = [Message("user", "hi")], "<{{ messages[0].content }}>"
    assert render_prompt(messages, chat=True, model=tiny, use=TemplateUse(template)).text == "<hi>"
    assert render_prompt(messages, chat=False, model=tiny, use=TemplateUse(template)).text == "hi"
    block = order("demo_qa", tiny, tmp_path, n_items=1, seeds=(0,))
    chat = replace(block.items[0], task=Generate((Message("user", "the"),), True, (), 4))
    worker, hashes = EvaluationWorker(), []
    for number, given in enumerate([None, template, None]):
        path = str(tmp_path / f"{number}.jsonl")
        worker.evaluate(
            replace(block, items=(chat,), chat_template=given and TemplateUse(given), records_path=path), ignore
        )
        hashes.append(json.loads(Path(path).read_text())["rendered_hash"])
    worker.close()
    assert hashes[0] == hashes[2] != hashes[1]


def test_a_models_system_prompt_goes_before_chats_and_nothing_else(tmp_path: Path, tiny: Model) -> None:
    (tmp_path / "mgsm_ja").mkdir()
    (tmp_path / "mgsm_ja" / "test.jsonl").write_text('{"id": "a", "question": "いくつ？", "answer": "1"}\n')
    sampling = Sampling(max_tokens=8)
    with_system, without = (
        load("mgsm_ja", data_dir=tmp_path, sampling=sampling, vocabulary=tiny, system=system)
        for system in ("Be brief.", None)
    )
    task = with_system.items[0].task
    assert isinstance(task, Generate)
    assert [message.role for message in task.messages] == ["system", "user"]
    assert with_system.items[0].prompt_hash != without.items[0].prompt_hash
    plain = load("demo_qa", data_dir=None, sampling=sampling, vocabulary=tiny)
    assert plain == load("demo_qa", data_dir=None, sampling=sampling, vocabulary=tiny, system="Be brief.")
