"""Fixture of the job tests: a tiny model, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random-weight model whose rows are multiples of 256."""
    path = tmp_path_factory.mktemp("model") / "tiny-F32.gguf"
    write_tiny_model(path)
    return path
