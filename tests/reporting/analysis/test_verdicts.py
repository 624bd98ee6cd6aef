"""Verdicts in the result files: margins, claims that the data cannot carry, adjustments, flips, the choice, order."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from conf.schema.verdicts import Margins, Statistics
from reporting.analysis.results import Results, build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from reporting.terminal.summary import summary_table
from reporting.validate import validate
from stats.multiplicity import benjamini_hochberg, holm
from tests.reporting.sample_run import SampleRun, sample_run

NO_TIMINGS = pl.DataFrame(schema=TIMING_SCHEMA)


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


@pytest.fixture(scope="module")
def results(sample: SampleRun) -> Results:
    return build_results(*sample)


def _row(found: Results, arm: str, benchmark: str) -> dict[str, Any]:
    row: dict[str, Any]
    (row,) = [one for one in found.analysis["comparisons"] if (one["arm"], one["benchmark"]) == (arm, benchmark)]
    return row


def _made(
    sample: SampleRun,
    scores: dict[str, np.ndarray],
    sizes: dict[str, int],
    *,
    clusters: dict[int, str] | None = None,
    margins: Margins | None = None,
    reason: str = "block_failed",
    scale: tuple[float, float] = (0.0, 1.0),
) -> Results:
    """Return the results of a run with one benchmark.

    Args:
        sample: the run that the descriptions are copied from.
        scores: arm -> array of shape (items, seeds); the first arm is the reference.
        sizes: arm -> file size.
        clusters: item -> source.
        margins: None: the default margins.
        reason: reason of the records whose score is NaN. They are unscored.
        scale: the scale that the benchmark declares.
    """
    reference = next(iter(scores))
    plain = sample.run["arms"][1]
    arms = [
        plain
        | {"name": name, "recipe": name, "size_bytes": size, "reference": None if name == reference else reference}
        for name, size in sizes.items()
    ]
    n_seeds = scores[reference].shape[1]
    seeds = {"deterministic": n_seeds == 1, "seeds": list(range(n_seeds)), "scale": list(scale)}
    benchmark = sample.run["benchmarks"][0] | seeds
    rows = []
    for arm, values in scores.items():
        for (item, seed), value in np.ndenumerate(values):
            row = dict.fromkeys(RECORD_SCHEMA) | {"arm": arm, "benchmark": benchmark["name"], "seed": seed}
            row |= {"item_id": f"{item:05d}", "prompt_hash": str(item), "cluster": (clusters or {}).get(item)}
            if np.isnan(value):
                row |= {"outcome": "unscored", "reason": reason}
            else:
                row |= {"outcome": "correct" if value > 0 else "wrong", "score": float(value)}
            rows.append(row)
    run = sample.run | {"arms": arms, "benchmarks": [benchmark], "failures": [], "notices": []}
    settings = Statistics(margins=margins or Margins())
    made = build_results(run, pl.DataFrame(rows, schema=RECORD_SCHEMA), NO_TIMINGS, settings)
    validate("statistical_analysis", made.analysis)
    validate("quantization_comparison", made.comparison)
    summary_table(made.comparison, made.analysis)
    return made


def test_the_margin_follows_the_metric_and_the_configuration(sample: SampleRun) -> None:
    strict = build_results(*sample, Statistics(margins=Margins(accuracy=0.3, ln_ppl=0.002)))
    assert _row(strict, "q8_0", "gsm8k")["margin"] == 0.3
    assert _row(strict, "q8_0", "gsm8k")["verdict_grounds"] == ["spans_share"]  # within .3, but not within 5% of it
    assert _row(strict, "q8_0", "perplexity_wikitext2")["margin"] == 0.002
    assert _row(strict, "q8_0", "perplexity_wikitext2")["verdict"] == "undecided"
    assert strict.analysis["margins"] == Margins(accuracy=0.3, ln_ppl=0.002).model_dump()


def test_a_loss_beyond_the_margin_is_worse_if_lower_is_better(results: Results) -> None:
    row = _row(results, "q4_k_m", "perplexity_wikitext2")
    assert row["ci95"][0] > row["margin"]
    assert (row["verdict"], row["verdict_grounds"]) == ("worse", ["below_margin", "adjusted_p"])
    assert _row(results, "q8_0", "perplexity_wikitext2")["verdict"] == "no_worse"


def test_p_is_adjusted_within_an_arm_for_verdicts_and_over_all_arms_for_exploration(results: Results) -> None:
    rows = results.analysis["comparisons"]
    own = [row for row in rows if row["arm"] == "q4_k_m"]
    assert [row["p_adjusted"] for row in own] == pytest.approx(holm(np.array([row["p_value"] for row in own])).tolist())
    q_values = benjamini_hochberg(np.array([row["p_value"] for row in rows])).tolist()
    assert [row["q_value"] for row in rows] == pytest.approx(q_values)


def test_every_arm_gets_a_verdict_and_the_choice_stops_at_the_first_undecided_arm(results: Results) -> None:
    q8_0, q4_k_m = results.analysis["verdicts"]
    assert (q8_0["verdict"], q8_0["undecided_on"]) == ("undecided", ["gsm8k", "arc_challenge"])
    assert (q4_k_m["verdict"], q4_k_m["worse_on"]) == ("worse", ["perplexity_wikitext2", "perplexity_ja_wiki"])
    (choice,) = results.analysis["selections"]
    assert (choice["smallest_no_worse"], choice["stopped_at"], choice["not_reached"]) == (None, "q8_0", ["q4_k_m"])


def test_an_undecided_arm_has_the_number_of_items_that_would_decide(results: Results) -> None:
    row = _row(results, "q8_0", "arc_challenge")
    assert row["verdict"] == "undecided"
    low, high = row["items_to_decide_range"]
    # If nothing flips, 381 items decide. Half a flip is added to those of 40 items.
    assert 381 < low < high == row["items_to_decide"]
    assert row["runs_to_decide_reason"] == "more_runs_do_not_help"
    assert _row(results, "q8_0", "perplexity_ja_wiki")["items_to_decide_reason"] == "decided"


def test_sampled_flips_have_the_flips_of_the_reference_as_noise_floor(sample: SampleRun) -> None:
    rng = np.random.default_rng(1)
    chances = rng.beta(0.8, 0.4, size=(600, 1))
    scores = {arm: (rng.random((600, 3)) < chances).astype(float) for arm in ("f16", "q8_0")}
    flips = _row(_made(sample, scores, {"f16": 9, "q8_0": 5}), "q8_0", "gsm8k")["flips"]
    assert (flips["pairs"], flips["noise_floor_source"]) == ("different_seeds", "reference_seeds")
    assert flips["noise_floor"] == pytest.approx(2 * 0.8 * 0.4 / (1.2 * 2.2), abs=0.04)
    assert flips["above_floor_ci95"][0] < 0 < flips["above_floor_ci95"][1]
    assert flips["flipped"] == pytest.approx(flips["lost"] + flips["gained"])


def test_without_sampling_the_noise_floor_is_the_reference_in_another_layout(sample: SampleRun) -> None:
    rng = np.random.default_rng(2)
    reference = (rng.random((400, 1)) < 0.7).astype(float)
    moved = {"f16~aa": 4, "q4_k_m": 40}
    scores = {"f16": reference} | {
        arm: np.where(np.arange(400)[:, None] < n, 1 - reference, reference) for arm, n in moved.items()
    }
    made = _made(sample, scores, {"f16": 9, "f16~aa": 9, "q4_k_m": 4})
    row = _row(made, "q4_k_m", "gsm8k")
    assert (row["flips"]["noise_floor_source"], row["flips"]["noise_floor"]) == ("aa_arm", 0.01)
    assert row["flips"]["above_floor"] == pytest.approx(0.09)
    assert row["mcnemar"]["lost"] + row["mcnemar"]["gained"] == 40
    assert row["mcnemar"]["p_value"] == pytest.approx(row["p_value"])  # In one run both tests are the same.
    (choice,) = made.analysis["selections"]
    assert choice["left_out"] == ["f16~aa"]
    without = _made(sample, {name: scores[name] for name in ("f16", "q4_k_m")}, {"f16": 9, "q4_k_m": 4})
    assert _row(without, "q4_k_m", "gsm8k")["flips"]["noise_floor_reason"] == "no_aa_arm"


def test_a_larger_arm_that_is_worse_than_a_smaller_one_is_flagged(sample: SampleRun) -> None:
    rng = np.random.default_rng(3)
    reference = (rng.random((800, 1)) < 0.7).astype(float)
    lost = np.where(rng.random((800, 1)) < 0.15, 0.0, reference)
    made = _made(sample, {"f16": reference, "q8_0": lost, "q4_k_m": reference}, {"f16": 9, "q8_0": 5, "q4_k_m": 3})
    (flag,) = made.analysis["out_of_order"]
    assert (flag["larger"], flag["smaller"], flag["benchmark"]) == ("q8_0", "q4_k_m", "gsm8k")
    assert flag["ci95"][1] < 0
    assert [row["verdict"] for row in made.analysis["verdicts"]] == ["worse", "no_worse"]
    assert made.analysis["selections"][0]["smallest_no_worse"] is None  # Testing stopped at the larger arm.
    assert "out of order: q8_0 is worse than the smaller q4_k_m on gsm8k" in summary_table(
        made.comparison, made.analysis
    )


def test_an_arm_that_was_not_made_does_not_stop_the_choice(sample: SampleRun) -> None:
    reference = (np.random.default_rng(4).random((800, 1)) < 0.7).astype(float)
    run = _made(sample, {"f16": reference, "q4_k_m": reference}, {"f16": 9, "q4_k_m": 3})
    arms = [*run.comparison["arms"], run.comparison["arms"][1] | {"name": "q8_0", "size_bytes": 5, "failed": "lost"}]
    values = {"item_id": "x", "outcome": "unscored", "arm": "q8_0", "benchmark": "gsm8k", "seed": 0, "reason": "lost"}
    more = pl.DataFrame([dict.fromkeys(RECORD_SCHEMA) | values], schema=RECORD_SCHEMA)
    again = build_results(sample.run | {"arms": arms, "benchmarks": run.comparison["benchmarks"]}, more, NO_TIMINGS)
    (choice,) = again.analysis["selections"]
    assert choice["left_out"] == ["q8_0"]
    assert choice["tested"] == ["q4_k_m"]


def test_a_control_gets_a_verdict_but_is_never_chosen(sample: SampleRun) -> None:
    reference = (np.random.default_rng(8).random((800, 1)) < 0.7).astype(float)
    made = _made(sample, {"f16": reference, "q4_k_m": reference}, {"f16": 9, "q4_k_m": 3})
    arms = [arm | {"budget": {"control": True}} for arm in made.comparison["arms"]]
    rows = [
        dict.fromkeys(RECORD_SCHEMA)
        | {"arm": arm["name"], "benchmark": "gsm8k", "item_id": str(item), "seed": 0, "prompt_hash": str(item)}
        | {"outcome": "correct" if right else "wrong", "score": float(right)}
        for arm in arms
        for item, right in enumerate(reference[:, 0])
    ]
    run = sample.run | {"arms": arms, "benchmarks": made.comparison["benchmarks"]}
    again = build_results(run, pl.DataFrame(rows, schema=RECORD_SCHEMA), NO_TIMINGS)
    assert again.analysis["verdicts"][0]["verdict"] == "no_worse"
    assert again.analysis["selections"][0]["left_out"] == ["q4_k_m"]


def test_shared_sources_widen_the_interval_and_few_sources_give_a_notice(sample: SampleRun) -> None:
    rng = np.random.default_rng(5)
    source = np.repeat(np.arange(8), 30)
    reference = (rng.random((240, 1)) < 0.8).astype(float)
    lost = np.where((source[:, None] < 2) & (rng.random((240, 1)) < 0.6), 0.0, reference)
    scores, sizes = {"f16": reference, "q4_k_m": lost}, {"f16": 9, "q4_k_m": 3}
    alone = _made(sample, scores, sizes)
    together = _made(sample, scores, sizes, clusters={item: f"article {one}" for item, one in enumerate(source)})
    one, other = (_row(made, "q4_k_m", "gsm8k") for made in (alone, together))
    assert (one["n_clusters"], other["n_clusters"], other["ci_method"]) == (None, 8, "wilson_gains_losses")
    assert other["difference"] == one["difference"]
    assert other["ci95"][1] - other["ci95"][0] > 1.5 * (one["ci95"][1] - one["ci95"][0])
    assert other["p_value"] >= 2 * 0.5**2  # Only two sources changed, so there are four assignments of signs.
    assert one["p_value"] < 0.001
    assert "8 sources" in together.comparison["notices"][-1]
    (result, _) = [row for row in together.comparison["results"] if row["benchmark"] == "gsm8k"]
    assert (result["n_clusters"], result["ci_method"]) == (8, "wilson_clustered")


def test_judged_scores_need_their_own_margin(sample: SampleRun) -> None:
    rng = np.random.default_rng(7)
    reference = rng.integers(1, 6, size=(300, 3)).astype(float)
    scores = {"f16": reference, "q8_0": reference.clip(1, 4.9), "q4_k_m": (reference - 2).clip(1, 5)}
    sizes = {"f16": 9, "q8_0": 5, "q4_k_m": 3}
    without, with_margin = (
        _made(sample, scores, sizes, margins=Margins(judged=judged), scale=(1.0, 5.0)) for judged in (None, 0.2)
    )
    rows = [_row(without, arm, "gsm8k") for arm in ("q8_0", "q4_k_m")]
    assert [(row["margin"], row["flips_reason"]) for row in rows] == [(None, "not_binary")] * 2
    # A loss is certain. Without a margin, nobody has said whether it is too much.
    assert [row["verdict_grounds"] for row in rows] == [["loss_shown", "no_margin"]] * 2
    verdicts = [_row(with_margin, arm, "gsm8k")["verdict"] for arm in ("q8_0", "q4_k_m")]
    assert verdicts == ["no_worse", "worse"]


def test_the_uncertainty_of_a_mean_is_split_if_answers_are_sampled(results: Results) -> None:
    rows = {(row["arm"], row["benchmark"]): row for row in results.comparison["results"] if row["primary"]}
    shares = rows["f16", "gsm8k"]["variance_shares"]
    assert shares["items"] + shares["sampling"] == pytest.approx(1.0)
    assert rows["f16", "arc_challenge"]["variance_shares_reason"] == "no_sampling"


def test_an_analysis_older_than_verdicts_is_still_valid_and_shown(results: Results) -> None:
    new = {"p_adjusted", "adjustment", "q_value", "margin", "verdict", "verdict_grounds", "flips", "mcnemar"}
    new |= {"detectable_drop", "items_to_decide", "runs_to_decide", "ci95_bootstrap", "cohens_d_ci95", "n_clusters"}
    new |= {f"{name}_reason" for name in new}
    rows = [{key: value for key, value in row.items() if key not in new} for row in results.analysis["comparisons"]]
    kept = ("schema_version", "pipeline_id", "confidence", "permutation")
    old = {key: results.analysis[key] for key in kept} | {"comparisons": rows}
    validate("statistical_analysis", old)
    assert "Verdicts" not in summary_table(results.comparison, old)


# --- claims that the data cannot carry ------------------------------------------------------------


def _one_of(reference: np.ndarray, arm: np.ndarray, sample: SampleRun, **values: Any) -> Results:
    return _made(sample, {"f16": reference, "q4_k_m": arm}, {"f16": 9, "q4_k_m": 3}, **values)


@pytest.fixture(scope="module")
def hidden(sample: SampleRun) -> Results:
    """Return an arm without scores on 160 of 800 items that the reference gets right."""
    reference = (np.random.default_rng(11).random((800, 1)) < 0.7).astype(float)
    arm = reference.copy()
    arm[np.flatnonzero(reference[:, 0])[:160]] = np.nan
    return _one_of(reference, arm, sample)


def test_unscored_records_count_against_no_worse(hidden: Results) -> None:
    row = _row(hidden, "q4_k_m", "gsm8k")
    assert (row["verdict"], row["verdict_grounds"]) == ("undecided", ["unscored"])
    assert row["ci95"][0] > -0.01 > row["ci95_worst_case"][1]
    assert (row["ci95_worst_case"][0] + row["ci95_worst_case"][1]) / 2 == pytest.approx(-0.2, abs=2e-3)
    assert (row["n_unscored"], row["n_records"], row["items_to_decide_reason"]) == (160, 800, "unscored")
    (arm,) = hidden.analysis["verdicts"]
    assert (arm["unscored_on"], arm["n_unscored"]) == (["gsm8k"], 160)
    assert hidden.analysis["selections"][0]["smallest_no_worse"] is None


def test_a_missing_score_of_the_reference_counts_as_right(sample: SampleRun) -> None:
    reference = (np.random.default_rng(12).random((800, 1)) < 0.7).astype(float)
    arm = reference.copy()
    reference[np.flatnonzero(arm[:, 0] == 0)[:60]] = np.nan
    assert _row(_one_of(reference, arm, sample), "q4_k_m", "gsm8k")["verdict_grounds"] == ["unscored"]


def test_few_missing_seeds_of_many_leave_no_worse_standing(sample: SampleRun) -> None:
    # One of five seeds of 5 items of 2,000: .0005 at worst.
    reference = np.repeat((np.random.default_rng(13).random((2000, 1)) < 0.7).astype(float), 5, axis=1)
    arm = reference.copy()
    arm[:5, 0] = np.nan
    made = _one_of(reference, arm, sample)
    row = _row(made, "q4_k_m", "gsm8k")
    assert (row["verdict"], row["n_unscored"]) == ("no_worse", 5)
    assert row["ci95_worst_case"][0] < row["ci95"][0]
    assert made.analysis["selections"][0]["n_unscored"] == 5
    assert "(unscored records: 5 of 10,000)" in summary_table(made.comparison, made.analysis)


def test_items_that_no_arm_was_asked_hide_nothing(sample: SampleRun) -> None:
    reference = (np.random.default_rng(14).random((800, 1)) < 0.7).astype(float)
    reference[:100] = np.nan
    for reason, verdict in (("context_too_long", "no_worse"), ("block_failed", "undecided")):
        row = _row(_one_of(reference, reference, sample, reason=reason), "q4_k_m", "gsm8k")
        assert row["verdict"] == verdict


def test_a_missing_chunk_of_text_has_no_worst_score(sample: SampleRun) -> None:
    lost = (pl.col("arm") == "q8_0") & (pl.col("benchmark") == "perplexity_ja_wiki") & (pl.col("item_id") == "000003")
    fields = {"outcome": pl.lit("unscored"), "reason": pl.lit("block_failed"), "nll_sum": None, "n_tokens": None}
    records = sample.records.with_columns(
        pl.when(lost).then(value).otherwise(pl.col(name)).alias(name) for name, value in fields.items()
    )
    row = _row(build_results(sample.run, records, sample.timings), "q8_0", "perplexity_ja_wiki")
    assert (row["verdict_grounds"], row["ci95_worst_case_reason"]) == (["unscored"], "no_worst_score")
    assert row["items_to_decide_reason"] == "unscored"


@pytest.mark.parametrize(("right", "ground"), [(0.0, "floor"), (0.01, "floor"), (1.0, "ceiling")])
def test_a_benchmark_that_measures_nothing_gives_no_verdict(sample: SampleRun, right: float, ground: str) -> None:
    reference = (np.arange(2000)[:, None] < 2000 * right).astype(float)
    made = _one_of(reference, reference, sample)
    row = _row(made, "q4_k_m", "gsm8k")
    assert row["verdict"] == "undecided"
    assert row["verdict_grounds"][-1] == ground
    assert row["items_to_decide_reason"] == ground
    assert made.analysis["verdicts"][0][f"{ground}_on"] == ["gsm8k"]


def test_from_few_items_nobody_knows_whether_the_reference_is_at_the_floor(sample: SampleRun) -> None:
    reference = (np.arange(29)[:, None] < 1).astype(float)
    row = _row(_one_of(reference, reference, sample), "q4_k_m", "gsm8k")
    assert (row["verdict_grounds"], row["items_to_decide_reason"]) == (["spans_margin", "floor"], "too_few_items")


@pytest.mark.parametrize(("score", "ground"), [(1.0, "floor"), (1.02, "floor"), (5.0, "ceiling"), (4.0, None)])
def test_a_judged_benchmark_at_an_end_of_its_scale_gives_no_verdict(
    sample: SampleRun, score: float, ground: str | None
) -> None:
    stars = np.full((800, 1), score)
    found = _one_of(stars, stars, sample, margins=Margins(judged=0.1), scale=(1.0, 5.0))
    row = _row(found, "q4_k_m", "gsm8k")
    assert row["ci95"][0] > -0.1
    expected = ("no_worse", ["above_margin"]) if ground is None else ("undecided", [ground])
    assert (row["verdict"], row["verdict_grounds"]) == expected


def test_half_of_one_percent_lost_is_not_within_the_margin(sample: SampleRun) -> None:
    reference = (np.arange(2000)[:, None] < 60).astype(float)  # 3%: above the floor
    arm = (np.arange(2000)[:, None] < 52).astype(float)
    row = _row(_one_of(reference, arm, sample), "q4_k_m", "gsm8k")
    assert row["ci95"][0] > -0.01  # the margin alone would call it no worse
    assert row["kept"]["beyond"] == pytest.approx(-0.004 + 0.05 * 0.03)
    assert "spans_share" in row["verdict_grounds"]
    assert row["verdict"] == "undecided"


def test_guessing_is_not_counted_as_right(sample: SampleRun) -> None:
    reference = (np.arange(2000)[:, None] % 50 < 13).astype(float)  # 26%
    benchmarks = [sample.run["benchmarks"][0] | {"chance": 0.25}, *sample.run["benchmarks"][1:]]
    guessed = _one_of(reference, reference, sample._replace(run=sample.run | {"benchmarks": benchmarks}))
    assert "floor" in _row(guessed, "q4_k_m", "gsm8k")["verdict_grounds"]
    assert _row(_one_of(reference, reference, sample), "q4_k_m", "gsm8k")["verdict"] == "no_worse"


def test_a_loss_inside_the_margin_is_shown_but_not_called_worse(sample: SampleRun) -> None:
    reference = np.ones((12000, 1))
    reference[9000:] = 0.0
    arm = reference.copy()
    arm[:120], arm[9000:9030] = 0.0, 1.0  # 120 lost, 30 gained of 12,000: -.75 points
    made = _one_of(reference, arm, sample, margins=Margins(accuracy=0.009))
    row = _row(made, "q4_k_m", "gsm8k")
    assert (row["verdict"], row["verdict_grounds"]) == ("undecided", ["loss_shown", "spans_margin"])
    assert row["items_to_decide"] > 12000
    assert made.analysis["verdicts"][0]["loss_shown_on"] == ["gsm8k"]
    text = " ".join(summary_table(made.comparison, made.analysis).split())
    assert "a loss is shown, whether it exceeds the margin is open" in text
    assert "worse than f16" not in text.split("smallest arm")[0]
