"""Available memory, also in a container, and the error if it is too little."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from actors import machine
from actors.machine import available_bytes, check_memory
from conf.faults import BadInput

GIB = 2**30


def group(folder: Path, *, limit: str, used: int) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    return folder


def test_a_containers_limit_bounds_the_available_memory(tmp_path: Path) -> None:
    assert available_bytes(group(tmp_path, limit="4096", used=1024)) == 3072
    assert available_bytes(group(tmp_path, limit="4096", used=5000)) == 0


def test_without_a_limit_the_machines_memory_is_available(tmp_path: Path) -> None:
    for folder in (group(tmp_path, limit="max", used=1024), tmp_path / "no container"):
        assert available_bytes(folder) == pytest.approx(psutil.virtual_memory().available, rel=0.5)


def test_the_error_names_both_numbers_and_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_bytes", lambda: 2 * GIB)
    check_memory(2 * GIB, "quantizing model.gguf")
    with pytest.raises(
        BadInput, match=r"2\.0 GiB available.*at least 3\.0 GiB for quantizing model\.gguf.*more memory"
    ):
        check_memory(3 * GIB, "quantizing model.gguf")
