"""The terminal summary of the sample run."""

from __future__ import annotations

import re

import pytest

from reporting.analysis.results import Results, build_results
from reporting.terminal.layout import WIDTH, display_width
from reporting.terminal.summary import summary_table
from tests.reporting.pooled_run import NOTHING_LOST, pooled_results
from tests.reporting.results_folder import with_hostile_names
from tests.reporting.sample_run import sample_run
from tests.reporting.study_run import study_results


@pytest.fixture(scope="module")
def lines() -> list[str]:
    results = build_results(*sample_run())
    return summary_table(results.comparison, results.analysis).splitlines()


def _widest(results: Results) -> int:
    return max(map(display_width, summary_table(results.comparison, results.analysis).splitlines()))


def _many() -> Results:
    """Return results of eight arms on six benchmarks, all with long Japanese names."""
    results = build_results(*sample_run())
    comparison, analysis = results.comparison, results.analysis
    arms = [f"日本語の非常に長い名前のモデル~q{number}" for number in range(8)]
    benchmarks = {f"日本語のベンチマーク_{number}": comparison["benchmarks"][number % 4] for number in range(6)}
    given, plain = comparison["arms"][0], comparison["arms"][2]
    comparison["arms"] = [given | {"name": arms[0]}, *(plain | {"name": arm, "reference": arms[0]} for arm in arms[1:])]
    comparison["benchmarks"] = [one | {"name": name} for name, one in benchmarks.items()]
    for rows, wanted in ((comparison["results"], arms), (analysis["comparisons"], arms[1:])):
        rows[:] = [
            row | {"arm": arm, "reference": arms[0], "benchmark": name}
            for name, one in benchmarks.items()
            for arm in wanted
            for row in rows
            if (row["arm"], row["benchmark"]) == ("q4_k_m", one["name"])
        ]
    names = list(benchmarks)
    on = {"worse_on": names[2:4], "undecided_on": names[:2], "no_worse_on": names[4:]}
    analysis["verdicts"] = [analysis["verdicts"][1] | on | {"arm": arm, "reference": arms[0]} for arm in arms[1:]]
    analysis["pooled"] = [analysis["pooled"][1] | {"arm": arm} for arm in arms[1:]]
    choice = {
        "reference": arms[0],
        "reference_dequantized_from": None,
        "smallest_no_worse": None,
        "stopped_at": arms[1],
    }
    analysis["selections"] = [analysis["selections"][0] | choice | {"on_average": None}]
    return results


def _section(lines: list[str], start: str) -> list[str]:
    first = next(number for number, line in enumerate(lines) if line.startswith(start))
    return lines[first : lines.index("", first)]


def test_the_table_of_arms_comes_first_with_size_and_bits(lines: list[str]) -> None:
    assert lines[0] == "SmolLM2-135M-Instruct (reference: f16)"
    assert lines[1].split() == ["arm", "MiB", "bits/weight", "tokens/s"]
    assert lines[2].split()[:3] == ["f16", "258.3", "16.11"]


def test_what_a_budget_did_is_shown_below_the_arms() -> None:
    sample = sample_run()
    spent = {"added_bpw": 0.4987, "predicted_error": 2.7e-5, "predicted_error_base": 9.1e-4, "control": False}
    sample.run["arms"][-1] |= {"method": "q4_k_m", "budget": spent}
    results = build_results(sample.run, sample.records, sample.timings)
    line = "q4_k_m: +0.499 bits/weight over plain q4_k_m, predicted error 2.7e-05 (plain: 0.00091)"
    assert line in " ".join(summary_table(results.comparison, results.analysis).split())


def test_a_quantized_source_is_mentioned(lines: list[str]) -> None:
    assert any("was given as Q4_1" in line for line in lines)


def test_a_sampled_benchmark_shows_intervals_differences_and_unscored_records(lines: list[str]) -> None:
    section = _section(lines, "gsm8k: accuracy, higher is better; 40 of 1,319 items, 3 runs")
    assert section[1].split() == ["arm", "mean", "95%", "CI", "runs", "n"]
    assert section[5].split() == ["arm", "diff", "in", "pp", "95%", "CI", "d", "verdict"]
    mean, difference = [line for line in section if line.startswith("q4_k_m")]
    assert mean.split(maxsplit=1)[1] == "0.440  [0.297, 0.594]  ±0.124  39"
    assert difference.split(maxsplit=1)[1] == "-8.1  [-19.9, +3.7]  -0.23  undecided"
    assert "smallest detectable loss: 14.5 to 16.8 pp" in section
    assert "unscored: q4_k_m 19 of 120 records (block_failed 16, context_too_long 3)" in section


def test_a_benchmark_without_sampling_says_so_and_has_no_error_bar(lines: list[str]) -> None:
    section = _section(lines, "arc_challenge")
    assert section[0].endswith("no sampling")
    assert "±" not in "".join(section)


def test_perplexity_is_shown_with_the_difference_of_its_logarithm(lines: list[str]) -> None:
    section = _section(lines, "perplexity_ja_wiki: perplexity, lower is better")
    assert section[2].split()[1] == "128.00"
    assert "diff in ln PPL" in section[5]


def test_the_summary_has_main_effects_and_every_pair_in_each_language() -> None:
    results = study_results()
    text = summary_table(results.comparison, results.analysis)
    section = text[text.index("Effects of recipe") :].split("\n\n")[0]
    lines = section.splitlines()
    assert sum(line.startswith("  en1-ja4") for line in lines) == 1 + 3 * 2
    heading = lines.index("Text alone on ja_wiki:")
    assert lines[heading + 2].split()[:2] == ["en1-ja4", "en5"]


def test_a_run_with_nothing_but_a_reference_and_its_noise_floor_has_a_summary() -> None:
    found = build_results(*sample_run())
    only = [row | {"arm": f"{row['reference']}~aa"} for row in found.analysis["verdicts"][:1]]
    text = summary_table(found.comparison, found.analysis | {"verdicts": only})
    assert "no arm was compared with a reference" in text
    assert "smallest arm that is no worse than f16 (" not in text


def test_no_line_is_wider_than_80_columns() -> None:
    sample = sample_run()
    for results in (build_results(*sample), study_results(), pooled_results(sample, NOTHING_LOST)):
        assert _widest(results) <= WIDTH == 80


def test_long_and_japanese_names_of_many_arms_and_benchmarks_fit() -> None:
    """Eight arms on six benchmarks. The ends of names differ, so they lose their middle."""
    results = _many()
    text = summary_table(results.comparison, results.analysis)
    assert _widest(results) <= WIDTH
    assert text.count("日本語の非常に") > 50
    assert {f"q{number}" for number in range(8)} <= {line.split()[0][-2:] for line in text.splitlines() if line}


def test_foreign_text_cannot_control_the_terminal() -> None:
    """Terminal codes, line ends and bidirectional overrides in names and errors are replaced."""
    results = build_results(*sample_run())
    with_hostile_names(results.comparison, results.analysis)
    text = summary_table(results.comparison, results.analysis)
    assert "<script>" in text  # it is shown unchanged
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
