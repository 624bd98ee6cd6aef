"""The pipelines that README and pages show can be planned, with a data folder as the page about benchmarks says.

Evaluating them would take minutes. `--dry-run` reads and checks all that they name: models, data, texts and mixes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.pipeline import main
from tests import pages
from tests.tiny_model import write_tiny_model

PIPELINES = [
    words[1]
    for words in map(pages.job_of, pages.commands())
    if words is not None and words[0] == "pipeline" and not any(word.startswith("/") for word in words[1])
]
"""The options of each pipeline on this machine. Those with absolute paths are for a cluster."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all that the commands name."""
    made = tmp_path_factory.mktemp("plans")
    for seed, name in enumerate(("my-model-F16.gguf", "judge-Q8_0.gguf", "first-7b-F16.gguf", "second-13b-F16.gguf")):
        write_tiny_model(made / name, seed=seed)
    (made / "conf").symlink_to(pages.ROOT / "conf")
    rng = random.Random(0)
    for name in ("wikitext2_train_part.txt", "ja_wiki_leads.txt", "ja_aozora.txt"):
        _write(made / "data" / "calibration" / name, _text(rng, 60_000))
    for name in ("wikitext2/wiki.test.raw.txt", "ja_wiki/test.txt"):
        _write(made / "data" / name, _text(rng, 9_000))
    _write(made / "mine.yaml", pages.only_block("yaml", "texts:"))
    for name in ("mine.txt", "more.txt"):
        _write(made / name, _text(rng, 40_000))
    _write_questions(made / "data")
    return made


def _text(rng: random.Random, words: int) -> str:
    """Return words without a meaning: no two texts share a passage."""
    return "".join(f"{rng.randrange(36**4):x}" + (" " if number % 12 else "\n") for number in range(words))


def _write_questions(data: Path) -> None:
    """Write the questions with the fields that the page names."""
    sums = [{"question": f"What is {n} and {n}?", "answer": f"It is {2 * n}.\n#### {2 * n}"} for n in range(8)]
    for name in ("test", "train_first200"):
        _write_rows(data / "gsm8k" / f"{name}.jsonl", sums)
    math = {"problem": "What is 1 + 1?", "solution": r"It is \boxed{2}."}
    subjects = ("Algebra", "Geometry", "Number Theory", "Precalculus")
    for name in ("test", "train50"):
        _write_rows(data / "math" / f"{name}.jsonl", [{**math, "subject": subject} for subject in subjects])
    choices = {"text": ["dry palms", "wet palms"], "label": ["A", "B"]}
    for name in ("test", "train_first100"):
        rows = [{"question": f"Which is warm, {n}?", "choices": choices, "answerKey": "A"} for n in range(25)]
        _write_rows(data / "arc_challenge" / f"{name}.jsonl", rows)
    tasks = [{"input": f"Say {n}.", "output": f"{n}", "eval_aspect": "- It is said."} for n in range(8)]
    _write_rows(data / "elyza_tasks_100" / "test.jsonl", tasks)


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    _write(path, "".join(json.dumps({"id": number, **row}) + "\n" for number, row in enumerate(rows)))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("options", PIPELINES, ids=" ".join)
def test_a_pipeline_can_be_planned(
    options: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    code = main([*options, "--dry-run"])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "q4_k_m" in said.out and ("perplexity_ja_wiki" in said.out or "elyza" in said.out)


def test_the_pages_show_pipelines() -> None:
    assert len(PIPELINES) >= 5
