"""The verdict box says which file to take only where the analysis chose one, and what each file costs."""

from __future__ import annotations

import math

import pytest

from reporting.analysis.results import Results, build_results
from reporting.verdict_box import VerdictBox, verdict_boxes
from reporting.wording import Words
from tests.reporting.pooled_run import flipped, pooled_results
from tests.reporting.sample_run import sample_run
from tests.reporting.study_run import study_results

EN, JA = Words("en"), Words("ja")


def _box(results: Results, words: Words = EN) -> VerdictBox:
    (box,) = verdict_boxes(results.comparison, results.analysis, words)
    return box


@pytest.fixture(scope="module")
def sample() -> Results:
    return build_results(*sample_run())


def test_no_file_is_recommended_if_none_is_shown_to_be_no_worse(sample: Results) -> None:
    assert _box(sample).headline == (
        "Keep f16 (the Q4_1 source, dequantized): no other file is shown to be no worse (1 of 2 is undecided)."
    )
    assert _box(sample, JA).headline.startswith("f16(Q4_1 のファイルを逆量子化したもの)をそのまま使うのがよい。")


def test_the_chosen_file_comes_first_with_its_size_and_what_the_claim_covers() -> None:
    scores = {"a": flipped(4000, 10, 10), "b": flipped(4000, 10, 12)}
    results = pooled_results(sample_run(), scores, sizes={"f16": 2**30, "q8_0": 2**29})
    (selection,) = results.analysis["selections"]
    assert selection["smallest_no_worse"] == "q8_0"
    assert _box(results).headline == (
        "Take q8_0 (0.50 GiB): it is no worse than f16 (the Q4_1 source, dequantized) on every benchmark."
    )
    assert "q8_0(0.50 GiB)を推奨する。" in _box(results, JA).headline


def test_a_claim_on_average_is_no_claim_on_every_benchmark() -> None:
    # 2,000 items leave each benchmark undecided at a margin of one point; both together decide.
    scores = {"a": flipped(2000, 60, 60), "b": flipped(2000, 60, 60)}
    results = pooled_results(sample_run(), scores)
    (selection,) = results.analysis["selections"]
    assert selection["smallest_no_worse"] is None
    assert selection["on_average"]["smallest_no_worse"] == "q8_0"
    assert "On average, q8_0" in _box(results).headline
    assert "it may be worse on single benchmarks" in _box(results).headline


def test_files_that_are_all_worse_are_counted_as_such() -> None:
    box = _box(study_results())
    assert {file.verdict for file in box.files} == {"worse"}
    assert box.headline.endswith("no other file is shown to be no worse (all are worse).")
    assert box.undecided == ()


def test_costs_are_those_of_the_analysis_with_n_and_unscored_records(sample: Results) -> None:
    file = _box(sample).files[1]
    assert (file.arm, file.size, file.verdict_word) == ("q4_k_m", "100.6 MiB", "worse")
    claim = next(row for row in sample.analysis["pooled"] if row["arm"] == "q4_k_m")
    average, wikitext = file.costs[0], file.costs[1]
    assert average.what == "accuracy on average over gsm8k, arc_challenge"
    assert average.value == f"−{abs(100 * claim['difference']):.1f} pp"
    assert average.n == "79 items, 22 unscored"
    row = next(
        row
        for row in sample.analysis["comparisons"]
        if (row["arm"], row["benchmark"]) == ("q4_k_m", "perplexity_wikitext2")
    )
    # A difference of 0.0281 in ln PPL is a perplexity that is 2.85% higher.
    assert wikitext.value == f"+{100 * (math.exp(row['difference']) - 1):.2f}%"
    assert wikitext.what == "perplexity_wikitext2 (perplexity)"
    # The items of a text are chunks, not questions.
    assert wikitext.n == "24 chunks"
    assert _box(sample, JA).files[1].costs[1].n == "24 チャンク"
    assert _box(sample, JA).files[1].costs[0].n.startswith("79 問")


def test_files_stand_from_the_largest_to_the_smallest(sample: Results) -> None:
    assert [file.arm for file in _box(sample).files] == ["q8_0", "q4_k_m"]


def test_what_would_decide_is_told_for_undecided_files_only(sample: Results) -> None:
    sentences = _box(sample).undecided
    # q4_k_m is worse on the texts: no number of items for GSM8K would change its verdict.
    assert all("q4_k_m" not in sentence for sentence in sentences)
    row = next(row for row in sample.analysis["comparisons"] if (row["arm"], row["benchmark"]) == ("q8_0", "gsm8k"))
    low, high = row["items_to_decide_range"]
    assert f"q8_0 ({low:,} items in all decide it with even chances, {high:,} with 80%" in sentences[0]
    assert sentences[0].startswith("Undecided on gsm8k: ")


def test_nothing_compared_recommends_nothing() -> None:
    sample = sample_run()
    for arm in sample.run["arms"]:
        arm["reference"] = None
    box = _box(build_results(*sample))
    assert box.headline == "Nothing was compared, because no arm has a reference: no file can be recommended."
    assert box.files == ()


def test_results_without_an_analysis_have_no_box(sample: Results) -> None:
    assert verdict_boxes(sample.comparison, None, EN) == ()
