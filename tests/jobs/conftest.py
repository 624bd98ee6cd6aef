"""Fixtures of the job tests: a tiny model, and one finished pipeline for all tests that need one."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.jobs.running import Ended, run, small_pipeline
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random-weight model whose rows are multiples of 256."""
    path = tmp_path_factory.mktemp("model") / "tiny-F32.gguf"
    write_tiny_model(path)
    return path


@dataclass(frozen=True)
class Done:
    """A finished pipeline with the id `first`. It belongs to all tests: whoever changes its storage copies it first."""

    model: Path
    storage: Path
    run_dir: Path
    ended: Ended


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The pipeline is run once, also if several test processes work side by side."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "done"
    shared.mkdir(exist_ok=True)
    model, storage, said = shared / "tiny-F32.gguf", shared / "storage", shared / "said.json"
    with FileLock(shared / "lock"):
        if not said.exists():
            storage.mkdir()
            write_tiny_model(model)
            said.write_text(json.dumps(asdict(run("pipeline", *small_pipeline(model, storage, "first")))))
    ended = Ended(**json.loads(said.read_text()))
    assert ended.code == 0, ended.out + ended.err
    return Done(model, storage, storage / "first", ended)
