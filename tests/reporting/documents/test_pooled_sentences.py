"""The claim on average in words: both languages, both claims, the terminal, and what each does not say."""

from __future__ import annotations

import numpy as np
import pytest

from reporting.analysis.results import Results
from reporting.documents.sentences.pooled import pooled_sentences
from reporting.documents.sentences.verdicts import verdict_sentences
from reporting.documents.tables.verdicts import verdicts_table
from reporting.results_folder import Findings
from reporting.terminal.layout import WIDTH, display_width
from reporting.terminal.summary import summary_table
from reporting.wording import Words
from tests.reporting.pooled_run import NOTHING_LOST, flipped, pooled_results
from tests.reporting.sample_run import SampleRun, sample_run


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


@pytest.fixture(scope="module")
def shown(sample: SampleRun) -> Results:
    return pooled_results(sample, NOTHING_LOST)


def _sentences(found: Results, lang: str = "en") -> list[str]:
    return pooled_sentences(Findings(found.comparison, found.analysis), Words(lang))  # type: ignore[arg-type]


def test_both_claims_are_said_each_with_what_it_does_not_say(shown: Results) -> None:
    claim, smallest = _sentences(shown)
    assert claim == (
        "On average over gsm8k, math, arc_challenge, q8_0 against f16: no worse (0.0 pp [−0.6, +0.6], margin 1.0 pp)."
        " This says nothing about a single benchmark: undecided: math; no worse: gsm8k, arc_challenge."
    )
    assert (
        smallest == "The smallest arm shown to be no worse than f16 on average (single benchmarks may be worse): q8_0."
    )
    each = verdict_sentences(Findings(shown.comparison, shown.analysis), Words("en"))
    assert each[0].startswith("q8_0 against f16: undecided (undecided: math; no worse: gsm8k, arc_challenge")


def test_the_claim_in_japanese(shown: Results) -> None:
    claim, smallest = _sentences(shown, "ja")
    assert claim.startswith(
        "gsm8k、math、arc_challenge の平均では、q8_0 は「許容内」である(基準: f16、差 0.0 pp [−0.6, +0.6]"
    )
    assert "個々のベンチマークについては何も言えない(判定保留: math; 許容内: gsm8k、arc_challenge)。" in claim
    assert (
        smallest == "f16 に対して平均で「許容内」と判定された最小のアーム(個々のベンチマークは劣る可能性がある): q8_0。"
    )


def test_an_open_claim_says_why(sample: SampleRun) -> None:
    scores = {name: dict(values) for name, values in NOTHING_LOST.items()}
    scores["gsm8k"]["q8_0"] = np.where(np.arange(1319) < 160, np.nan, scores["gsm8k"]["q8_0"])
    text = _sentences(pooled_results(sample, scores))[0]
    assert "undecided (" in text
    assert "margin 1.0 pp; unscored)" in text
    assert "Unscored records: 160 of 2,991 of the arm, 0 of the reference." in text


def test_a_missing_benchmark_is_named_as_the_reason(sample: SampleRun) -> None:
    scores = {name: dict(values) for name, values in NOTHING_LOST.items()}
    scores["math"]["q8_0"] = np.full(500, np.nan)
    found = pooled_results(sample, scores)
    assert _sentences(found)[0] == (
        "Over gsm8k, math, arc_challenge no claim on average is made for q8_0 (a benchmark gave no result)."
    )
    assert "no claim (benchmark missing)" in summary_table(found.comparison, found.analysis)


def test_weights_and_tiers_are_said_where_they_are_not_the_usual_ones(sample: SampleRun) -> None:
    tiers = {"each": ["perplexity_wikitext2"], "pooled": {"gsm8k": 3, "math": 1}, "inform": ["arc_challenge"]}
    informs, needed, claim, _ = _sentences(pooled_results(sample, NOTHING_LOST, tiers=tiers))
    assert informs == "No verdict depends on arc_challenge: shown for information."
    assert needed.startswith("gsm8k, math need not hold by themselves")
    assert claim.startswith("On average over gsm8k (75%), math (25%), q8_0")


def test_the_terminal_shows_the_claim_below_the_verdicts(shown: Results) -> None:
    text = summary_table(shown.comparison, shown.analysis)
    lines = text.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("On average over"))
    assert first > next(place for place, line in enumerate(lines) if line.startswith("Verdicts"))
    assert "It says nothing about a single benchmark." in " ".join(" ".join(lines[first : first + 2]).split())
    (row,) = [line for line in lines[first + 1 :] if line.startswith("q8_0")]
    assert row.split()[:4] == ["q8_0", "no", "worse", "+0.0"]
    assert "smallest arm that is no worse than f16 on average: q8_0" in text
    assert all(display_width(line) <= WIDTH for line in lines)


def test_the_table_of_verdicts_has_a_column_for_the_mean(shown: Results) -> None:
    table = verdicts_table(Findings(shown.comparison, shown.analysis), Words("en"))
    assert table.headers[-1] == "On average"
    assert table.rows[0][-1].split("\n") == ["no worse", "0.0 pp", "[−0.6, +0.6]"]


def test_without_a_pool_nothing_is_said(sample: SampleRun) -> None:
    found = pooled_results(sample, {"gsm8k": flipped(400, 5, 5)})
    assert _sentences(found) == []
    assert "On average" not in summary_table(found.comparison, found.analysis)
