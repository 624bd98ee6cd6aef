"""Custom benchmarks: YAML files with data, prompt and scorer, and Python functions in a process of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.engines.scripted import Script, ScriptedEngine
from actors.errors import FunctionFailed
from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.benchmarks import find_benchmarks, is_sampled, load
from actors.evaluation.contract import BenchmarkData
from actors.evaluation.evaluate import evaluate_block
from actors.evaluation.kv_cache import cache_need
from actors.items import Call, Choose, Generate, Measure
from actors.llama.model import Model
from actors.orders import BlockOrder
from conf.custom_benchmarks import read_custom_benchmark
from conf.faults import BadInput
from conf.schema.answers import Sampling
from tests.conftest import ignore, layout

SAMPLING = Sampling(max_tokens=64)
LINES = [
    {"id": "jp", "country": "Japan", "city": "Tokyo", "others": ["Osaka", "Tokyo"], "people": "14 million"},
    {"id": "fr", "country": "France", "city": ["Paris", "Paname"], "others": ["Lyon", "Paris"], "people": 2},
]
ASKED: dict[str, Any] = {
    "data": "capitals.jsonl",
    "prompt": "Q: capital of {{ country }}?\nA:",
    "target": "city",
    "scorer": "contains",
}


def write(folder: Path, settings: dict[str, Any], lines: list[dict[str, Any]] | None = None) -> str:
    """Write a YAML file and its data, and return the path of the YAML file."""
    text = "".join(json.dumps(line) + "\n" for line in (LINES if lines is None else lines))
    (folder / "capitals.jsonl").write_text(text)
    (folder / "capitals.yaml").write_text(yaml.safe_dump(settings))
    return str(folder / "capitals.yaml")


def loaded(path: str, tiny: Model, **values: Any) -> BenchmarkData:
    (benchmark,) = find_benchmarks([path])
    return load(benchmark, data_dir=None, sampling=SAMPLING, vocabulary=tiny, **values)


def order_of(data: BenchmarkData, tiny: Model, folder: Path, seeds: tuple[int, ...] = (0, 1)) -> BlockOrder:
    return BlockOrder(
        "f16",
        tiny.path,
        data.spec.name,
        data.spec.scorer,
        data.items,
        seeds,
        SAMPLING,
        layout(),
        str(folder / "records.jsonl"),
    )


# --- YAML ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scorer", "expected"), [("letter", 4), ("contains", None)])
def test_answers_by_letter_have_as_many_choices_as_letters_up_to_the_last_expected_one(
    tmp_path: Path, tiny: Model, scorer: str, expected: int | None
) -> None:
    lines = [line | {"city": letter} for line, letter in zip(LINES, "BD", strict=True)]
    data = loaded(write(tmp_path, ASKED | {"scorer": scorer}, lines), tiny)
    assert {item.n_letters for item in data.items} == {expected}


def test_a_yaml_file_is_enough_to_ask_and_score(tmp_path: Path, tiny: Model) -> None:
    data = loaded(write(tmp_path, ASKED | {"stop": ["\n"], "max_tokens": 8}), tiny)
    assert (data.spec.name, data.spec.kind, data.shots) == ("capitals", "generate", 0)
    by_id = {item.item_id: item for item in data.items}
    assert by_id["jp"].task == Generate(by_id["jp"].task.messages, False, ("\n",), 8)  # type: ignore[union-attr]
    assert by_id["jp"].task.messages[0].content == "Q: capital of Japan?\nA:"  # type: ignore[union-attr]
    script = Script(texts={"jp": " It is TOKYO.", "fr": {0: "Paname!", 1: "Lyon"}})
    records = evaluate_block(order_of(data, tiny, tmp_path), ScriptedEngine(script), ignore).records
    assert {(record.item_id, record.seed): record.outcome for record in records} == {
        ("jp", 0): "correct",
        ("jp", 1): "correct",
        ("fr", 0): "correct",
        ("fr", 1): "wrong",
    }


def test_examples_are_shown_before_the_question(tmp_path: Path, tiny: Model) -> None:
    shot = {"id": "it", "country": "Italy", "city": "Rome", "others": ["Rome", "Pisa"]}
    (tmp_path / "shots.jsonl").write_text(json.dumps(shot) + "\n" + json.dumps(shot | {"id": "it2"}) + "\n")
    data = loaded(write(tmp_path, ASKED | {"shots_data": "shots.jsonl", "shots": 1}), tiny)
    task = next(item.task for item in data.items if item.item_id == "jp")
    assert isinstance(task, Generate)
    assert task.messages[0].content == "Q: capital of Italy?\nA: Rome\n\nQ: capital of Japan?\nA:"
    assert data.shots == 1 and len(data.source["files"]) == 2


def test_chat_has_a_system_message_and_examples_as_turns(tmp_path: Path, tiny: Model) -> None:
    (tmp_path / "shots.jsonl").write_text(json.dumps({"id": "it", "country": "Italy", "city": "Rome"}) + "\n")
    settings = {"chat": True, "system": "Be short.", "shots_data": "shots.jsonl", "shot_answer": "{{ expected }}!"}
    task = loaded(write(tmp_path, ASKED | settings), tiny).items[0].task
    assert isinstance(task, Generate) and task.chat
    assert [(message.role, message.content) for message in task.messages[:3]] == [
        ("system", "Be short."),
        ("user", "Q: capital of Italy?\nA:"),
        ("assistant", "Rome!"),
    ]


def test_choices_are_compared_by_likelihood_and_the_target_is_a_text_or_an_index(tmp_path: Path, tiny: Model) -> None:
    settings = ASKED | {"scorer": "choice_loglik", "choices": "others"}
    lines = [LINES[0], LINES[0] | {"id": "x", "city": 0}]
    data = loaded(write(tmp_path, settings, lines), tiny)
    assert data.spec.kind == "choose" and not is_sampled(data.spec, SAMPLING)
    assert {item.item_id: item.target for item in data.items} == {"jp": 1, "x": 0}
    task = data.items[0].task
    assert isinstance(task, Choose) and task.choices == (" Osaka", " Tokyo")


def test_any_text_can_be_measured(tmp_path: Path, tiny: Model) -> None:
    (tmp_path / "perplexity_mine.txt").write_text("the end of the day and the answer is in it. " * 200)
    (tmp_path / "perplexity_mine.yaml").write_text("data: perplexity_mine.txt\nscorer: measured\n")
    data = loaded(str(tmp_path / "perplexity_mine.yaml"), tiny)
    assert (data.spec.name, data.spec.metric, data.spec.higher_is_better) == ("perplexity_mine", "nll", False)
    assert isinstance(data.items[0].task, Measure)


@pytest.mark.parametrize(
    ("scorer", "field", "text", "target"),
    [
        ("number", "people", "Answer: 14,000,000", "14000000"),
        ({"name": "regex", "pattern": "<(.*?)>"}, "city", "is it <Osaka>? No, <tokyo>", "Tokyo"),
        ("math", "city", r"\boxed{Tokyo}", "Tokyo"),
        ("exact", "city", "tokyo", "Tokyo"),
        ("short_answer", "city", " Tokyo, of course", ["Tokyo"]),
    ],
)
def test_each_scorer_can_be_named(
    scorer: object, field: str, text: str, target: object, tmp_path: Path, tiny: Model
) -> None:
    data = loaded(write(tmp_path, ASKED | {"scorer": scorer, "target": field}, LINES[:1]), tiny)
    assert data.items[0].target == target
    order = order_of(data, tiny, tmp_path, (0,))
    (record,) = evaluate_block(order, ScriptedEngine(Script(texts={"jp": text})), ignore).records
    assert record.outcome == "correct"


def test_prompt_scorer_and_data_change_the_data_hash(tmp_path: Path, tiny: Model) -> None:
    changes: list[dict[str, Any]] = [{}, {"prompt": "{{ country }}?"}, {"scorer": "exact"}, {"stop": ["x"]}]
    hashes = {loaded(write(tmp_path, ASKED | change), tiny).data_hash for change in changes}
    assert len(hashes) == len(changes)
    assert loaded(write(tmp_path, ASKED, LINES[:1]), tiny).data_hash not in hashes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scorer": "containz"}, "scorer.name"),
        ({"promt": "x"}, "Did you mean 'prompt'"),
        ({"prompt": None}, "a `prompt` and a `target`"),
        ({"data": None}, "either `data` or `python`"),
        ({"data": "none.jsonl"}, r"none\.jsonl"),
        ({"prompt": "{{ country"}, "jinja2 template"),
        ({"prompt": "{{ contry }}"}, r"prompt: .*'contry' is undefined, with line 1 of capitals\.jsonl"),
        ({"prompt": "{{ country.__class__.__mro__[1].__subclasses__() }}"}, "unsafe"),
        ({"target": "town"}, "field 'town'"),
        ({"scorer": "number"}, "'city' with a number"),
        ({"scorer": "regex"}, "`pattern` with the scorer regex"),
        ({"scorer": "choice_loglik"}, "`choices` with the scorer"),
        ({"system": "x"}, "`chat: true`"),
        ({"name": "gsm8k"}, "no built-in benchmark has"),
        ({"name": "My Quiz"}, "pattern"),
        ({"id": "nr"}, "field 'nr'"),
    ],
)
def test_faults_of_a_yaml_file_are_reported_with_what_is_allowed(
    change: dict[str, Any], said: str, tmp_path: Path, tiny: Model
) -> None:
    with pytest.raises(BadInput, match=said):
        loaded(write(tmp_path, ASKED | change), tiny)


def test_two_benchmarks_with_the_same_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, ASKED)
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(ASKED | {"name": "capitals"}))
    with pytest.raises(BadInput, match="names differ"):
        find_benchmarks([path, str(tmp_path / "other.yaml")])


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    for name in ("none.yaml", "none.py"):
        with pytest.raises(BadInput, match=name):
            find_benchmarks([str(tmp_path / name)])


# --- Python --------------------------------------------------------------------------------------

HEAD = "def evaluate_custom_benchmark(model_path, benchmark_config):\n"


def function(folder: Path, body: str, settings: dict[str, Any] | None = None) -> str:
    (folder / "my_check.py").write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
    if settings is None:
        return str(folder / "my_check.py")
    (folder / "my.yaml").write_text(yaml.safe_dump({"python": "my_check.py", **settings}))
    return str(folder / "my.yaml")


def called(path: str, tiny: Model, folder: Path, seeds: tuple[int, ...] = (0, 1)) -> list[dict[str, Any]]:
    """Evaluate a function and return the records that the worker writes."""
    order = order_of(loaded(path, tiny), tiny, folder, seeds)
    EvaluationWorker().evaluate(order, ignore)
    return [json.loads(line) for line in Path(order.records_path).read_text().splitlines()]


def test_a_function_gets_model_seed_and_options_and_returns_scores_by_item(tmp_path: Path, tiny: Model) -> None:
    body = (
        "assert open(model_path, 'rb').read(4) == b'GGUF'\n"
        "assert benchmark_config['sampling']['max_tokens'] == 64 and benchmark_config['threads'] == 1\n"
        "print('this goes to the log')\n"
        "return {'b': benchmark_config['seed'], 'a': benchmark_config['options']['part']}"
    )
    path = function(tmp_path, body, {"name": "mine", "options": {"part": 0.25}, "metric": "credit"})
    records = called(path, tiny, tmp_path)
    assert [(one["item_id"], one["seed"], one["score"], one["outcome"]) for one in records] == [
        ("a", 0, 0.25, "wrong"),
        ("a", 1, 0.25, "wrong"),
        ("b", 0, 0.0, "wrong"),
        ("b", 1, 1.0, "correct"),
    ]
    assert len({one["prompt_hash"] for one in records}) == 2  # an item has the same hash under every seed and arm


def test_a_function_may_return_rows_with_texts_and_without_scores(tmp_path: Path, tiny: Model) -> None:
    body = (
        "import numpy\n"
        "return [{'item_id': 1, 'score': numpy.float32(1), 'answer': 'x', 'text': 'so x'},\n"
        "        {'id': 2, 'score': None}, {'id': 3, 'score': True}]"
    )
    records = called(function(tmp_path, body), tiny, tmp_path, (0,))
    assert [(one["item_id"], one["outcome"], one["reason"]) for one in records] == [
        ("1", "correct", None),
        ("2", "unscored", "no_score"),
        ("3", "correct", None),
    ]
    assert (records[0]["answer"], records[0]["text"]) == ("x", "so x")


def test_a_function_may_return_one_number(tmp_path: Path, tiny: Model) -> None:
    (record,) = called(function(tmp_path, "return 0.83"), tiny, tmp_path, (0,))
    assert (record["item_id"], record["score"]) == ("whole", 0.83)


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        ("'high'", "score_is_no_number"),
        ("1j", "score_is_no_number"),
        ("__import__('numpy').complex64(1j)", "score_is_no_number"),
        ("[1]", "score_is_no_number"),
        ("float('nan')", "score_not_finite"),
        ("float('-inf')", "score_not_finite"),
        ("1e308", "score_out_of_range"),
        ("-10**400", "score_out_of_range"),
    ],
)
def test_a_score_that_statistics_cannot_work_with_is_one_unscored_record(
    score: str, reason: str, tmp_path: Path, tiny: Model
) -> None:
    records = called(function(tmp_path, f"return {{'a': {score}, 'b': 0.5, 'c': True}}"), tiny, tmp_path, (0,))
    assert [(one["item_id"], one["outcome"], one["score"], one["reason"]) for one in records] == [
        ("a", "unscored", None, reason),
        ("b", "wrong", 0.5, None),
        ("c", "correct", 1.0, None),
    ]


def test_items_of_one_source_are_a_cluster(tmp_path: Path, tiny: Model) -> None:
    lines = [{"id": number, "question": "q", "answer": "a", "article": number // 2} for number in range(4)]
    asked = {"data": "d.jsonl", "prompt": "{{ question }}", "target": "answer", "scorer": "exact"}
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(asked | {"cluster": "article"}))
    data = loaded(str(tmp_path / "c.yaml"), tiny)
    assert {item.item_id: item.cluster for item in data.items} == {"0": "0", "1": "0", "2": "1", "3": "1"}
    (tmp_path / "d.jsonl").write_text(json.dumps(lines[0]) + "\n" + json.dumps(lines[1] | {"article": None}) + "\n")
    with pytest.raises(BadInput, match=r"d.jsonl:2.*'article' with a text or a whole number"):
        loaded(str(tmp_path / "c.yaml"), tiny)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"python": "f.py", "cluster": "article"}))
    with pytest.raises(BadInput, match="`cluster` only together with `data`"):
        read_custom_benchmark(tmp_path / "c.yaml")


def test_a_score_outside_the_declared_scale_is_one_unscored_record(tmp_path: Path, tiny: Model) -> None:
    body = "return {'a': 0, 'b': 1, 'c': 5, 'd': 5.1}"
    records = called(function(tmp_path, body, {"name": "stars", "scale": [1, 5]}), tiny, tmp_path, (0,))
    found = {one["item_id"]: (one["score"], one["reason"]) for one in records}
    assert found["a"] == found["d"] == (None, "score_outside_scale")
    assert (found["b"], found["c"]) == ((1.0, None), (5.0, None))
    # Accuracy is a share. Another metric has no bounds if none are declared.
    (share,) = called(function(tmp_path, "return {'a': 5}", {"name": "share"}), tiny, tmp_path, (0,))
    assert share["reason"] == "score_outside_scale"
    free = {"name": "free", "metric": "points"}
    (points,) = called(function(tmp_path, "return {'a': 5}", free), tiny, tmp_path, (0,))
    assert points["score"] == 5.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"python": "f.py", "scale": [5, 1]}, "the lowest and the highest score"),
        ({"python": "f.py", "scale": [0, 1e300]}, "the lowest and the highest score"),
        ({"data": "d.jsonl", "prompt": "x", "target": "t", "scorer": "exact", "scale": [0, 1]}, "only together with"),
    ],
)
def test_a_scale_that_makes_no_sense_is_refused(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "scaled.yaml"
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(BadInput, match=said):
        read_custom_benchmark(path)


@pytest.mark.parametrize(("returned", "reason"), [("True", "score_is_no_number"), ("float('inf')", "score_not_finite")])
def test_a_whole_result_that_is_no_score_is_one_unscored_record(
    returned: str, reason: str, tmp_path: Path, tiny: Model
) -> None:
    (record,) = called(function(tmp_path, f"return {returned}"), tiny, tmp_path, (0,))
    assert (record["item_id"], record["outcome"], record["reason"]) == ("whole", "unscored", reason)


@pytest.mark.parametrize(
    ("body", "said", "in_log"),
    [
        ("print('before')\nraise RuntimeError('it broke')", "failed", "it broke"),
        ("import os\nos._exit(3)", "exit code 3", ""),
        ("import time\ntime.sleep(60)", "took longer than its limit of 0.5 s", ""),
        ("return 'good'", "returned 'good'", ""),
        ("return {}", "returned", ""),
        ("return [{'score': 1}]", "each needs its own id", ""),
        ("return [{'id': 1, 'score': 1}, {'id': 1, 'score': 0}]", "2 items with 1 ids", ""),
        ("return {1: 1, '1': 0}", "2 items with 1 ids", ""),
    ],
)
def test_a_failing_function_is_reported_with_its_last_lines(
    body: str, said: str, in_log: str, tmp_path: Path, tiny: Model
) -> None:
    path = function(tmp_path, body, {"name": "mine", "time_limit_s": 0.5 if "sleep" in body else 60})
    with pytest.raises(FunctionFailed, match=said) as raised:
        called(path, tiny, tmp_path, (0,))
    assert in_log in "\n".join(raised.value.log_tail)


def test_a_file_that_changed_after_planning_is_not_run(tmp_path: Path, tiny: Model) -> None:
    order = order_of(loaded(function(tmp_path, "return 1"), tiny), tiny, tmp_path)
    function(tmp_path, "return 0")
    with pytest.raises(FunctionFailed, match="has changed since"):
        EvaluationWorker().evaluate(order, ignore)


def test_a_file_is_not_run_before_its_block(tmp_path: Path, tiny: Model) -> None:
    path = function(tmp_path, "return 1")
    Path(path).write_text("raise RuntimeError('imported')\n" + Path(path).read_text())
    data = loaded(path, tiny, limit=7)
    (item,) = data.items
    assert isinstance(item.task, Call) and item.task.limit == 7
    assert (
        data.spec.kind == "function"
        and is_sampled(data.spec, SAMPLING)
        and not is_sampled(data.spec, Sampling(temperature=0))
    )
    assert cache_need(data, sampling=SAMPLING, vocabulary=tiny).unified_cells(4) == 256


def test_a_function_is_identified_by_its_options_and_not_by_its_path(tmp_path: Path, tiny: Model) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    same = {loaded(function(folder, "return 1", {"name": "m"}), tiny).data_hash for folder in folders}
    assert len(same) == 1
    other = loaded(function(tmp_path, "return 1", {"name": "m", "options": {"x": 1}}), tiny)
    assert other.data_hash not in same
    fixed = loaded(function(tmp_path, "return 1", {"name": "m", "sampled": False}), tiny)
    assert not is_sampled(fixed.spec, SAMPLING)


def test_a_python_file_without_the_function_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("def evaluate(model): ...\n")
    with pytest.raises(BadInput, match=r"evaluate_custom_benchmark\(model_path, benchmark_config\)"):
        find_benchmarks([str(tmp_path / "x.py")])
    (tmp_path / "x.py").write_text("def (\n")
    with pytest.raises(BadInput, match="a readable Python file"):
        find_benchmarks([str(tmp_path / "x.py")])


def test_a_failure_keeps_its_log_when_it_crosses_a_process_border() -> None:
    error = FunctionFailed("it failed", ["one", "two"])
    made = error.__reduce__()
    again = made[0](*made[1])
    assert type(again) is FunctionFailed and again.log_tail == ("one", "two") and str(again) == str(error)
