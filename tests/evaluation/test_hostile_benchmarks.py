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
from conf.schema import Sampling
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
