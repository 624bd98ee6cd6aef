"""The main job from end to end, as a program: which files it leaves, and what a second run does."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from jobs import pipeline, quantize
from reporting.file_names import in_languages
from reporting.result_line import MAX_BYTES
from reporting.validate import validate
from tests.jobs.conftest import Done
from tests.jobs.running import Ended, fingerprints, records, run, small_pipeline


def test_the_run_directory_is_complete(done: Done) -> None:
    expected = [
        "config.yaml",
        "plan.json",
        "progress.json",
        "manifest.json",
        "evaluation_results/quantization_comparison.json",
        "evaluation_results/statistical_analysis.json",
        "publish/README.md",
        "publish/README.ja.md",
        "PUBLISHING.md",
        "PUBLISHING.ja.md",
        "publish/charts/quantization_performance_en.png",
        "evaluation_results/report_data/questions.parquet",
    ]
    in_each_language = (
        "charts/quantization_performance.png",
        "charts/quantization_performance.svg",
        "charts/quantization_efficiency.png",
        "charts/quantization_efficiency.svg",
        "charts/importance_default.png",
        "methodology/quantization_methodology.md",
        "reports/quantization_analysis_report.md",
        "reports/quantization_analysis_report.html",
        "scorecards/quantization_evaluation.pdf",
    )
    expected += [str(path) for name in in_each_language for path in in_languages(Path(name), "both")]
    assert [name for name in expected if not (done.run_dir / name).is_file()] == []
    assert len(list(done.run_dir.glob("artifacts/*/tiny-*.gguf"))) == 2
    assert len(list(done.run_dir.glob("artifacts/*/manifest.json"))) == 2
    assert len(list(done.run_dir.glob("imatrix/default-*.gguf"))) == 1
    published = done.run_dir / "publish"
    assert all((published / path.name).samefile(path) for path in done.run_dir.glob("artifacts/*/tiny-*.gguf"))
    assert all((published / "tiny-imatrix.gguf").samefile(path) for path in done.run_dir.glob("imatrix/default-*.gguf"))
    assert list(done.run_dir.rglob("*.part")) == []


def test_the_report_has_the_chart_of_the_imatrix(done: Done) -> None:
    report = (done.run_dir / "reports/quantization_analysis_report_ja.md").read_text(encoding="utf-8")
    assert "(../charts/importance_default_ja.png)" in report


def test_results_match_their_published_schemas(done: Done) -> None:
    results = done.run_dir / "evaluation_results"
    for kind in ("quantization_comparison", "statistical_analysis"):
        validate(kind, json.loads((results / f"{kind}.json").read_text(encoding="utf-8")))


def test_each_arm_and_benchmark_has_one_primary_result(done: Done) -> None:
    rows = json.loads((done.run_dir / "evaluation_results/quantization_comparison.json").read_text())["results"]
    primary = [(row["arm"], row["benchmark"]) for row in rows if row["primary"]]
    benchmarks = ("demo_qa", "demo_choice", "perplexity_pydoc")
    assert sorted(primary) == sorted((arm, benchmark) for arm in ("f16", "q4_k_m") for benchmark in benchmarks)


def test_a_benchmark_without_sampling_has_one_run_and_no_spread_between_runs(done: Done) -> None:
    rows = json.loads((done.run_dir / "evaluation_results/quantization_comparison.json").read_text())["results"]
    for row in rows:
        if row["benchmark"] == "demo_qa":
            assert (row["n_runs"], row["deterministic"]) == (2, False)
        else:
            assert (row["n_runs"], row["sigma_runs"], row["error_bar_runs"]) == (1, None, None)


def test_progress_lines_and_file_match_their_schema(done: Done) -> None:
    lines = [line.removeprefix("PROGRESS ") for line in done.ended.out.splitlines() if line.startswith("PROGRESS ")]
    assert len(lines) >= 3
    for line in lines:
        validate("progress", json.loads(line))
    last = json.loads((done.run_dir / "progress.json").read_text())
    assert (last["state"], last["phase"], last["percent"]) == ("done", "done", 100.0)
    assert last["cells_done"] == last["cells_total"] == 2 * (2 + 1 + 1)
    assert last["memory_bytes"] > 0


def test_the_last_line_is_the_result_with_the_files(done: Done) -> None:
    result = result_of(done.ended)
    results = json.loads((done.run_dir / "evaluation_results/quantization_comparison.json").read_text())
    assert (result["pipeline_id"], result["state"], result["failures"]) == ("first", "done", [])
    assert [arm["name"] for arm in result["arms"]] == [arm["name"] for arm in results["arms"]]
    assert set(result["files"]) >= {"results", "analysis", "charts", "mlflow"}
    assert [path for path in result["files"].values() if not Path(path).exists()] == []


def result_of(ended: Ended) -> dict[str, Any]:
    """Return the RESULT of a job, which is the last line that it prints, and short enough for a reader of the tail."""
    last = ended.out.splitlines()[-1]
    assert last.startswith("RESULT {")
    assert len(last.encode()) <= MAX_BYTES
    value: dict[str, Any] = json.loads(last.removeprefix("RESULT "))
    validate("result", value)
    return value


def test_records_are_one_file_per_block_with_one_record_per_item_and_seed(done: Done) -> None:
    (folder,) = done.run_dir.glob("records/demo_qa.f16-*")
    meta = json.loads((folder / "meta.json").read_text())
    rows = [json.loads(line) for line in (folder / "00000-4.g0.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["item_id"], row["seed"]) for row in rows] == [
        (name, seed) for name in meta["item_ids"] for seed in (0, 1)
    ]
    for row in rows:
        validate("record", row)


def test_the_terminal_shows_where_to_look_and_the_summary(done: Done) -> None:
    """The verdict comes last, right above the paths, because a terminal shows the last lines of a job."""
    out = done.ended.out
    assert out.index("demo_qa: accuracy") < out.index("── Verdict") < out.index("Where to look:")
    assert out[out.index("── Verdict") :].count("\n") < 40
    assert "q4_k_m" in done.ended.out
    assert "reports/answers_side_by_side" in out[out.index("Where to look:") :]
    assert "mlflow ui --host 127.0.0.1" in done.ended.out
    *_, last, result = done.ended.out.splitlines()
    assert result.startswith("RESULT {")
    page = "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning"
    assert last == f"MLflow is up to date: {page}"


def test_mlflow_has_one_parent_run_and_one_child_run_per_unit(done: Done) -> None:
    with sqlite3.connect(done.storage / "mlflow.db") as store:
        names = [row[0] for row in store.execute("select name from runs")]
        states = {row[0] for row in store.execute("select status from runs")}
    assert states == {"FINISHED"}
    assert "first" in names
    assert len(names) == 1 + 1 + 2 + 2 * (2 + 1 + 1)


def test_the_same_command_again_does_nothing_and_says_so(done: Done) -> None:
    before = fingerprints(done.run_dir, "**/*")
    again = run("pipeline", *small_pipeline(done.model, done.storage, "first"))
    assert again.code == 0, again.err
    assert "Nothing to do" in again.out
    assert result_of(again) == result_of(done.ended)
    changed = {name for name, value in fingerprints(done.run_dir, "**/*").items() if before.get(name) != value}
    assert changed <= {"owner.lock"}


@pytest.fixture
def storage(done: Done, tmp_path: Path) -> Path:
    """A copy of the storage that may be changed."""
    return Path(shutil.copytree(done.storage, tmp_path / "storage"))


@pytest.mark.slow
def test_another_pipeline_reuses_files_with_the_same_keys(done: Done, storage: Path) -> None:
    ended = run("pipeline", *small_pipeline(done.model, storage, "second"))
    assert ended.code == 0, ended.out + ended.err
    assert records(storage / "second") == records(storage / "first")
    theirs, ours = (
        next((storage / name / "artifacts").glob("q4_k_m-*/tiny-Q4_K_M.gguf")) for name in ("first", "second")
    )
    assert theirs.samefile(ours)


@pytest.mark.slow
def test_more_runs_add_a_seed_group_and_keep_existing_records(done: Done, storage: Path) -> None:
    before = records(storage / "first")
    options = list(small_pipeline(done.model, storage, "first"))
    options[options.index("--runs") + 1] = "3"
    ended = run("pipeline", *options)
    assert ended.code == 0, ended.out + ended.err
    after = records(storage / "first")
    assert {name: after[name] for name in before} == before
    assert {name.rpartition(".g")[2] for name in set(after) - set(before)} == {"1.jsonl"}


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pipeline.main(small_pipeline(tiny_model, tmp_path / "none", "x", "--dry-run")) == 0
    assert "q4_k_m" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_a_dry_run_predicts_the_sizes_of_recipes_within_one_percent(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("recipes: {custom_q4: {method: q4_0, bits: 4, tensors: {attn_v: q8_0}}}\n")
    names = ("q4_k_l", "q4_k_m-fp16", "custom_q4")
    words = small_pipeline(
        tiny_model, tmp_path / "none", "x", "--dry-run", "--quantizations", ",".join(names), "--config", str(config)
    )
    assert pipeline.main(words) == 0
    said = capsys.readouterr().out
    arms = said.split("Benchmarks")[0]
    assert arms.count("not compared") == len(names)  # none of them is a reference
    assert "  reference" not in arms
    rows = [line.split() for line in said.splitlines()]
    predicted = {row[0]: float(row[1].replace(",", "")) for row in rows if row and row[0] in names}
    model = ("--model", f"tiny={tiny_model}", "--formats", ",".join(names))
    assert quantize.main([*model, "--config", str(config), "--output", str(tmp_path / "out")]) == 0
    for name, label in zip(names, ("Q4_K_L", "Q4_K_M-fp16", "CUSTOM_Q4"), strict=True):
        size = (tmp_path / "out" / f"tiny-{label}.gguf").stat().st_size / 2**20
        # Only one decimal place is printed, which is about one percent for a model this small.
        assert abs(predicted[name] - size) <= 0.01 * size + 0.05
