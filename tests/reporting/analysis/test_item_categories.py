"""Means by the items' own categories: one row per category and arm, with n, interval and paired difference."""

from __future__ import annotations

import numpy as np
import pytest

from reporting.documents.tables.item_categories import item_categories_table
from reporting.results_folder import Findings
from reporting.wording import Words
from tests.reporting.pooled_run import flipped, pooled_results
from tests.reporting.sample_run import SampleRun, sample_run

SCORES = {
    "gsm8k": flipped(400, 4, 4),
    "mt_bench": {
        "f16": np.array([4.0, 2.0, 5.0, 3.0, 3.0, 1.0]),
        "q8_0": np.array([3.0, 2.0, 4.0, 3.0, np.nan, 2.0]),
    },
}


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


def test_each_category_has_its_own_mean_and_paired_difference(sample: SampleRun) -> None:
    found = pooled_results(sample, SCORES, unjudged={"mt_bench": "judge_failed"})
    rows = {(row["item_category"], row["arm"]): row for row in found.comparison["item_categories"]}
    assert list(rows) == [("math", "f16"), ("math", "q8_0"), ("writing", "f16"), ("writing", "q8_0")]
    assert {row["benchmark"] for row in rows.values()} == {"mt_bench"}
    reference, arm = rows["math", "f16"], rows["math", "q8_0"]
    assert (reference["mean"], reference["n_items"], reference["difference"]) == (4.0, 3, None)
    assert (arm["mean"], arm["n_items"], arm["n_items_planned"]) == (3.5, 2, 3)
    # Only the items that both have are compared: 3 - 4 and 4 - 5.
    assert arm["difference"] == pytest.approx(-1.0) and arm["reference"] == "f16"
    low, high = rows["writing", "q8_0"]["ci95"]
    assert 1 <= low < rows["writing", "q8_0"]["mean"] < high <= 5
    low, high = rows["writing", "q8_0"]["difference_ci95"]
    assert low < rows["writing", "q8_0"]["difference"] < high


def test_the_table_has_a_row_per_category(sample: SampleRun) -> None:
    found = pooled_results(sample, SCORES, unjudged={"mt_bench": "judge_failed"})
    table = item_categories_table(Findings(found.comparison, found.analysis), Words("en"))
    assert [row[:3] for row in table.rows] == [("mt_bench", "math", "3"), ("mt_bench", "writing", "3")]
    assert "Δ -1" in table.rows[0][4].replace("−", "-") and "n = 2" in table.rows[0][4]


def test_without_scores_or_categories_there_is_no_row(sample: SampleRun) -> None:
    nothing = {"mt_bench": {"f16": np.full(6, np.nan), "q8_0": np.full(6, np.nan)}}
    found = pooled_results(sample, {**SCORES, **nothing}, unjudged={"mt_bench": "no_judge"})
    assert found.comparison["item_categories"] == []
    assert pooled_results(sample, {"gsm8k": SCORES["gsm8k"]}).comparison["item_categories"] == []
