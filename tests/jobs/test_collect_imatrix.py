"""`jobs.collect_imatrix` makes a matrix with its manifest, or says what is wrong and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.quantization.imatrix import load_manifest, manifest_path
from actors.quantization.imatrix_file import read_imatrix
from jobs import collect_imatrix
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def run(*words: object) -> int:
    return collect_imatrix.main([str(word) for word in words])


def test_two_texts_give_equal_shares(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "en.txt", tmp_path / "ja.txt"
    first.write_text("the other thing " * 300, encoding="utf-8")
    second.write_text("日本語の文。" * 300, encoding="utf-8")
    output = tmp_path / "new" / "matrix.gguf"
    texts = ("--calibration", first, "--calibration", second)
    assert run("--model", tiny, "--output", output, *texts, "--dataset-size", 512, "--ctx", 64, "--threads", 1) == 0
    assert read_imatrix(output).datasets == ("en.txt", "ja.txt")
    assert [text.n_chunks for text in load_manifest(manifest_path(output)).texts] == [4, 4]
    assert "14 tensors from 512 tokens" in capsys.readouterr().out


def test_without_a_text_the_help_topics_are_read_and_named(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", tiny, "--output", tmp_path / "matrix.gguf", "--dataset-size", 512, "--threads", 1) == 0
    assert "CPython's help topics are read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--dataset-size", 100_000_000), "--dataset-size: got 100000000; allowed: at most"),
        (("--dataset-size", 0), "--dataset-size: got 0"),
        (("--shards", 2), "not there yet"),
        (("--ctx", 1, "--threads", 0), "--threads: got 0"),
        (("--calibration", "missing.txt"), "No such file"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], told: str
) -> None:
    assert run("--model", tiny, "--output", tmp_path / "new" / "matrix.gguf", *words) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
