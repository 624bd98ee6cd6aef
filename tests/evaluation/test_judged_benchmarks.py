"""Judged benchmarks: their items, their temperatures, what a judge gets to know, and records without scores."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actors.engines.scripted import Script, ScriptedEngine
from actors.evaluation.benchmarks import elyza, find_benchmarks, is_sampled, load, mt_bench
from actors.evaluation.benchmarks.reading import read_rows
from actors.evaluation.contract import BenchmarkData, LoaderInputs
from actors.evaluation.evaluate import evaluate_block, record_prompt_hash
from actors.evaluation.hub_files import DatasetHub
from actors.evaluation.kv_cache import Cache
from actors.items import Generate, Scorer
from actors.judging.orders import JudgeModel
from actors.llama.model import Model
from actors.orchestrator.planning.judged import judged_notices, short_contexts
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.orders import BlockOrder, Endpoint
from conf.custom_benchmarks import read_custom_benchmark
from conf.faults import BadInput
from conf.schema.answers import Sampling
from conf.schema.pipeline import PipelineConfig
from tests.conftest import ignore, layout
from tests.evaluation.hub_server import hub_with

SAMPLING = Sampling(max_tokens=2048)
TASK = {"id": 7, "input": "挨拶してください。", "output": "こんにちは。", "eval_aspect": "- 挨拶がなければ1点減点\n\n"}
QUESTIONS = [
    {"question_id": 1, "category": "math", "turns": ["1+1?", "And 2+2?"], "reference": ["2", ""]},
    {"question_id": 2, "category": "writing", "turns": ["Write.", "Again."]},
    {"question_id": 3, "category": "stem", "turns": ["Why?", "And how?"]},
]


def written(folder: Path, name: str, rows: list[dict[str, object]]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return folder


def talks(tmp_path: Path, tiny: Model, max_tokens: int = 64) -> BenchmarkData:
    folder = written(tmp_path, "mt_bench/question.jsonl", QUESTIONS)
    return load("mt_bench", data_dir=folder, sampling=Sampling(max_tokens=max_tokens), vocabulary=tiny)


def test_a_task_of_elyza_is_asked_alone_and_its_criteria_go_to_the_judge(tmp_path: Path, tiny: Model) -> None:
    folder = written(tmp_path, "elyza_tasks_100/test.jsonl", [TASK])
    data = load("elyza", data_dir=folder, sampling=SAMPLING, vocabulary=tiny)
    (item,) = data.items
    assert isinstance(item.task, Generate) and item.task.chat and not item.task.then
    assert [message.content for message in item.task.messages] == ["挨拶してください。"]
    assert (item.task.max_tokens, item.task.temperature) == (1024, None)
    assert item.target == {"criteria": "- 挨拶がなければ1点減点", "references": ["こんにちは。"], "category": None}
    assert data.spec.rubrics == ("elyza_2023", "elyza_strict") and data.spec.scale == (1, 5)
    (shorter,) = load("elyza", data_dir=folder, sampling=Sampling(max_tokens=99), vocabulary=tiny).items
    assert isinstance(shorter.task, Generate) and shorter.task.max_tokens == 99


def test_mt_bench_has_two_turns_and_the_temperature_of_its_category(tmp_path: Path, tiny: Model) -> None:
    items = {item.item_id: item for item in talks(tmp_path, tiny).items}
    tasks = {name: item.task for name, item in items.items() if isinstance(item.task, Generate)}
    assert {name: task.temperature for name, task in tasks.items()} == {"1": 0.0, "2": 0.7, "3": 0.1}
    assert tasks["1"].then == ("And 2+2?",) and tasks["1"].messages[0].content == "1+1?"
    assert items["1"].target == {"criteria": None, "references": ["2", None], "category": "math"}
    assert items["2"].target["references"] == [None, None]


def test_own_temperatures_count_before_that_of_the_pipeline(tmp_path: Path, tiny: Model) -> None:
    data, greedy = talks(tmp_path, tiny), Sampling(temperature=0.0)
    assert is_sampled(data.spec, greedy, data.items)
    fixed = [item for item in data.items if item.item_id == "1"]
    assert not is_sampled(data.spec, SAMPLING, fixed)
    assert all(record_prompt_hash(item, Sampling()) == record_prompt_hash(item, greedy) for item in data.items)


def test_a_conversation_that_cannot_fit_the_context_is_too_long(tmp_path: Path, tiny: Model) -> None:
    assert all(item.too_long for item in talks(tmp_path, tiny, max_tokens=tiny.n_ctx_train // 2).items)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"category": "cooking"}, "a 'category' that is one of writing"),
        ({"turns": []}, "'turns' with the text of each turn"),
        ({"turns": ["a", ""]}, "'turns' with the text of each turn"),
        ({"reference": ["one"]}, "as many texts in 'reference' as turns"),
        ({"reference": "one"}, "'reference' with one text per turn"),
        ({"question_id": 2}, "a unique question_id"),
    ],
)
def test_broken_questions_are_reported_with_their_line(
    change: dict[str, object], said: str, tmp_path: Path, tiny: Model
) -> None:
    folder = written(tmp_path, "mt_bench/question.jsonl", [QUESTIONS[1], {**QUESTIONS[0], **change}])
    with pytest.raises(BadInput) as raised:
        load("mt_bench", data_dir=folder, sampling=SAMPLING, vocabulary=tiny)
    (fault,) = raised.value.faults
    assert fault.key.endswith("question.jsonl:2") and said in str(fault)


def test_records_of_judged_answers_have_both_turns_and_no_score(tmp_path: Path, tiny: Model) -> None:
    data = talks(tmp_path, tiny)
    script = Script({"1": ("one", "two"), "2": {5: ("a", "b"), 6: ("c", "d")}, "3": ("x", "")})
    order = BlockOrder("q", "q.gguf", "mt_bench", Scorer("judged"), data.items, (5, 6), SAMPLING, layout(), "r.jsonl")
    records = evaluate_block(order, ScriptedEngine(script), ignore).records
    assert {(record.outcome, record.score, record.reason) for record in records} == {("unscored", None, "no_judge")}
    said = {(record.item_id, record.seed): (record.earlier_texts, record.text) for record in records}
    assert said["1", 5] == said["1", 6] == (("one",), "two")
    assert said["2", 5] == (("a",), "b") and said["2", 6] == (("c",), "d")
    assert {record.earlier_finish_reasons for record in records} == {("eog",)}


def test_the_hubs_rows_become_those_of_the_folder(tmp_path: Path, tiny: Model) -> None:
    table = 'input,output,eval_aspect\n"一行目\n二行目, と",答え,"- ""A""なら1点"\n質問,出力,観点\n'
    line = {"question_id": 81, "category": "math", "prompt": ["a", "b"], "reference": ["1", "2"]}
    plain = {"question_id": 82, "category": "writing", "prompt": ["c", "d"]}
    served = {
        ("elyza/ELYZA-tasks-100", "test.csv"): table.encode(),
        ("HuggingFaceH4/mt_bench_prompts", "raw/question.jsonl"): f"{json.dumps(line)}\n{json.dumps(plain)}\n".encode(),
    }
    with hub_with(served) as (address, _):
        hub = DatasetHub(address, tmp_path)
        tasks = load("elyza", data_dir=None, sampling=SAMPLING, vocabulary=tiny, hub=hub)
        questions = load("mt_bench", data_dir=None, sampling=SAMPLING, vocabulary=tiny, hub=hub)
        rows = read_rows(LoaderInputs(None, SAMPLING, tiny, hub), elyza.TEST, lambda row: row)
    assert sorted(item.item_id for item in tasks.items) == ["0", "1"]
    assert rows.values[0]["input"] == "一行目\n二行目, と" and rows.values[0]["eval_aspect"] == '- "A"なら1点'
    targets = {item.item_id: item.target["references"] for item in questions.items}
    assert targets == {"81": ["1", "2"], "82": [None, None]}


def test_a_judged_benchmark_without_a_hub_needs_a_data_folder(tiny: Model) -> None:
    with pytest.raises(BadInput, match=r"japanese_mt_bench/question\.jsonl.*No known hub has it"):
        load("mt_bench_ja", data_dir=None, sampling=SAMPLING, vocabulary=tiny)


def test_other_names_of_a_benchmark_lead_to_ours() -> None:
    with pytest.raises(BadInput) as raised:
        find_benchmarks(["japanese_mt_bench", "elyza_tasks_100"])
    assert [str(fault).rpartition("Here it is called ")[2] for fault in raised.value.faults] == [
        "'mt_bench_ja'.",
        "'elyza'.",
    ]


def test_a_custom_benchmark_cannot_name_the_judged_scorer(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text('data: a.jsonl\nprompt: "{{ q }}"\ntarget: a\nscorer: judged\n')
    with pytest.raises(BadInput) as raised:
        read_custom_benchmark(tmp_path / "mine.yaml")
    assert "one of number, math" in str(raised.value) and "judged," not in str(raised.value).split("one of")[1]


def config_of(**settings: Any) -> PipelineConfig:
    return PipelineConfig.model_validate({"models": [{"name": "m", "path": "m.gguf"}], **settings})


def planned(data: BenchmarkData) -> PlannedBenchmark:
    return PlannedBenchmark(data, sampled=True, cache=Cache(1, 256, unified=True), share_prefixes=True)


def test_one_notice_says_that_nobody_judges_and_one_that_scores_do_not_compare(tmp_path: Path, tiny: Model) -> None:
    benchmarks = [
        planned(talks(tmp_path, tiny)),
        planned(load("demo_qa", data_dir=None, sampling=SAMPLING, vocabulary=tiny)),
    ]
    nobody, few = judged_notices(config_of(), benchmarks)
    assert nobody.startswith("NOBODY JUDGES the answers of mt_bench:") and "jobs.judge --run DIR" in nobody
    assert few.startswith("mt_bench: published scores rest on 80 items, and this run has 3 (its data hold ")
    assert judged_notices(config_of(), benchmarks[1:]) == ()


def test_a_judge_whose_context_is_too_short_for_full_answers_is_told(tmp_path: Path, tiny: Model) -> None:
    benchmarks = [planned(talks(tmp_path, tiny, max_tokens=512))]
    endpoint = JudgeModel("far", Endpoint("http://127.0.0.1:9/v1", "m", 1, 10.0, 1))
    short, long = (JudgeModel(name, None, n_ctx_train=n_ctx) for name, n_ctx in (("short", 1536), ("long", 8192)))
    (notice,) = short_contexts(config_of(), [endpoint, short, long], benchmarks)
    assert (notice.values["judge"], notice.values["benchmark"], notice.values["n_ctx"]) == ("short", "mt_bench", 1536)
    # Two answers of 512 tokens, a verdict of 512, the rubric and short questions.
    assert 1536 + 200 < notice.values["n_tokens"] < 4096
    brief = [planned(talks(tmp_path / "brief", tiny, max_tokens=8))]
    assert short_contexts(config_of(judging={"max_tokens": 64}), [short], brief) == ()


def test_a_judged_benchmark_without_a_margin_is_named_before_the_run(tmp_path: Path, tiny: Model) -> None:
    benchmarks = [planned(talks(tmp_path, tiny))]
    judging = {"judges": [{"name": "j", "model": "m"}]}
    margin, few = judged_notices(config_of(judging=judging), benchmarks)
    assert margin.startswith("No verdict depends on mt_bench") and "statistics.margins.judged" in margin
    for statistics in ({"margins": {"judged": 0.2}}, {"tiers": {"inform": ["mt_bench"]}}):
        assert judged_notices(config_of(judging=judging, statistics=statistics), benchmarks) == (few,)


def test_the_real_judged_data_sets_load_completely(data_dir: Path, tiny: Model) -> None:
    tasks, english, japanese = (
        load(name, data_dir=data_dir, sampling=SAMPLING, vocabulary=tiny)
        for name in ("elyza", "mt_bench", "mt_bench_ja")
    )
    assert [len(data.items) for data in (tasks, english, japanese)] == [67, 80, 80]
    assert all(item.target["criteria"] and item.target["references"][0] for item in tasks.items)
    for data in (english, japanese):
        assert Counter(item.target["category"] for item in data.items) == dict.fromkeys(mt_bench.TEMPERATURES, 10)
        assert all(isinstance(item.task, Generate) and len(item.task.then) == 1 for item in data.items)
    with_reference = Counter(item.target["category"] for item in english.items if any(item.target["references"]))
    assert with_reference["math"] == with_reference["reasoning"] == 10 and with_reference["coding"] == 9
