"""Speed and memory of an arm: the file that is written, and the buffer sizes from llama.cpp's log."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.performance import read_buffers
from actors.orders import PerformanceOrder
from tests.conftest import layout


def test_an_arm_is_measured_once_and_written(tmp_path: Path, tiny_path: str) -> None:
    reported: list[int] = []
    order = PerformanceOrder("f16", tiny_path, layout(sequences=4, n_ctx=512), str(tmp_path / "f16.json"))
    EvaluationWorker().measure_performance(order, reported.append)
    found = json.loads(Path(order.output_path).read_text())
    assert found["file_bytes"] == os.path.getsize(tiny_path)
    assert (found["batch_1"]["sequences"], found["batched"]["sequences"]) == (1, 4)
    assert found["load_s"] > 0
    rate = found["batch_1"]["decode_tokens_per_second"]
    assert found["batch_1"]["time_per_token_ms"] == pytest.approx(1000 / rate)
    # Two layers of keys and values, 128 numbers of f16 each, in 512 cells.
    assert found["kv_bytes"] == 2 * 2 * 128 * 2 * 512
    assert 0 < found["weights_bytes"] <= found["file_bytes"]
    assert found["process_rss_bytes"] > found["kv_bytes"]
    assert sum(reported) > 300


def test_a_small_cache_gets_a_shorter_workload(tmp_path: Path, tiny_path: str) -> None:
    order = PerformanceOrder("f16", tiny_path, layout(sequences=40, n_ctx=256), str(tmp_path / "f16.json"))
    EvaluationWorker().measure_performance(order, lambda tokens: None)
    assert json.loads(Path(order.output_path).read_text())["batched"]["sequences"] == 256 // 24


def test_sequences_with_caches_of_their_own_get_what_fits_into_one_of_them(tmp_path: Path, tiny_path: str) -> None:
    # 32 sequences and two beside them, 256 cells each: the plan of a benchmark of short questions.
    order = PerformanceOrder(
        "f16", tiny_path, layout(sequences=32, n_ctx=8704, unified=False), str(tmp_path / "f.json")
    )
    EvaluationWorker().measure_performance(order, lambda tokens: None)
    found = json.loads(Path(order.output_path).read_text())
    assert (found["batch_1"]["sequences"], found["batched"]["sequences"]) == (1, 32)


def test_buffers_of_several_devices_add_up() -> None:
    log = [
        "load_tensors:   CPU_Mapped model buffer size =    92.10 MiB",
        "load_tensors:        CUDA0 model buffer size =   100.00 MiB",
        "llama_kv_cache:      CUDA0 KV buffer size =    45.00 MiB",
        "llama_memory_recurrent:      CUDA0 RS buffer size =     5.00 MiB",
        "sched_reserve:        CPU compute buffer size =    24.85 MiB",
        "llama_context:        CPU  output buffer size =     1.12 MiB",
    ]
    found = read_buffers(log)
    assert found.devices == ("CPU", "CUDA0")
    assert found.weights_bytes == round(92.10 * 2**20) + 100 * 2**20
    assert found.kv_bytes == 50 * 2**20
    assert found.compute_bytes == round(24.85 * 2**20)
    assert read_buffers(["nothing of the kind"]).weights_bytes is None
