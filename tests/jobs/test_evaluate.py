"""`jobs.evaluate`: how arms are found by their files, and what is known about files that we made ourselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.faults import BadInput
from jobs import collect_imatrix, quantize
from jobs.evaluate import arm_name, find_arms
from tests.jobs.running import run


def test_arms_are_named_by_the_type_at_the_end_of_their_files(tmp_path: Path) -> None:
    assert [arm_name(name) for name in ("m-Q4_K_M.gguf", "m.q8_0.gguf", "m-F16.gguf", "Some Model-v2.gguf")] == [
        "q4_k_m",
        "q8_0",
        "f16",
        "Some-Model-v2",
    ]


def test_files_of_a_folder_are_sorted_largest_first_and_can_be_named(tmp_path: Path) -> None:
    for name, size in (("m-Q4_0.gguf", 1), ("m-F16.gguf", 9), ("other.gguf", 5)):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).write_bytes(b"x" * size)
    assert list(find_arms([str(tmp_path / "models")])) == ["f16", "other", "q4_0"]
    assert list(find_arms([f"mine={tmp_path / 'models' / 'other.gguf'}"])) == ["mine"]


def test_two_files_for_one_arm_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a-Q4_0.gguf").write_bytes(b"x")
    (tmp_path / "b-Q4_0.gguf").write_bytes(b"x")
    with pytest.raises(BadInput, match="NAME=FILE"):
        find_arms([str(tmp_path)])


@pytest.mark.slow
def test_each_phase_job_continues_from_the_one_before(tiny_model: Path, tmp_path: Path) -> None:
    imatrix, quantized, output = tmp_path / "x.gguf", tmp_path / "quantized", tmp_path / "results"
    # The first two jobs run in this process, because loading their libraries takes longer than their work.
    words = ["--model", str(tiny_model), "--output", str(imatrix), "--dataset-size", "1024"]
    assert collect_imatrix.main(words) == 0
    words = ["--imatrix", str(imatrix), "--formats", "f16,q4_k_m", "--output", str(quantized)]
    assert quantize.main(["--model", f"tiny={tiny_model}", *words]) == 0
    own = tmp_path / "Size.py"
    own.write_text(
        "import os\n\ndef evaluate_custom_benchmark(path, config):\n    return os.path.getsize(path) / 1e9\n"
    )
    options = (
        "--benchmarks",
        f"demo_choice,{own}",
        "--runs",
        "1",
        "--limit",
        "4",
        "--threads",
        "1",
        "--output",
        str(output),
    )
    made = run("evaluate", "--models", str(quantized), *options)
    assert made.code == 0, made.out + made.err
    results = output / "evaluation_results" / "quantization_comparison.json"
    rows = json.loads(results.read_text(encoding="utf-8"))["results"]
    (whole,) = [row for row in rows if (row["arm"], row["benchmark"]) == ("f16", "size")]
    assert (whole["ci95"], whole["n_items"]) == (None, 1) and whole["mean"] > 0
    arms = {arm["name"]: arm for arm in json.loads(results.read_text(encoding="utf-8"))["arms"]}
    assert (arms["q4_k_m"]["reference"], arms["q4_k_m"]["imatrix"]) == ("f16", "x.gguf")
    assert arms["q4_k_m"]["fallbacks"]["count"] == 0
    chart, scorecard = tmp_path / "charts" / "quantization_performance.png", tmp_path / "scorecard.pdf"
    made = run("visualize", "--results", str(results), "--output", str(chart))
    assert made.code == 0, made.err
    made = run("document", "--results", str(results), "--output", str(scorecard), "--lang", "en")
    assert made.code == 0, made.err
    assert chart.is_file()
    assert scorecard.read_bytes().startswith(b"%PDF")
