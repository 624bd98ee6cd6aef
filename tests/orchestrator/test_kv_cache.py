"""The KV cache that a benchmark gets, and the error if memory has no room for one sequence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.evaluation.benchmarks import load
from actors.evaluation.contract import BenchmarkData
from actors.llama.memory import can_fork
from actors.llama.model import Model
from actors.orchestrator.sources.kv_cache import cache_for
from conf.faults import BadInput
from tests.orchestrator.small_plan import MODEL, make_config
from tests.tiny_model import write_tiny_model


@pytest.fixture
def vocabulary(tmp_path: Path) -> Model:
    return Model(write_tiny_model(tmp_path / "tiny.gguf"), vocab_only=True)


def chosen(vocabulary: Model, name: str = "demo_qa", **layout: Any) -> tuple[Any, BenchmarkData]:
    config = make_config(layout=layout)
    data = load(name, data_dir=None, sampling=config.sampling, vocabulary=vocabulary)
    large = replace(MODEL, kv_bytes_per_cell=2**17)  # as in an 8B model
    share = can_fork(large.architecture)
    return cache_for(config, data, large, vocabulary, [None], share=share, room=None), data


def test_a_smaller_cache_runs_fewer_sequences(vocabulary: Model) -> None:
    wide, _ = chosen(vocabulary, kv_cache_mib=4096)
    narrow, _ = chosen(vocabulary, kv_cache_mib=96)
    assert wide.sequences == 32 > narrow.sequences >= 1
    assert narrow.n_ctx * 2**17 <= 96 * 2**20


def test_too_little_memory_for_one_sequence_is_bad_input_that_says_how_much_is_needed(vocabulary: Model) -> None:
    with pytest.raises(BadInput) as raised:
        chosen(vocabulary, kv_cache_mib=1)
    (fault,) = raised.value.faults
    assert fault.key == "layout.kv_cache_mib" and "at least" in str(fault) and "demo_qa" in str(fault)


def test_fewer_sequences_than_choices_are_bad_input(vocabulary: Model) -> None:
    with pytest.raises(BadInput, match=r"layout\.sequences"):
        chosen(vocabulary, "demo_choice", sequences=1)


def test_only_architectures_whose_memory_llama_cpp_cannot_copy_are_not_forked() -> None:
    assert all(can_fork(name) for name in ("llama", "gemma2", "mamba", "jamba"))
    assert not can_fork("deepseek4")
