"""The table of speed and memory: what stands in its cells, and what stands there if the machine was busy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reporting.documents.tables.performance import performance_table
from reporting.results_folder import read_findings
from reporting.terminal.summary import summary_table
from reporting.wording import Words
from tests.reporting.results_folder import write_results

MIB = 2**20
SPEEDS = ("prompt_tokens_per_second", "decode_tokens_per_second", "time_per_token_ms", "load_s")


def busy_and_on_a_device(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
    busy, moved = comparison["performance"][1:3]
    for name in SPEEDS:
        busy |= {name: None, f"{name}_reason": "machine_busy", f"{name}_ci95": None, f"{name}_n": 0}
    sizes = {"weights_device": 60 * MIB, "kv_device": 8 * MIB, "compute_device": 2 * MIB, "weights_host": 5 * MIB}
    moved["memory"] |= {f"{name}_bytes": size for name, size in sizes.items()}


def test_a_speed_has_its_interval_and_the_number_of_blocks(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path))
    table = performance_table(findings, Words("en"))
    row = findings.comparison["performance"][0]
    low, high = row["decode_tokens_per_second_ci95"]
    assert table.rows[0][2] == f"{row['decode_tokens_per_second']:.1f}\n[{low:.1f}, {high:.1f}]\nn = 3"
    assert [name for name in table.headers if "memory" in name] == ["Host memory\n(weights + KV cache + buffers)"]


@pytest.mark.parametrize(
    ("lang", "said"), [("en", "not measured:\nthe machine was busy"), ("ja", "未計測:\nマシンが他の処理中")]
)
def test_a_busy_machine_gives_its_reason_and_no_number(tmp_path: Path, lang: Any, said: str) -> None:
    table = performance_table(read_findings(write_results(tmp_path, busy_and_on_a_device)), Words(lang))
    assert table.rows[1][1:5] == (f"–\n({said})",) * 4


def test_host_and_devices_have_columns_of_their_own(tmp_path: Path) -> None:
    table = performance_table(read_findings(write_results(tmp_path, busy_and_on_a_device)), Words("en"))
    assert table.headers[6] == "Device memory\n(weights + KV cache + buffers)"
    assert [row[6] for row in table.rows] == ["–", "–", "70.0 MiB\n(60.0 + 8.0 + 2.0)"]
    assert "(5.0 + 22.0 + " in table.rows[2][5]


def test_the_terminal_says_so_too(tmp_path: Path) -> None:
    findings = read_findings(write_results(tmp_path, busy_and_on_a_device))
    assert findings.analysis is not None
    shown = summary_table(findings.comparison, findings.analysis)
    assert "tokens/s not measured: the machine was busy (q8_0)" in shown


def test_results_of_older_versions_are_still_read(tmp_path: Path) -> None:
    def older(comparison: dict[str, Any], _analysis: dict[str, Any]) -> None:
        for row in comparison["performance"]:
            for name in [*row]:
                if name.endswith(("_ci95", "_ci95_reason", "_n")) or name.startswith(("memory", "cpu_share")):
                    del row[name]
            row["peak_rss_bytes"] = 5

    table = performance_table(read_findings(write_results(tmp_path, older)), Words("en"))
    assert table.rows[0][2].count("\n") == 0 and table.rows[0][5] == "–"
