"""The targets of custom benchmarks: read strictly, and refused with their line if they could never match."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.engines.scripted import Script, ScriptedEngine
from actors.evaluation.benchmarks import find_benchmarks, load
from actors.evaluation.benchmarks.reading import BadLine
from actors.evaluation.benchmarks.targets import number_of, read_target
from actors.evaluation.evaluate import evaluate_block
from actors.llama.model import Model
from actors.orders import BlockOrder
from conf.faults import BadInput
from conf.schema.answers import Sampling
from conf.scorers import Target
from tests.conftest import ignore, layout

SAMPLING = Sampling(max_tokens=64)
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("target", "number"),
    [
        (18, "18"),
        (0.1, "1/10"),
        (1e300, str(10**300)),
        ("18", "18"),
        ("-3.50", "-7/2"),
        ("△5", "-5"),
        ("$1,234,567.5", "2469135/2"),
        ("12,34,567", "1234567"),
        ("１２", "12"),
        ("3/4", "3/4"),
        ("45%", "45"),
        ("14 million", "14000000"),
        ("3万5千", "35000"),
        ("18 dollars", "18"),
        ("18.", "18"),
        ("16 - 3 - 4 = 9 eggs, 9 * 2 = 18\n#### 18", "18"),
    ],
)
def test_a_target_that_is_one_number(target: Any, number: str) -> None:
    assert Fraction(number_of(target, "answer")) == Fraction(number)


@pytest.mark.parametrize(
    "target",
    [
        "12,50",
        "1,2345",
        "1.2.3",
        "3 or 4",
        "from 10 to 20",
        "",
        "none",
        "1/0",
        "9" * 5000,
        "1e999999999",
        True,
        {},
        None,
    ],
)
def test_a_target_that_is_no_number_or_several_is_refused(target: Any) -> None:
    with pytest.raises(BadLine, match="'answer' with a number"):
        number_of(target, "answer")


@pytest.mark.parametrize(
    ("kind", "target", "read"),
    [
        ("number", [12, "50", 12.0], ["12", "50"]),
        ("letter", "b", "B"),
        ("letter", "(Ｃ)", "C"),
        ("text_or_texts", ["Paris", 7], ["Paris", "7"]),
        ("texts", "Tokyo", ["Tokyo"]),
        ("index", "x", 1),
        ("index", 0, 0),
    ],
)
def test_targets_of_each_kind(kind: Target, target: Any, read: Any) -> None:
    assert read_target(kind, "t", {"t": target}, ("y", "x")) == read


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("number", [], "accepted numbers"),
        ("number", [12, [50]], "accepted numbers"),
        ("letter", "K", "from A to J"),
        ("letter", "AB", "from A to J"),
        ("letter", 1, "from A to J"),
        ("letter", "Tokyo", "from A to J"),
        ("text_or_texts", "", "would match every answer"),
        ("text_or_texts", ["Paris", " \u3000"], "would match every answer"),
        ("text_or_texts", [["Paris"]], "texts or numbers"),
        ("text_or_texts", [], "one answer"),
        ("texts", "...", "would match every answer"),
        ("text", ["a", "b"], "one answer"),
        ("formula", "\\frac{1}{", "a whole formula"),
        ("formula", "\\boxed{}", "a whole formula"),
        ("formula", ["1", "2"], "one answer"),
        ("index", 2, "its place from 0 to 1"),
        ("index", "z", "one of the choices"),
        ("index", 1.0, "its place from 0 to 1"),
    ],
)
def test_a_target_that_could_not_be_scored_is_refused(kind: Target, target: Any, said: str) -> None:
    with pytest.raises(BadLine, match=said):
        read_target(kind, "t", {"t": target}, ("y", "x"))


def _benchmark(folder: Path, lines: list[Any], **settings: Any) -> str:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "quiz.jsonl").write_text(text, encoding="utf-8")
    told = {"data": "quiz.jsonl", "prompt": "{{ q }}?", "target": "a", "scorer": "number", **settings}
    (folder / "quiz.yaml").write_text(yaml.safe_dump(told))
    return str(folder / "quiz.yaml")


def _load(path: str, tiny: Model) -> Any:
    (benchmark,) = find_benchmarks([path])
    return load(benchmark, data_dir=None, sampling=SAMPLING, vocabulary=tiny)


def test_each_number_of_a_list_is_right_and_no_other(tmp_path: Path, tiny: Model) -> None:
    data = _load(_benchmark(tmp_path, [{"id": 1, "q": "x", "a": [12, 50]}]), tiny)
    order = BlockOrder(
        "f16", tiny.path, "quiz", data.spec.scorer, data.items, (0, 1, 2), SAMPLING, layout(), str(tmp_path / "r")
    )
    script = Script(texts={"1": {0: "The answer is 12.", 1: "The answer is 50.", 2: "The answer is 62."}})
    records = evaluate_block(order, ScriptedEngine(script), ignore).records
    assert [record.outcome for record in records] == ["correct", "correct", "wrong"]


def test_a_pattern_that_takes_for_ever_is_stopped_and_unscored(tmp_path: Path, tiny: Model) -> None:
    scorer = {"name": "regex", "pattern": "(a+)+$"}
    data = _load(_benchmark(tmp_path, [{"id": 1, "q": "x", "a": "aaa"}], scorer=scorer), tiny)
    order = BlockOrder(
        "f16", tiny.path, "quiz", data.spec.scorer, data.items, (0, 1), SAMPLING, layout(), str(tmp_path / "r")
    )
    script = Script(texts={"1": {0: "a" * 60 + "b", 1: "aaa"}})
    records = evaluate_block(order, ScriptedEngine(script), ignore).records
    assert [(record.outcome, record.reason) for record in records] == [
        ("unscored", "pattern_over_time"),
        ("correct", None),
    ]


@pytest.mark.parametrize(
    ("lines", "settings", "said"),
    [
        ([{"id": 1, "q": "x", "a": 1}, {"id": "1", "q": "y", "a": 2}], {}, r"quiz\.jsonl:2.*unique id; line 1"),
        ([{"id": 1, "q": "x", "a": "12,50"}], {}, r"quiz\.jsonl:1.*one only"),
        (['{"id": 1, "q": "\\ud83d", "a": 1}'], {}, r"quiz\.jsonl:1.*surrogate pair"),
        (['{"id": 1, "q": "x", "a": 1, "a": 2}'], {}, r"quiz\.jsonl:1.*'a' is given twice"),
        (['{"id": 1, "q": "x", "a": NaN}'], {}, r"quiz\.jsonl:1.*NaN"),
        (['{"id": 1, "q": "x", "a": 1e999}'], {}, r"quiz\.jsonl:1.*float"),
        (['{"id": 1, "q": ' + "[" * 100_000], {}, r"quiz\.jsonl:1.*nesting"),
        ([{"id": 1, "q": "x", "a": ""}], {"scorer": "contains"}, "would match every answer"),
        ([{"id": 1, "q": "x", "a": 1}], {"stop": [""]}, "stop.0"),
        ([{"id": 1, "q": "x", "a": 1}], {"scorer": {"name": "regex", "pattern": "("}}, "compiles"),
        ([{"id": 1, "q": "x", "a": 1}], {"shots_data": "quiz.jsonl"}, "another file than `data`"),
        ([{"id": 1, "q": "x", "a": 1}], {"shots_data": "./quiz.jsonl"}, "another file than `data`"),
        ([{"id": 1, "q": "x", "a": 1}], {"metric": "nll"}, "measured text"),
        ([{"id": 1, "q": "x", "a": 1}], {"name": "q" * 240}, "at most 64 characters"),
        ([{"id": 1, "q": "x", "a": 1}], {"prompt": ENDLESS}, "quick to render"),
        ([{"id": 1, "q": None, "a": 1}], {}, "line 1: it shows a field that is null"),
        ([{"id": 1, "q": " ", "a": 1}], {"prompt": "{{ q }}"}, "the text is empty"),
        ([{"id": 1, "q": "x", "a": 1}], {"stop": "x"}, r"stop: got 'x'; allowed: a list\."),
        ([{"id": 1, "q": "x", "a": 1}], {"system": "x"}, r"quiz\.yaml: got 'name, data, .*'; allowed: `system` only"),
        ([{"id": 1, "q": "x", "a": 1, "c": ["y", "y"]}], {"scorer": "choice_loglik", "choices": "c"}, "there twice"),
    ],
)
def test_what_is_refused_when_the_files_are_read(
    lines: list[Any], settings: dict[str, Any], said: str, tmp_path: Path, tiny: Model
) -> None:
    with pytest.raises(BadInput, match=said):
        _load(_benchmark(tmp_path, lines, **settings), tiny)


def test_an_example_that_is_also_asked_is_refused(tmp_path: Path, tiny: Model) -> None:
    lines = [{"id": n, "q": f"{n}", "a": n} for n in range(3)]
    (tmp_path / "shots.jsonl").write_text(json.dumps({"id": "other", "q": "2", "a": 2}) + "\n")
    path = _benchmark(tmp_path, lines, shots_data="shots.jsonl")
    with pytest.raises(BadInput, match=r"1 of the questions of quiz\.jsonl \(line 3"):
        _load(path, tiny)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path, tiny: Model) -> None:
    assert len(_load(_benchmark(tmp_path, ['\ufeff{"id": 1, "q": "日本", "a": 1}']), tiny).items) == 1
