"""Judging from the first command to the results: a judge that is away, one that comes back, and another one later."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from conf.schema.judging import Judging
from jobs import judge
from tests.jobs.running import Ended, fingerprints, records, run
from tests.judging.completion_server import Request, Response, completion_server, said

TASKS = ("空の色は何ですか。", "犬を一言で説明してください。", "1から3まで数えてください。")
SETTINGS = {"judging": {"attempts": 1, "timeout_s": 20}, "execution": {"block_items": 2}}


def write_tasks(folder: Path) -> Path:
    """Write a small data folder in the form of ELYZA Tasks 100, and a configuration. Return the folder."""
    data = folder / "data" / "elyza_tasks_100"
    data.mkdir(parents=True)
    rows = [{"id": n, "input": task, "output": "手本", "eval_aspect": "- 正しい"} for n, task in enumerate(TASKS)]
    data.joinpath("test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    folder.joinpath("settings.yaml").write_text(json.dumps(SETTINGS), encoding="utf-8")
    return folder


def pipeline(folder: Path, model: Path, *more: str) -> Ended:
    return run(
        "pipeline",
        *("--model", f"tiny={model}", "--quantizations", "f16,q8_0", "--benchmarks", "elyza", "--runs", "2"),
        *("--imatrix", "none", "--max-tokens", "8", "--threads", "1", "--lang", "en", "--max-workers", "1"),
        *("--data-dir", str(folder / "data"), "--config", str(folder / "settings.yaml")),
        *("--storage", str(folder / "runs"), "--pipeline-id", "p"),
        *more,
    )


def free_address() -> str:
    """Return an address at which nothing answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}/v1"


def by_model(number: int, body: dict[str, Any]) -> Response:
    """Give each model's own score to every answer."""
    return said(json.dumps({"reason": "r", "score": {"kind": 4, "strict": 2}[body["model"]]}), model=body["model"])


def means(run_dir: Path) -> dict[str, float | None]:
    comparison = json.loads((run_dir / "evaluation_results" / "quantization_comparison.json").read_text())
    return {row["arm"]: row["mean"] for row in comparison["results"] if row["primary"]}


def jury(run_dir: Path) -> Any:
    comparison = json.loads((run_dir / "evaluation_results" / "quantization_comparison.json").read_text())
    return comparison["benchmarks"][0]["judges"]


@pytest.mark.slow
def test_a_judge_that_is_away_redoes_no_answer_and_another_judge_stands_beside(
    tmp_path: Path, tiny_model: Path
) -> None:
    folder = write_tasks(tmp_path)
    run_dir, with_kind = folder / "runs" / "p", ("--judge-model", "kind")
    away = pipeline(folder, tiny_model, "--judge-url", free_address(), *with_kind)
    assert away.code == 1 and "does not answer" in away.out, away.out + away.err
    assert means(run_dir) == {"f16": None, "q8_0": None}
    answers = records(run_dir)
    assert len(answers) == 4

    with completion_server(by_model) as (url, requests):
        there = pipeline(folder, tiny_model, "--judge-url", url, *with_kind)
        assert there.code == 0, there.out + there.err
        assert records(run_dir) == answers
        assert means(run_dir) == {"f16": 4.0, "q8_0": 4.0}
        asked = len(requests)
        assert 0 < asked <= 3 * 2 * 2 * 2
        result = next(line for line in there.out.splitlines() if line.startswith("RESULT "))
        assert json.loads(result.removeprefix("RESULT "))["results"][0]["judges"] == ["kind"]
        again = pipeline(folder, tiny_model, "--judge-url", url, *with_kind)
        assert again.code == 0 and "Nothing to do" in again.out

        other = run("judge", "--run", str(run_dir), "--judge-url", url, "--judge-model", "strict")
        assert other.code == 0, other.out + other.err
        assert means(run_dir) == {"f16": 2.0, "q8_0": 2.0}
        assert [one["name"] for one in jury(run_dir)] == ["strict"] and jury(run_dir)[0]["model"] == "strict"
        table = pl.read_parquet(run_dir / "evaluation_results" / "report_data" / "judgements.parquet")
        assert set(table["judge"]) == {"kind", "strict"}
        before = len(requests)

        back = run("judge", "--run", str(run_dir), "--judge-url", url, "--judge-model", "kind")
        assert back.code == 0 and means(run_dir) == {"f16": 4.0, "q8_0": 4.0}
        assert len(requests) == before
        assert records(run_dir) == answers
        assert _models(requests) == {"kind", "strict"}
    assert fingerprints(folder / "runs" / ".judgements", "**/*.json")


def _models(requests: list[Request]) -> set[str]:
    return {one.body["model"] for one in requests}


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge.main(["--run", str(tmp_path), "--judge-url", "http://127.0.0.1:9/v1"]) == 2
    assert "--run" in capsys.readouterr().err


def test_settings_of_earlier_commands_are_told_unless_they_are_named_now() -> None:
    url = "http://h/v1"
    before = Judging(
        judges=({"name": "j", "url": url},),  # type: ignore[arg-type]
        temperature=0.0,
        max_calls=100,
        rubrics={"elyza": "elyza_strict"},
    )
    told = judge.kept_settings(before, {"judges", "temperature"})
    assert 'judging.max_calls 100, judging.rubrics {"elyza": "elyza_strict"}. ' in told
    assert "temperature" not in told and url not in judge.kept_settings(before, {"repeats"})
    assert judge.kept_settings(Judging(repeats=3), {"repeats"}) == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("judging: [1]", "judging: got [1]"),
        ("judgin: {max_calls: 3}", "judgin: got 'a section of"),
        ("judging: {max_call: 3}", "max_call"),
    ],
)
def test_faults_of_its_configuration_are_told(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.joinpath("config.yaml").write_text(
        json.dumps({"models": [{"name": "m", "path": "gone.gguf"}], "benchmarks": ["elyza"]})
    )
    tmp_path.joinpath("mine.yaml").write_text(text)
    assert judge.main(["--run", str(tmp_path), "--config", str(tmp_path / "mine.yaml"), "--judge-model", "j"]) == 2
    assert told in capsys.readouterr().err


def test_a_run_whose_model_is_gone_is_refused_in_words_of_this_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.joinpath("config.yaml").write_text(
        json.dumps({"models": [{"name": "m", "path": "gone.gguf"}], "benchmarks": ["elyza"]})
    )
    assert judge.main(["--run", str(tmp_path), "--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "j"]) == 2
    said_to_user = capsys.readouterr().err
    assert "gone.gguf" in said_to_user and "--model" not in said_to_user.replace("--judge-model", "")
