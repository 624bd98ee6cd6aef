"""Early stop in the result files: intervals and tests of the sequence, and how much work was saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.json_lines import write_jsonl
from actors.orchestrator.results import write_results
from actors.records import Record
from actors.store import RunDirectory
from conf.files import read_json
from reporting.terminal.summary import summary_table
from tests.orchestrator.player import N, damaged, plan_of, play
from tests.orchestrator.small_plan import deterministic, modified
from tests.orchestrator.test_passes import text


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run in which one arm ended early, one arm never differs enough, and the text ran to its end."""
    root = tmp_path_factory.mktemp("early")
    title = {"en": "Chosen", "ja": "選択"}
    asked = (deterministic(N), text(12))
    plan, config = plan_of(root, *(modified(one, title=title) for one in asked))
    damage = damaged("q4_k_m")

    def score(arm: str, item: int, seed: int) -> float:
        return damage(arm, item, seed) if arm != "q8_0" else damaged()(arm, item, seed + (item % 9 == 0))

    for block in plan.blocks:
        if block.benchmark == "text":
            rows = [
                Record(f"chunk-{n:05d}", 0, f"hash{n}", None, "measured", nll_sum=2.0 + n, n_tokens=2)
                for n in range(block.first, block.first + block.n_items)
            ]
            Path(block.records_path).parent.mkdir(parents=True, exist_ok=True)
            write_jsonl(block.records_path, rows)
    play(plan, config, score)
    run = RunDirectory(root / "p")
    described = {"created_at": "2025-01-01T00:00:00+00:00", "command": "c", "settings": {}, "versions": {}}
    write_results(plan, run, config, described, (), ())
    return run


def _row(run: RunDirectory, arm: str, benchmark: str = "chosen") -> dict[str, Any]:
    rows = read_json(run.analysis)["comparisons"]
    (row,) = [one for one in rows if (one["arm"], one["benchmark"]) == (arm, benchmark)]
    return dict(row)


def test_a_comparison_that_ended_early_reports_the_sequence_and_what_was_saved(written: RunDirectory) -> None:
    row = _row(written, "q4_k_m")
    stop = row["early_stop"]
    assert (row["verdict"], row["ci_method"], row["test"]) == ("worse", "betting", "betting")
    assert row["verdict_grounds"] == ["below_margin", "adjusted_p"]
    assert row["ci95"][1] < -row["margin"]
    assert stop["decided"] and stop["n_items_looked_at"] == row["n_items"] < 200
    assert stop["n_items_looked_at"] + stop["n_items_after"] + stop["n_items_saved"] == N == stop["n_items_planned"]
    assert stop["n_records_saved"] == stop["n_items_saved"]
    for name in ("ci95_bootstrap", "cohens_d_ci95", "mcnemar", "detectable_drop"):
        assert (row[name], row[f"{name}_reason"]) == (None, "early_stop")
    assert row["flips"]["lost"] > 0 and row["flips"]["lost_ci95_reason"] == "early_stop"
    (arm,) = [one for one in read_json(written.analysis)["verdicts"] if one["arm"] == "q4_k_m"]
    assert (arm["verdict"], arm["worse_on"]) == ("worse", ["chosen"])


def test_an_undecided_comparison_also_reports_the_sequence_because_it_could_have_ended(written: RunDirectory) -> None:
    row = _row(written, "q8_0")
    assert (row["verdict"], row["ci_method"], row["n_items"]) == ("undecided", "betting", N)
    assert not row["early_stop"]["decided"] and row["early_stop"]["n_items_saved"] == 0
    assert row["items_to_decide"] > N and row["runs_to_decide_reason"] == "early_stop"
    assert _row(written, "q4_k_m", "text")["early_stop"] is None


def test_intervals_of_means_are_valid_at_any_number_of_items_and_say_how_many(written: RunDirectory) -> None:
    results = [row for row in read_json(written.comparison)["results"] if row["benchmark"] == "chosen"]
    rows = {row["arm"]: row for row in results}
    assert {row["ci_method"] for row in results} == {"betting"}
    assert {arm: row["n_items_planned"] for arm, row in rows.items()} == dict.fromkeys(rows, N)
    assert rows["q4_k_m"]["n_items"] == _row(written, "q4_k_m")["n_items"] < rows["f16"]["n_items"] == N
    low, high = rows["f16"]["ci95"]
    assert low < rows["f16"]["mean"] < high


def test_the_saved_records_include_those_of_the_reference(written: RunDirectory) -> None:
    early = read_json(written.analysis)["early_stop"]
    rows = [_row(written, arm)["early_stop"] for arm in ("q8_0", "q4_k_m")]
    assert early["benchmarks"] == ["chosen"]
    (reference,) = early["references"]
    assert (reference["arm"], reference["n_records_saved"]) == ("f16", 0)
    assert early["n_records_saved"] == sum(row["n_records_saved"] for row in rows)
    assert early["share_saved"] == pytest.approx(early["n_records_saved"] / (3 * N))


def test_the_summary_says_which_comparison_ended_early(written: RunDirectory) -> None:
    summary = summary_table(read_json(written.comparison), read_json(written.analysis))
    row = _row(written, "q4_k_m")["early_stop"]
    assert f"ended early: q4_k_m worse after {row['n_items_looked_at']} of {N} items" in summary
    assert "records skipped" in summary
