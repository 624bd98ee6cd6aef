"""Broken and hostile custom benchmarks and data: each is refused with one message or gives items, in seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml

from actors.evaluation.benchmarks import find_benchmarks, load
from actors.llama.model import Model
from conf.faults import BadInput
from conf.schema.answers import Sampling
from tests.hostile import put, within_seconds

SAMPLING = Sampling(max_tokens=64)
LINES = [
    {
        "id": n,
        "question": f"{n} + 1?",
        "answer": n + 1,
        "words": [f"{n}", "some"],
        "letter": "ABCD"[n % 4],
        "日本": "語",
    }
    for n in range(12)
]
DATA = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES).encode()
SHOT = b'{"id": "s", "question": "7 + 70?", "answer": 77, "words": ["77", "x"], "letter": "A", "right": 1}\n'
BENCHMARKS = [
    yaml.safe_dump({"data": "quiz.jsonl", "target": "answer", "prompt": "Q: {{ question }}\nA:", **settings}).encode()
    for settings in (
        {"scorer": "number", "max_tokens": 8, "stop": ["\n"], "shots_data": "shots.jsonl"},
        {"scorer": "letter", "target": "letter", "chat": True, "system": "Be short.", "metric": "accuracy"},
        {"scorer": {"name": "regex", "pattern": "<(.*?)>"}, "target": "words", "title": "Quiz", "category": "own"},
        {"scorer": "choice_loglik", "choices": "words", "target": "right"},
        {"scorer": "contains", "shots": 1, "shots_data": "shots.jsonl", "shot_answer": "{{ expected }}"},
    )
] + [b"python: check.py\noptions: {a: 1, b: [1.5, x]}\nsampled: false\ntime_limit_s: 5\n"]
CODE = b"def evaluate_custom_benchmark(model_path, benchmark_config):\n    return 1\n"


def _try(seeds: range, change: str, folder: Path, tiny: Model) -> int:
    """Load a benchmark per seed of which the file `change` was changed. Return how many were refused."""
    refused = 0
    for seed in seeds:
        chance = random.Random(seed)
        own = folder / str(seed)
        own.mkdir()
        files = {"quiz.yaml": chance.choice(BENCHMARKS), "quiz.jsonl": DATA, "shots.jsonl": SHOT, "check.py": CODE}
        for name, content in files.items():
            if name == change:
                put(own / name, content, chance)
            else:
                (own / name).write_bytes(content)
        with within_seconds():
            try:
                (benchmark,) = find_benchmarks([str(own / "quiz.yaml")])
                assert load(benchmark, data_dir=None, sampling=SAMPLING, vocabulary=tiny).items
            except BadInput as error:
                refused += 1
                assert str(error) and all(len(str(fault)) < 5000 for fault in error.faults), seed
    return refused


def test_changed_benchmarks(tmp_path: Path, tiny: Model) -> None:
    assert 30 < _try(range(120), "quiz.yaml", tmp_path, tiny) <= 120


def test_changed_data(tmp_path: Path, tiny: Model) -> None:
    assert 30 < _try(range(100), "quiz.jsonl", tmp_path, tiny) <= 100


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("\n{% for i in range(10 ** 9) %}x{% endfor %}", "can be rendered .line 2: Range too big"),
        ("\n{{ 'x' * 10 ** 10 }}", r"can be rendered .line 2: the result of \* is too large"),
        (
            "{% for i in range(9 ** 5) %}\n{% for j in range(9 ** 5) %}{% endfor %}{% endfor %}",
            "line 2: .*more than 2 s",
        ),
        ("{% macro f(x) %}\n{{ f(x) }}{% endmacro %}{{ f(1) }}", "line [12]: it calls itself without end"),
        ("\n{{ raise_exception('no') }}", "line 2: 'raise_exception' is undefined"),
        ("\n{{ 1 / 0 }}", "line 2: division by zero"),
        ("\n{{ 'x' * 10 ** 6 }}{{ 'x' * 10 ** 6 }}", "line 2: its text is far longer"),
        ("\n{{ 'a' | center(10 ** 10) }}", "line 2: it takes more than 512 MiB"),
        ("{{ " + "(" * 5000 + ")" * 5000 + " }}", "a jinja2 template .line 1: .*nested too deeply"),
        ("\n{% if %}", "a jinja2 template .line 2: Expected an expression"),
    ],
)
@pytest.mark.parametrize("key", ["prompt", "shot_answer"])
def test_a_hostile_template_is_one_message_within_seconds(
    key: str, template: str, said: str, tmp_path: Path, tiny: Model
) -> None:
    settings = {"data": "quiz.jsonl", "target": "answer", "scorer": "number", "prompt": "{{ question }}"}
    settings |= {"shots_data": "shots.jsonl"} if key == "shot_answer" else {}
    (tmp_path / "quiz.yaml").write_text(yaml.safe_dump(settings | {key: template}))
    (tmp_path / "quiz.jsonl").write_bytes(DATA)
    (tmp_path / "shots.jsonl").write_bytes(SHOT)
    with within_seconds(), pytest.raises(BadInput, match=said) as caught:
        (benchmark,) = find_benchmarks([str(tmp_path / "quiz.yaml")])
        load(benchmark, data_dir=None, sampling=SAMPLING, vocabulary=tiny)
    (fault,) = caught.value.faults
    assert fault.key == f"quiz: {key}" and fault.next_step == "Fix the template."


def test_changed_functions(tmp_path: Path, tiny: Model) -> None:
    _try(range(30), "check.py", tmp_path, tiny)


@pytest.mark.slow
def test_many_changed_benchmarks(tmp_path: Path, tiny: Model) -> None:
    for change, seeds in (
        ("quiz.yaml", range(1000, 1500)),
        ("quiz.jsonl", range(2000, 2400)),
        ("shots.jsonl", range(3000, 3300)),
        ("check.py", range(4000, 4200)),
    ):
        _try(seeds, change, tmp_path, tiny)
