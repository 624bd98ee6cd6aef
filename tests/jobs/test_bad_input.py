"""Bad input: one clear message, exit code 2, before Ray starts, and nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import ray

from jobs import evaluate, pipeline
from tests.gguf_mutations import gguf_text, parse
from tests.jobs.running import ROOT, run, small_pipeline
from tests.tiny_model import write_tiny_model

Refused = Callable[..., str]


@pytest.fixture
def refused(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the pipeline with more options, makes the common checks, and returns its messages."""

    def refuse(*more: str, model: Path = tiny_model, storage: Path = tmp_path / "runs") -> str:
        before = sorted(tmp_path.rglob("*"))
        code = pipeline.main([*small_pipeline(model, storage, "bad"), *more])
        said = capsys.readouterr().err
        assert code == 2, said
        assert not ray.is_initialized()
        assert "Traceback" not in said
        assert sorted(tmp_path.rglob("*")) == before
        return said

    return refuse


def test_a_model_that_does_not_exist(refused: Refused, tmp_path: Path) -> None:
    assert "none.gguf" in refused(model=tmp_path / "none.gguf")


def test_a_file_that_is_not_gguf(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("I am a text" * 100)
    assert "GGUF" in refused(model=path)


def test_a_gguf_that_is_cut_short(refused: Refused, tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.gguf"
    path.write_bytes(tiny_model.read_bytes()[:-1000])
    assert "short" in refused(model=path)


def test_a_gguf_of_an_architecture_that_llama_cpp_does_not_know(
    refused: Refused, tiny_model: Path, tmp_path: Path
) -> None:
    path, file = tmp_path / "lama.gguf", parse(tiny_model.read_bytes())
    file.values = [
        (key.replace(b"llama.", b"lama."), *(gguf_text("lama") if key == b"general.architecture" else (kind, value)))
        for key, kind, value in file.values
    ]
    path.write_bytes(file.written())
    said = refused(model=path)
    assert said.count("unknown model architecture: 'lama'") == 1
    assert f"--arm: got 'other={path}'" in refused("--arm", f"other={path}")


def test_a_gguf_that_ends_the_process_that_loads_it(refused: Refused, tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "no_byte.gguf"
    # Without the token for a byte, llama.cpp aborts as soon as a text has that byte.
    path.write_bytes(tiny_model.read_bytes().replace(b"<0xE5>", b"<0xZZ>"))
    said = refused(model=path)
    assert said.count("SIGABRT") == 1 and "no_byte.gguf" in said


def test_an_unknown_quantization_names_the_near_one(refused: Refused) -> None:
    assert "'q4_k_m'" in refused("--quantizations", "f16,q4_km")


def test_a_score_that_its_benchmark_does_not_have(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "scores.yaml"
    scores = "{demo_qa: gold_loglik, arc_chalenge: gold_probability, perplexity_pydoc: accuracy}"
    path.write_text(f"statistics: {{verdict_score: {scores}}}\n")
    said = refused("--config", str(path), "--benchmarks", "demo_qa,perplexity_pydoc")
    assert "statistics.verdict_score.demo_qa: got 'gold_loglik'" in said
    assert "statistics.verdict_score: got 'arc_chalenge'; allowed: one of demo_qa, perplexity_pydoc" in said
    path.write_text("statistics: {verdict_score: {demo_choice: probability}}\n")
    assert "statistics.verdict_score.demo_choice: got 'probability'" in refused("--config", str(path))


def test_all_faults_in_recipes_are_reported_at_once(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("recipes: {q4_0: {method: q4_1}, custom_q4: {method: q4_0, bits: 3, output: q9}}\n")
    said = refused("--config", str(path), "--quantizations", "f16,custom_q4")
    for part in ("recipes.q4_0", "recipes.custom_q4.bits: got 3", "recipes.custom_q4.output"):
        assert said.count(part) == 1


def test_a_recipe_that_does_not_fit_the_model(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("recipes: {mine: {method: q4_0, tensors: {no_such_tensor: q8_0}}}\n")
    assert "recipes.mine.tensors: got 'no_such_tensor'" in refused("--config", str(path), "--quantizations", "f16,mine")


def test_an_unknown_benchmark_names_the_near_one(refused: Refused) -> None:
    assert "'gsm8k'" in refused("--benchmarks", "gsm8")


def test_an_unknown_config_key_names_the_near_one(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("sampling: {temprature: 1}\n")
    assert "'temperature'" in refused("--config", str(path))


def test_a_missing_methodology(refused: Refused, tmp_path: Path) -> None:
    said = refused("--methodology", str(tmp_path / "none.md"))
    assert "--methodology: got" in said and "No such file" in said


def test_no_runs(refused: Refused) -> None:
    assert "--runs: got 0" in refused("--runs", "0")


def write_gsm8k(folder: Path, test_lines: list[str]) -> Path:
    shots = [json.dumps({"id": f"s{n}", "question": "1+1?", "answer": "It is 2.\n#### 2"}) for n in range(8)]
    (folder / "gsm8k").mkdir(parents=True)
    (folder / "gsm8k/train_first200.jsonl").write_text("\n".join(shots) + "\n")
    (folder / "gsm8k/test.jsonl").write_text("\n".join(test_lines) + "\n")
    return folder


def test_a_broken_line_in_a_data_file_is_reported_with_file_and_line(refused: Refused, tmp_path: Path) -> None:
    good = json.dumps({"id": "a", "question": "1+1?", "answer": "#### 2"})
    folder = write_gsm8k(tmp_path / "data", [good, '{"id": "b", "question'])
    said = refused("--benchmarks", "gsm8k", "--data-dir", str(folder))
    assert "test.jsonl" in said
    assert "2" in said.split("test.jsonl")[1][:20]


def test_a_missing_data_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "arc_challenge" in refused("--benchmarks", "arc_challenge", "--data-dir", str(tmp_path / "data"))


def test_a_benchmark_without_data_dir_and_without_hub(
    refused: Refused, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
    said = refused("--benchmarks", "gsm8k,math")
    assert "--data-dir" in said and "gsm8k/test.jsonl" in said and "math/test.jsonl" in said


def test_faults_in_custom_benchmarks(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "Mine.yaml").write_text("data: none.jsonl\nprompt: x\ntarget: y\nscorer: exat\n")
    (tmp_path / "check.py").write_text("x = 1\n")
    said = refused("--benchmarks", f"{tmp_path}/Mine.yaml,{tmp_path}/check.py,{tmp_path}/none.yaml")
    for part in ("Mine.yaml: scorer.name", "evaluate_custom_benchmark(model_path, benchmark_config)", "none.yaml"):
        assert part in said


def test_faults_in_endpoints(refused: Refused) -> None:
    said = refused("--arm", "a=http://127.0.0.1:9/v1", "--arm", "b=http://user:hunter2@127.0.0.1:9/v1#m")
    assert "http://HOST:PORT/v1#MODEL" in said and "OPENAI_API_KEY" in said
    assert "hunter2" not in said


def test_faults_in_chat_settings(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "bad.jinja").write_text("{% if %}")
    path = tmp_path / "c.yaml"
    path.write_text(f"chat: {{tiny: {{template: {tmp_path}/bad.jinja}}, tinny: {{system: x}}}}\n")
    said = refused("--config", str(path))
    assert "chat.tiny.template" in said and "chat.tinny" in said and "Did you mean 'tiny'" in said


def test_a_storage_that_cannot_be_written(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "--storage" in refused("--storage", str(tmp_path / "file" / "runs"))
    assert "--storage" in refused("--storage", "/proc/quant-assay")


def test_a_calibration_text_with_too_few_tokens(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("A short text. " * 20)
    said = refused("--calibration", str(tmp_path / "short.txt"), "--dataset-size", "65536")
    assert "--dataset-size: got 65536" in said


def test_a_tracking_server_that_does_not_answer(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
    said = refused()
    assert "MLFLOW_TRACKING_URI" in said
    assert "secret" not in said


def test_too_little_disk(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.orchestrator.room.DISK_SLACK_BYTES", 2**60)
    assert "GiB free" in refused()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--target-bpw", "2"), "--target-bpw: got 2.0; allowed: at least "),
        (("--target-size", "9KiB"), "--target-size: got '0.01MiB'; allowed: at least "),
        (("--target-size", "9"), "a size has a unit: 4.2GiB"),
        (("--target-bpw", "4.5", "--protection-level", "low"), "exclude each other"),
    ],
)
def test_a_target_that_cannot_be_met_is_refused(refused: Refused, words: tuple[str, ...], told: str) -> None:
    assert refused(*words).count(told) == 1


@pytest.mark.parametrize("pipeline_id", ["mlflow.db", "mlflow.db-wal", "MLflow.db", "mlartifacts"])
def test_a_pipeline_id_that_is_the_name_of_the_mlflow_store(refused: Refused, pipeline_id: str) -> None:
    assert "no file of the MLflow store" in refused("--pipeline-id", pipeline_id)


@pytest.mark.parametrize("pipeline_id", ["../escape", "a/b", ".."])
def test_a_pipeline_id_that_would_leave_the_storage(refused: Refused, pipeline_id: str) -> None:
    assert "--pipeline-id" in refused("--pipeline-id", pipeline_id)


@pytest.mark.parametrize(
    "later",
    [
        ("--benchmarks", "jnli"),
        ("--benchmarks", "lctg"),
    ],
)
def test_planned_benchmarks_are_refused_as_such(refused: Refused, later: tuple[str, ...]) -> None:
    assert "not there yet" in refused(*later)


def test_a_reference_that_is_not_an_arm(refused: Refused) -> None:
    assert "--reference" in refused("--reference", "q9")


def test_all_faults_are_reported_at_once(refused: Refused, tmp_path: Path) -> None:
    said = refused("--quantizations", "q4_km", "--benchmarks", "gsm8", model=tmp_path / "none.gguf")
    assert all(part in said for part in ("q4_km", "gsm8", "none.gguf"))


def test_evaluate_refuses_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "models").mkdir()
    assert evaluate.main(["--models", str(tmp_path / "models"), "--output", str(tmp_path / "out")]) == 2
    assert "jobs.quantize" in capsys.readouterr().err


def without_a_tensor(model: bytes) -> bytes:
    """Rename a tensor: header and size stay correct, but llama.cpp finds no tensor with the name that it expects."""
    assert model.count(b"blk.0.attn_q.weight") == 1
    return model.replace(b"blk.0.attn_q.weight", b"blk.0.attn_x.weight")


def test_an_arm_that_llama_cpp_does_not_load_is_refused(refused: Refused, tiny_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken-F16.gguf"
    broken.write_bytes(without_a_tensor(tiny_model.read_bytes()))
    assert "tensor 'blk.0.attn_q.weight' not found" in refused("--arm", f"broken={broken}")


@pytest.mark.slow
@pytest.mark.parametrize("job", ["evaluate", "pipeline"])
def test_a_model_that_fails_at_run_time_fails_its_blocks_and_not_the_pipeline(
    job: str, tiny_model: Path, tmp_path: Path
) -> None:
    # Both jobs run the same orchestrator; only `pipeline` also draws charts and writes documents.
    broken, storage = tmp_path / "broken-F16.gguf", tmp_path / "runs"
    write_tiny_model(broken)
    storage.mkdir()
    if job == "pipeline":
        less = ("--quantizations", "f16", "--imatrix", "none", "--benchmarks", "demo_qa", "--lang", "en")
        options = small_pipeline(tiny_model, storage, "partly", *less, "--arm", f"broken={broken}")
    else:
        work = ("--benchmarks", "demo_qa", "--runs", "2", "--limit", "4", "--max-tokens", "8", "--threads", "1")
        options = ("--models", f"f16={tiny_model}", f"broken={broken}", "--output", str(storage / "partly"), *work)
    main = pipeline.main if job == "pipeline" else evaluate.main
    assert main([*options, "--dry-run"]) == 0
    # After the check has passed, damage the file without changing its size and time.
    before = broken.stat()
    broken.write_bytes(without_a_tensor(broken.read_bytes()))
    os.utime(broken, ns=(before.st_atime_ns, before.st_mtime_ns))
    ended = run(job, *options)
    assert ended.code == 1, ended.out + ended.err
    results = tmp_path / "runs/partly/evaluation_results/quantization_comparison.json"
    comparison = json.loads(results.read_text(encoding="utf-8"))
    assert {failure["arm"] for failure in comparison["failures"]} == {"broken"}
    rows = {(row["arm"], row["benchmark"]): row for row in comparison["results"] if row["primary"]}
    assert rows["broken", "demo_qa"]["n_unscored"] == 8
    assert rows["broken", "demo_qa"]["mean"] is None
    assert rows["f16", "demo_qa"]["n_items"] == 4
    assert "FAILED" in ended.out


EVERY_JOB = """
import runpy, sys
for job in ("pipeline", "quantize", "evaluate", "collect_imatrix", "visualize", "document"):
    try:
        runpy.run_module(f"jobs.{job}", run_name="__main__")
    except SystemExit as ended:
        print(job, ended.code)
    print("END", file=sys.stderr, flush=True)
"""


def test_a_word_whose_bytes_are_not_utf8_is_refused_by_every_job() -> None:
    # All jobs run as programs, but in one process, because loading their libraries takes longer than the test.
    ended = subprocess.run(
        [sys.executable, "-c", EVERY_JOB, b"--output", b"/tmp/\x93\x8c.gguf"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    codes = dict(line.split() for line in ended.stdout.splitlines())
    assert codes == dict.fromkeys(("pipeline", "quantize", "evaluate", "collect_imatrix", "visualize", "document"), "2")
    *said, rest = ended.stderr.split("END\n")
    assert len(said) == len(codes) and not rest
    assert all("text in UTF-8" in text and "Traceback" not in text for text in said)


def test_models_whose_names_differ_only_in_case_are_refused(refused: Refused, tiny_model: Path) -> None:
    said = refused("--model", f"A={tiny_model}", "--model", f"a={tiny_model}")
    assert "--model: got 'A'" in said and "--model: got 'a'" in said and "in more than case" in said


def test_names_that_look_alike_are_one_name(refused: Refused, tiny_model: Path) -> None:
    composed, decomposed = "が", "か\u3099"
    said = refused("--model", f"{composed}={tiny_model}", "--model", f"{decomposed}={tiny_model}")
    assert said.count("--model: got 'が'") == 1


def test_more_gpus_per_worker_than_a_machine_has(refused: Refused, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("execution: {gpus_per_worker: 2}\n", encoding="utf-8")
    said = refused("--config", str(config), "--dry-run")
    assert "execution.gpus_per_worker: got 2" in said and "leave it out" in said
