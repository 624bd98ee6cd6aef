"""If llama.cpp gets no memory for a KV cache, the pipeline is planned with half of it, remembers that and reports it.

Tests have no GPU that is too small, so jobs are started with a llama.cpp that refuses contexts above a number of cells.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.jobs.running import Ended, records, run

REFUSING = """
import os

import llama_cpp
from llama_cpp._ggml import libggml

_real = llama_cpp.llama_init_from_model


def _refusing(model, params):
    if params.n_ctx <= int(os.environ["MOST_CELLS"]):
        return _real(model, params)
    libggml.ggml_log_internal(4, b"llama_init_from_model: failed to allocate buffer for kv cache\\n")
    return None


llama_cpp.llama_init_from_model = _refusing
"""


@pytest.fixture
def without_room(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with code that every Python runs first."""
    folder = tmp_path / "refusing"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(REFUSING, encoding="utf-8")
    return folder


def evaluate(model: Path, output: Path, **extra: str) -> Ended:
    output.parent.mkdir(exist_ok=True)
    config = output.parent / "config.yaml"
    config.write_text("layout: {kv_cache_mib: 4}\nexecution: {attempts: 1}\n", encoding="utf-8")
    benchmarks = ("--benchmarks", "demo_qa,perplexity_pydoc", "--limit", "4", "--runs", "2", "--max-tokens", "8")
    places = ("--models", f"tiny={model}", "--output", str(output), "--config", str(config), "--threads", "1")
    return run("evaluate", *places, *benchmarks, **extra)


def cells(output: Path) -> dict[str, int]:
    """Return the KV cells of each benchmark that has records."""
    keys = [json.loads((output / name).with_name("meta.json").read_text()) for name in records(output)]
    return {key["benchmark"]: key["key"]["layout"]["n_ctx"] for key in keys}


@pytest.mark.slow
def test_a_cache_without_room_is_halved_and_stays_smaller(tiny_model: Path, without_room: Path, tmp_path: Path) -> None:
    assert evaluate(tiny_model, tmp_path / "elsewhere" / "free").code == 0
    free = cells(tmp_path / "elsewhere" / "free")
    most = free["demo_qa"] - 1

    ended = evaluate(tiny_model, tmp_path / "run", PYTHONPATH=str(without_room), MOST_CELLS=str(most))
    assert ended.code == 0, ended.out + ended.err
    smaller = cells(tmp_path / "run")
    assert max(smaller.values()) <= most
    # A benchmark that needs little keeps its cache, and so the key of its records.
    assert smaller["demo_qa"] < free["demo_qa"] and smaller["perplexity_pydoc"] == free["perplexity_pydoc"]
    assert "llama.cpp got no memory for more" in " ".join(ended.out.split())

    again = evaluate(tiny_model, tmp_path / "run")
    assert again.code == 0 and "Nothing to do" in again.out


@pytest.mark.slow
def test_the_job_fails_if_no_cache_has_room(tiny_model: Path, without_room: Path, tmp_path: Path) -> None:
    ended = evaluate(tiny_model, tmp_path / "run", PYTHONPATH=str(without_room), MOST_CELLS="255")
    assert ended.code == 1
    assert "FAILED" in ended.out and "no memory for a context" in " ".join(ended.out.split())
    assert not records(tmp_path / "run")
