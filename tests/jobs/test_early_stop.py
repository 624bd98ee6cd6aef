"""Early stopping: blocks are not run, the same command then does nothing, and without the flag the rest is run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.jobs.running import records, run

N_ITEMS = 60
CONFIG = """\
execution: {block_items: 4, max_workers: 1}
statistics: {margins: {accuracy: 0.2, relative: 0.5}}
"""
BENCHMARK = """\
data: lengths.jsonl
prompt: "{{ question }}"
target: answer
scorer: choice_loglik
choices: choices
"""


def write_benchmark(folder: Path) -> Path:
    """Write a benchmark of which a model of random weights gets two thirds right, as it always prefers longer choices.

    With random answers it would be at the floor, where nothing is claimed.
    """
    long = "no, and here is a much longer reason why it is not so at all"
    choices = ["yes", *(f"{long} {number}" for number in range(9))]
    rows = [
        {"id": number, "question": f"Is {number} a number?", "choices": choices, "answer": 1 if number % 3 else 0}
        for number in range(N_ITEMS)
    ]
    (folder / "lengths.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (folder / "lengths.yaml").write_text(BENCHMARK, encoding="utf-8")
    return folder / "lengths.yaml"


@pytest.mark.slow
def test_blocks_after_the_verdict_are_run_only_without_early_stop(tiny_model: Path, tmp_path: Path) -> None:
    config, output = tmp_path / "small_blocks.yaml", tmp_path / "run"
    config.write_text(CONFIG, encoding="utf-8")
    # Another file with the same weights: no answer differs, so 29 items are enough with this margin.
    same = tmp_path / "same.gguf"
    same.write_bytes(tiny_model.read_bytes() + b"\0")
    arms = ("--models", f"f16={tiny_model}", f"same={same}", "--reference", "f16")
    asked = ("--benchmarks", str(write_benchmark(tmp_path)), "--limit", str(N_ITEMS), "--threads", "1")
    command = (*arms, "--output", str(output), "--config", str(config), *asked)
    ended = run("evaluate", *command, "--early-stop")
    assert ended.code == 0, ended.out + ended.err
    assert "ended early: same no worse after 29 of 60 items" in " ".join(ended.out.split())
    analysis = json.loads((output / "evaluation_results/statistical_analysis.json").read_text())
    (row,) = analysis["comparisons"]
    assert (row["verdict"], row["ci_method"], row["n_items"]) == ("no_worse", "betting", 29)
    first = records(output)
    assert len(first) < 2 * N_ITEMS / 4
    assert analysis["early_stop"]["n_records_saved"] == 2 * N_ITEMS - 4 * len(first)

    again = run("evaluate", *command, "--early-stop")
    assert again.code == 0 and "Nothing to do" in again.out
    assert records(output) == first

    full = run("evaluate", *command)
    assert full.code == 0 and "was started with --early-stop before" in " ".join(full.out.split())
    after = records(output)
    assert len(after) == 2 * N_ITEMS / 4
    assert {name: after[name] for name in first} == first
