"""`jobs.quantize` makes a folder of verified GGUFs, redoes nothing, and tells all that is wrong at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import collect_imatrix, quantize
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def run(*words: object) -> int:
    return quantize.main([str(word) for word in words])


def test_files_are_named_by_model_and_type_and_made_once(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = tmp_path / "matrix.gguf"
    words = ["--model", str(tiny), "--output", str(matrix), "--dataset-size", "512", "--threads", "1"]
    assert collect_imatrix.main(words) == 0
    output = tmp_path / "out"
    command = ("--model", f"mine={tiny}", "--imatrix", matrix, "--formats", "F16,q4_k,Q4_K_M", "--output", output)
    assert run(*command) == 0
    names = {f"mine-{kind}{ending}" for kind in ("F16", "Q4_K_M") for ending in (".gguf", ".manifest.json", ".log.txt")}
    assert {path.name for path in output.iterdir()} == names
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    capsys.readouterr()
    assert run(*command) == 0
    assert capsys.readouterr().out.count("is there already") == 2
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == before


def test_all_faults_are_told_at_once_and_nothing_is_written(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert (
        run("--model", tiny.parent / "no.gguf", "--formats", "q4_km,iq2_xxs", "--output", output, "--threads", 0) == 2
    )
    told = capsys.readouterr().err
    for part in ("'q4_k_m'", "no such file", "iq2_xxs cannot be made without one", "--threads: got 0"):
        assert part in told
    assert not output.exists()


def test_protection_is_not_there_yet(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", tiny, "--output", tmp_path / "out", "--protection-level", "high") == 2
    assert "not there yet" in capsys.readouterr().err


def test_a_file_where_the_folder_should_be_is_bad_input(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")
    assert run("--model", tiny, "--output", tmp_path / "out" / "deeper", "--formats", "f16") == 2
    assert "is a file" in capsys.readouterr().err
