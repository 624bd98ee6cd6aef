"""One value that does not fit loses the findings of its arm and benchmark, and no others."""

from __future__ import annotations

import math

import polars as pl
import pytest

from conf.schema.verdicts import Statistics
from reporting.analysis.results import build_results
from reporting.analysis.salvage import salvage_results
from tests.reporting.sample_run import SampleRun, sample_run

CELL = (pl.col("arm") == "q8_0") & (pl.col("benchmark") == "gsm8k")
FIRST = CELL & (pl.col("item_id") == "gsm8k-0000") & (pl.col("seed") == 0)
TEXT = (pl.col("arm") == "q8_0") & (pl.col("benchmark") == "perplexity_ja_wiki")


def _with(sample: SampleRun, column: str, value: float, where: pl.Expr) -> pl.DataFrame:
    return sample.records.with_columns(pl.when(where).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))


@pytest.mark.filterwarnings("ignore:overflow|invalid:RuntimeWarning")  # numpy only warns, and goes on with inf and NaN
@pytest.mark.parametrize(
    ("records", "cell", "said"),
    [
        (_with(sample_run(), "score", 1e308, CELL), ("q8_0", "gsm8k"), "its scores are too large for mean"),
        (pl.concat([sample_run().records, sample_run().records.filter(FIRST)]), ("q8_0", "gsm8k"), "two records"),
        (_with(sample_run(), "nll_sum", 1e9, TEXT), ("q8_0", "perplexity_ja_wiki"), "OverflowError"),
    ],
    ids=[
        "a score near the largest float",
        "an item twice",
        "a perplexity beyond all floats",
    ],
)
def test_a_cell_that_fails_is_reported_and_the_others_are_as_before(
    records: pl.DataFrame, cell: tuple[str, str], said: str
) -> None:
    # Without a scale, such a score is not left out as one that lies outside of it.
    benchmarks = [one | {"scale": None} if one["name"] == "gsm8k" else one for one in sample_run().run["benchmarks"]]
    sample = sample_run()._replace(run=sample_run().run | {"benchmarks": benchmarks})
    salvaged = salvage_results(sample.run, records, sample.timings, Statistics())
    (failed,) = salvaged.failed
    assert (failed.arm, failed.benchmark) == cell and said in str(failed)
    found = salvaged.results.comparison
    assert [(one["unit"], one["phase"]) for one in found["failures"]][-1:] == [
        (f"findings/{cell[1]}.{cell[0]}", "statistics")
    ]
    whole = build_results(*sample).comparison["results"]
    assert [row for row in found["results"] if (row["arm"], row["benchmark"]) != cell] == [
        row for row in whole if (row["arm"], row["benchmark"]) != cell
    ]
    own = next(row for row in found["results"] if (row["arm"], row["benchmark"]) == cell)
    before = next(row for row in whole if (row["arm"], row["benchmark"]) == cell)
    assert own["mean"] is None and own["unscored_reasons"] == {"findings_failed": before["n_records"]}


def test_results_without_a_bad_value_are_those_of_build_results() -> None:
    sample = sample_run()
    salvaged = salvage_results(sample.run, sample.records, sample.timings, Statistics())
    assert salvaged.failed == () and salvaged.results.comparison == build_results(*sample).comparison


def test_an_error_that_belongs_to_no_arm_and_benchmark_is_raised() -> None:
    sample = sample_run()
    with pytest.raises(ValueError, match="created_at"):
        salvage_results(sample.run | {"created_at": math.pi}, sample.records, sample.timings, Statistics())
