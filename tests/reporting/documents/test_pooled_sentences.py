"""The claim on average in words: both languages, both claims, the terminal, and what each does not say."""

from __future__ import annotations

import numpy as np
import pytest

from reporting.analysis.results import Results
from reporting.documents.sentences.pooled import pooled_notes
from reporting.documents.tables.verdicts import undecided_table, verdicts_table
from reporting.results_folder import Findings
from reporting.terminal.layout import WIDTH, display_width
from reporting.terminal.summary import summary_table
from reporting.wording import Lang, Words
from tests.reporting.pooled_run import NOTHING_LOST, flipped, pooled_results
from tests.reporting.sample_run import SampleRun, sample_run


@pytest.fixture(scope="module")
def sample() -> SampleRun:
    return sample_run()


@pytest.fixture(scope="module")
def shown(sample: SampleRun) -> Results:
    return pooled_results(sample, NOTHING_LOST)


def _sentences(found: Results, lang: Lang = "en") -> list[str]:
    return pooled_notes(Findings(found.comparison, found.analysis), Words(lang))


def _open(found: Results) -> list[tuple[str, ...]]:
    table = undecided_table(Findings(found.comparison, found.analysis), Words("en"))
    return [row for row in table.rows if row[0] == "on average"]


def test_the_claim_is_said_with_what_it_does_not_say(shown: Results) -> None:
    assert _sentences(shown) == [
        '"On average" is the claim over gsm8k, math, arc_challenge (margin 1.0 pp). It says nothing about a single'
        " benchmark.",
        "The smallest arm shown to be no worse than f16 on average (single benchmarks may be worse): q8_0.",
    ]
    assert _open(shown) == []


def test_the_claim_in_japanese(shown: Results) -> None:
    claim, smallest = _sentences(shown, "ja")
    assert claim.startswith("「平均では」は gsm8k、math、arc_challenge の平均についての判定である(許容幅 1.0 pp)。")
    assert "個々のベンチマークについては何も言えない。" in claim
    assert (
        smallest == "f16 に対して平均で「許容内」と判定された最小のアーム(個々のベンチマークは劣る可能性がある): q8_0。"
    )


def test_an_open_claim_says_why(sample: SampleRun) -> None:
    scores = {name: dict(values) for name, values in NOTHING_LOST.items()}
    scores["gsm8k"]["q8_0"] = np.where(np.arange(1319) < 160, np.nan, scores["gsm8k"]["q8_0"])
    (row,) = _open(pooled_results(sample, scores))
    assert row[1] == "q8_0"
    assert row[2].endswith("(160 unscored)")
    assert (row[3], row[4]) == ("1.0 pp", "unscored")


def test_a_missing_benchmark_is_named_as_the_reason(sample: SampleRun) -> None:
    scores = {name: dict(values) for name, values in NOTHING_LOST.items()}
    scores["math"]["q8_0"] = np.full(500, np.nan)
    found = pooled_results(sample, scores)
    assert (
        "Over gsm8k, math, arc_challenge no claim on average is made for q8_0 (a benchmark gave no result)."
        in _sentences(found)
    )
    assert "no claim (benchmark missing)" in summary_table(found.comparison, found.analysis)


def test_weights_and_tiers_are_said_where_they_are_not_the_usual_ones(sample: SampleRun) -> None:
    tiers = {"each": ["perplexity_wikitext2"], "pooled": {"gsm8k": 3, "math": 1}, "inform": ["arc_challenge"]}
    informs, needed, claim, _ = _sentences(pooled_results(sample, NOTHING_LOST, tiers=tiers))
    assert informs == "No verdict depends on arc_challenge: shown for information."
    assert needed.startswith("gsm8k, math need not hold by themselves")
    assert claim.startswith('"On average" is the claim over gsm8k (75%), math (25%)')


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
