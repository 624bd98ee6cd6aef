"""Every example of README and pages works as it stands, on a tiny model. What is not run is listed with the reason."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from actors.evaluation.benchmarks import find_benchmarks
from conf.load import load
from conf.schema.verdicts import Statistics
from conf.tiers import resolve_tiers
from tests import pages
from tests.jobs.running import environment
from tests.tiny_model import write_tiny_model

PLANNED = "takes minutes; test_page_plans.py plans it"
NOT_RUN = {
    "make demo": "takes minutes, on a model of its own",
    "make test": "runs this test",
    "-m jobs.pipeline --model my-model-F16.gguf --quantizations f16,q8_0,q4_k_m": PLANNED,
    "-m jobs.pipeline --model my-model-F16.gguf --data-dir data --imatrix en,en-ja4,none": PLANNED,
    "-m jobs.pipeline --model my-model-F16.gguf --data-dir data --calibration mine.yaml": PLANNED,
    "-m jobs.collect_imatrix --model my-model-F16.gguf --output m.gguf --calibration en": "needs calibration texts",
    "-m jobs.pipeline --model my-model-F16.gguf --data-dir data --protection-level high": PLANNED,
    "-m jobs.quantize --model my-model-F16.gguf --imatrix m.gguf --formats q4_k_m --target-size": "needs a large model",
    "-m jobs.pipeline --config conf/studies/multilingual_imatrix.yaml": PLANNED,
    "-m jobs.pipeline --config conf/studies/nine_models.yaml": PLANNED,
    "-m jobs.pipeline --model my-model-F16.gguf --data-dir data --judge-url": PLANNED,
    "-m jobs.pipeline --model my-model-F16.gguf --data-dir data --judge-model": PLANNED,
    "-m jobs.judge": "needs a judge; test_judge.py starts one",
    "export JUDGE_API_KEY": "set-up of a shell",
    "-m jobs.doctor": "its answer depends on the machine; test_doctor.py runs it",
    ".venv/bin/activate": "set-up of a shell",
    "export RAY_AUTH_MODE=token": "set-up of a shell",
    "ray": "needs a cluster; test_cluster_job.py starts one",
    "cat runs/demo/progress.json": "needs a run of the demo",
    "mlflow ui": "a server that runs until it is stopped",
}
"""Commands that are not run, by how they begin, and the reason."""
RUN = ("collect_imatrix", "quantize", "evaluate", "visualize", "document")
"""The jobs of the single phases, which are run one after another."""
WHOLE = ("thinking: on", "quantizations: []")
"""Parts of examples that are whole configurations."""
NO_EXAMPLES = ("Keep f16", "<storage>/<pipeline id>/", "jobs/            what")
"""How the blocks begin that are output or show folders."""


def shown(words: list[str]) -> str:
    return " ".join(words).removeprefix(".venv/bin/python ").removeprefix(".venv/bin/").removeprefix(". ")


def is_phase(words: list[str]) -> bool:
    job = pages.job_of(words)
    return job is not None and job[0] in RUN and not any(shown(words).startswith(known) for known in NOT_RUN)


def run(folder: Path, words: list[str]) -> str:
    """Run a command in a folder that holds what it names, and return what it said. It must succeed."""
    assert words[0] == ".venv/bin/python"
    paths = os.pathsep.join([str(pages.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=folder,
        env=environment(PYTHONPATH=paths),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the model, the text and the data set that the pages name."""
    made = tmp_path_factory.mktemp("pages")
    write_tiny_model(made / "my-model-F16.gguf")
    (made / "text.txt").write_text("the thing and the other in the end\n\n" * 9000, encoding="utf-8")
    problems = [{"question": f"What is {n} and {n}?", "answer": f"It is {2 * n}.\n#### {2 * n}"} for n in range(8)]
    (made / "data" / "gsm8k").mkdir(parents=True)
    for name, count in (("test.jsonl", 2), ("train_first200.jsonl", 8)):
        lines = [json.dumps({"id": f"{name}-{n}", **problem}) for n, problem in enumerate(problems[:count])]
        (made / "data" / "gsm8k" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


def test_every_example_is_run_or_listed_with_a_reason() -> None:
    told = [shown(words) for words in pages.commands() if not is_phase(words)]
    assert [command for command in told if not any(command.startswith(known) for known in NOT_RUN)] == []
    assert [known for known in NOT_RUN if not any(command.startswith(known) for command in told)] == []
    assert sum(map(is_phase, pages.commands())) >= len(RUN)
    others = [block for block in pages.blocks() if block.language not in ("sh", "powershell")]
    assert sorted({block.language for block in others}) == ["", "python", "yaml"]
    pictures = [block.text for block in others if not block.language]
    assert len(pictures) == len(NO_EXAMPLES)
    assert all(sum(text.startswith(start) for text in pictures) == 1 for start in NO_EXAMPLES)
    examples = [block.text for block in others if block.language]
    tested = ("texts:", "recipes:", "scorer: contains", "def evaluate_custom_benchmark", "tiers:", *WHOLE)
    assert all(sum(part in text for part in tested) == 1 for text in examples) and len(examples) == len(tested)


@pytest.mark.parametrize("part", WHOLE)
def test_a_whole_configuration_can_be_read(part: str, tmp_path: Path) -> None:
    (tmp_path / "whole.yaml").write_text(pages.only_block("yaml", part), encoding="utf-8")
    assert len(load(str(tmp_path / "whole.yaml"), {}).models) >= 1


def test_the_parser_of_each_job_takes_its_commands() -> None:
    parsed = 0
    for words in pages.commands():
        if job := pages.job_of(words):
            importlib.import_module(f"jobs.{job[0]}").parser().parse_args(job[1])
            parsed += 1
    assert parsed > 10


def test_make_has_the_targets() -> None:
    makefile = (pages.ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [words[1] for words in pages.commands() if words[0] == "make"]
    assert targets and all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.slow
def test_the_single_phases_run_one_after_another(folder: Path) -> None:
    # The page with one phase after another comes first: other pages use what its commands make.
    in_order = sorted(pages.PAGES, key=lambda page: page.name != "models.md")
    for words in filter(is_phase, pages.commands(*in_order)):
        if "m.gguf" in words:  # the command before it makes this matrix from calibration texts that are not here
            shutil.copy(folder / "imatrix.gguf", folder / "m.gguf")
        run(folder, words)
    assert (folder / "scorecards" / "quantization_evaluation.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "charts" / "quantization_performance.png").exists()
    results = json.loads((folder / "results" / "evaluation_results" / "quantization_comparison.json").read_text())
    assert len(results["arms"]) == 3 and len(results["results"]) >= 3


@pytest.mark.slow
def test_the_custom_benchmarks_run(folder: Path) -> None:
    (folder / "capitals.yaml").write_text(pages.only_block("yaml", "scorer: contains"), encoding="utf-8")
    lines = [
        {"id": "fr", "country": "France", "city": "Paris"},
        {"id": "jp", "country": "Japan", "city": ["Tokyo", "東京"]},
    ]
    (folder / "capitals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / "my_check.py").write_text(pages.only_block("python", "def evaluate_custom"), encoding="utf-8")
    work = ["--model", "my-model-F16.gguf", "--quantizations", "f16,q8_0", "--imatrix", "none", "--runs", "2"]
    named = ["--benchmarks", "./capitals.yaml,./my_check.py", "--pipeline-id", "custom"]
    run(folder, [".venv/bin/python", "-m", "jobs.pipeline", *work, *named])
    found = json.loads((folder / "runs/custom/evaluation_results/quantization_comparison.json").read_text())
    rows = {(row["arm"], row["benchmark"]): row for row in found["results"] if row["primary"]}
    assert {name for _, name in rows} == {"capitals", "my_check"}
    assert [rows[arm, "my_check"]["mean"] for arm in ("f16", "q8_0")] == [0.5, 0.5]
    assert [rows[arm, "capitals"]["n_items"] for arm in ("f16", "q8_0")] == [2, 2]


@pytest.mark.slow
def test_the_calibration_mix_is_taken(folder: Path) -> None:
    (folder / "mine.yaml").write_text(pages.only_block("yaml", "texts:"), encoding="utf-8")
    for name in ("mine.txt", "more.txt"):
        (folder / name).write_text((folder / "text.txt").read_text(encoding="utf-8"), encoding="utf-8")
    words = ["--model", "my-model-F16.gguf", "--output", "mine.gguf", "--calibration", "mine.yaml"]
    run(folder, [".venv/bin/python", "-m", "jobs.collect_imatrix", *words, "--dataset-size", "5120"])
    assert "attn_q" in run(folder, [".venv/bin/python", "-m", "jobs.collect_imatrix", "--show-statistics", "mine.gguf"])


def test_the_recipes_are_made(folder: Path) -> None:
    text = pages.only_block("yaml", "recipes:")
    (folder / "recipes.yaml").write_text(text, encoding="utf-8")
    names = list(yaml.safe_load(text)["recipes"])
    words = ["--model", "my-model-F16.gguf", "--config", "recipes.yaml", "--formats", ",".join(names)]
    run(folder, [".venv/bin/python", "-m", "jobs.quantize", *words, "--output", "recipes"])
    assert len(list((folder / "recipes").glob("*.gguf"))) == len(names) == 2


def test_the_tiers_are_those_that_the_text_says() -> None:
    settings = Statistics.model_validate(yaml.safe_load(pages.only_block("yaml", "tiers:"))["statistics"])
    texts = ("perplexity_wikitext2", "perplexity_ja_wiki")
    run = [benchmark.spec for benchmark in find_benchmarks(["gsm8k", "math", "arc_challenge", *texts])]
    found = resolve_tiers(settings, [asdict(spec) for spec in run])
    assert (found.each, found.inform) == (texts, ("arc_challenge",))
    assert found.pooled == found.pooled | {"gsm8k": 0.5, "math": 0.5} and found.pooled_only == ("gsm8k", "math")
