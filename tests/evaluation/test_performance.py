"""The fixed workload that an arm's speed is measured with, and the file that is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

from actors.evaluation.actor import EvaluationWorker
from actors.evaluation.performance import ROUNDS
from actors.orders import PerformanceOrder
from reporting.analysis.performance import workload_is_readable
from tests.conftest import layout


def test_an_arm_is_measured_once_and_written(tmp_path: Path, tiny_path: str) -> None:
    reported: list[int] = []
    order = PerformanceOrder("f16", tiny_path, layout(sequences=4, n_ctx=512), str(tmp_path / "f16.json"))
    EvaluationWorker().measure_performance(order, reported.append)
    found = json.loads(Path(order.output_path).read_text())
    assert found["file_bytes"] == os.path.getsize(tiny_path)
    assert (found["batch_1"]["sequences"], found["batched"]["sequences"]) == (1, 4)
    assert found["load_s"] > 0
    assert (found["batch_1"]["prompt_tokens"], found["batched"]["answer_tokens"]) == (256, 4 * 8)
    assert len(found["batch_1"]["prompt_s"]) == len(found["batched"]["decode_s"]) == ROUNDS > 2
    assert 0 < found["machine"]["own_cpu_s"] <= found["machine"]["all_cpu_s"] + 0.05
    assert workload_is_readable(found)
    (memory,) = found["memory"]
    assert (memory["place"], memory["on_host"]) == ("CPU", True)
    # Two layers of keys and values, 128 numbers of f16 each, in 512 cells.
    assert memory["kv_bytes"] == 2 * 2 * 128 * 2 * 512
    assert 0 < memory["weights_bytes"] <= found["file_bytes"]
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
