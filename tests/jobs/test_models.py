"""Jobs take models and arms from paths and from the hub. If one cannot be had, they exit with 2 before Ray starts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.hub import Hub
from actors.orchestrator.sources.models import find
from conf.faults import BadInput
from tests import hub_server
from tests.hub_server import COMMIT, TOKEN, Repository, serving
from tests.jobs.running import Ended, run
from tests.quantization.safetensors_files import checkpoint_files, write_files
from tests.split_gguf import split_gguf
from tests.tiny_model import write_tiny_model

Job = Callable[..., Ended]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    return write_tiny_model(folder / "tiny-F16.gguf")


@pytest.fixture(scope="module")
def server(whole: Path, folder: Path) -> Iterator[hub_server.Hub]:
    other = write_tiny_model(folder / "other.gguf", seed=1, chat_template="{{ messages[0]['content'] }}")
    rows = "".join(
        json.dumps({"text": f"Row {number} of a calibration text, with words."}) + "\n" for number in range(400)
    )
    with serving(
        org__tiny=Repository(
            {"gguf/tiny-F16.gguf": whole.read_bytes(), "other-Q4_X.gguf": other.read_bytes()} | checkpoint_files()
        ),
        org__ggufs=Repository({"a-Q8_0.gguf": b"x", "README.md": b"a card"}),
        org__unsupported=Repository({"config.json": b"{}", "pytorch_model.bin": b"x"}),
        org__hidden=Repository({"m.gguf": whole.read_bytes()}, access="private"),
        org__text=Repository({"data/train.jsonl": rows.encode()}, kind="datasets"),
    ) as hub:
        yield hub


@pytest.fixture
def job(server: hub_server.Hub, tmp_path: Path) -> Job:
    """Return a function that runs a job with empty caches. The job knows only the small test hub."""

    def call(name: str, *arguments: str, **extra: str) -> Ended:
        places = {"HF_HOME": str(tmp_path / "hf"), "QUANT_ASSAY_CACHE": str(tmp_path / "cache"), "HF_TOKEN": ""}
        return run(name, *arguments, **{"HF_ENDPOINT": server.endpoint, **places, **extra})

    return call


def test_a_split_model_is_quantized_by_the_name_of_any_part(job: Job, whole: Path, tmp_path: Path) -> None:
    parts = split_gguf(whole, tmp_path, 3, stem="tiny-F16")
    out = tmp_path / "out"
    ended = job("quantize", "--model", str(parts[1]), "--formats", "q4_0", "--output", str(out), "--threads", "1")
    assert ended.code == 0, ended.err
    assert (out / "tiny-Q4_0.gguf").exists()
    parts[2].unlink()
    ended = job("quantize", "--model", str(parts[0]), "--formats", "q8_0", "--output", str(out))
    assert ended.code == 2
    assert "missing: tiny-F16-00003-of-00003.gguf" in ended.err


def test_a_matrix_is_collected_from_a_file_and_a_data_set_of_the_hub(job: Job, tmp_path: Path) -> None:
    mix = tmp_path / "rows.yaml"
    mix.write_text("texts:\n  - {dataset: org/text, split: train, column: text, rows: 300}\n")
    out = tmp_path / "m.gguf"
    options = ["--output", str(out), "--calibration", str(mix), "--dataset-size", "512", "--ctx", "128"]
    ended = job("collect_imatrix", "--model", "hf:org/tiny@main/gguf/tiny-F16.gguf", *options, "--threads", "1")
    assert ended.code == 0, ended.err
    assert "downloading org/tiny@01234567" in ended.out
    text = json.loads(Path(f"{out}.manifest.json").read_text())["texts"][0]
    assert {key: text["source"][key] for key in ("repository", "commit", "split", "column", "rows")} == {
        "repository": "org/text",
        "commit": COMMIT,
        "split": "train",
        "column": "text",
        "rows": 300,
    }


@pytest.mark.slow
def test_a_plan_records_where_models_and_arms_come_from_and_how_arms_differ(job: Job, tmp_path: Path) -> None:
    models = ["--model", "tiny=hf:org/tiny/gguf/tiny-F16.gguf", "--arm", "theirs=hf:org/tiny/other-Q4_X.gguf"]
    work = ["--quantizations", "f16", "--benchmarks", "demo_choice", "--limit", "1", "--imatrix", "none"]
    places = ["--storage", str(tmp_path / "runs"), "--pipeline-id", "hub"]
    ended = job("pipeline", *models, *work, *places, "--threads", "1", "--lang", "en", HF_TOKEN=TOKEN)
    assert ended.code == 0, ended.out + ended.err
    run_dir = tmp_path / "runs" / "hub"
    plan = json.loads((run_dir / "plan.json").read_text())
    origin = {"repository": "org/tiny", "revision": "main", "commit": COMMIT, "file": "gguf/tiny-F16.gguf"}
    assert plan["models"][0]["origin"] == origin
    results = json.loads((run_dir / "evaluation_results" / "quantization_comparison.json").read_text())
    theirs = next(arm for arm in results["arms"] if arm["name"] == "theirs")
    assert theirs["origin"] == {**origin, "file": "other-Q4_X.gguf"}
    assert theirs["types"]["f16"] > 0
    notice = "Arm theirs differs from tiny in more than its weights (another chat template)"
    assert any(notice in one for one in results["notices"])
    assert "hf:org/tiny/gguf/tiny-F16.gguf" in (run_dir / "config.yaml").read_text()
    report = (run_dir / "reports" / "quantization_analysis_report.md").read_text()
    assert COMMIT in report
    kept = [path for path in run_dir.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept == []
    assert TOKEN not in ended.out + ended.err


@pytest.mark.parametrize(
    ("model", "reported"),
    [
        ("org/missing", "the id of a model"),
        ("org/tiny@v9", "a branch, tag or commit of org/tiny"),
        ("org/ggufs", "Name one of its files: hf:org/ggufs@main/a-Q8_0.gguf"),
        ("hf:org/ggufs/b.gguf", "there is no b.gguf). It has a-Q8_0.gguf"),
        ("hf:org/ggufs/README.md", "a .gguf file of a repository"),
        ("hf:org/hidden/m.gguf", "HF_TOKEN"),
        ("org/unsupported", "pickles may run code"),
        ("hf:nonsense", "hf:owner/name"),
    ],
)
def test_a_model_that_the_hub_cannot_supply_is_bad_input(
    server: hub_server.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, reported: str
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    hub = Hub(endpoint=server.endpoint, cache_dir=tmp_path / "hub")
    with pytest.raises(BadInput, match=re.escape(reported)):
        find(model, key="--model", is_model=True, hub=hub)


def test_all_faults_are_reported_before_any_download(job: Job, server: hub_server.Hub, tmp_path: Path) -> None:
    server.requests.clear()
    checkpoint = write_files(tmp_path / "incomplete", checkpoint_files())
    (checkpoint / "model-00002-of-00002.safetensors").unlink()
    models = ["--model", f"a={checkpoint}", "--model", "b=hf:org/tiny/gguf/tiny-F16.gguf"]
    ended = job("pipeline", *models, "--quantizations", "q9_9", "--arm", "c=org/tiny", "--storage", str(tmp_path / "s"))
    assert ended.code == 2
    assert "Traceback" not in ended.err
    for reported in ("missing: model-00002-of-00002.safetensors", "q9_9", "hf:org/tiny@main/path/file.gguf"):
        assert reported in ended.err
    assert all("/resolve/" not in path for _, path, _ in server.requests)
