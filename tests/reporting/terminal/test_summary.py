"""The terminal summary of the sample run."""

from __future__ import annotations

import re

import pytest

from reporting.analysis.results import build_results
from reporting.terminal.layout import WIDTH, display_width
from reporting.terminal.summary import summary_table
from tests.reporting.results_folder import with_hostile_names
from tests.reporting.sample_run import sample_run
from tests.reporting.study_run import study_results


@pytest.fixture(scope="module")
def lines() -> list[str]:
    results = build_results(*sample_run())
    return summary_table(results.comparison, results.analysis).splitlines()


def _section(lines: list[str], start: str) -> list[str]:
    first = next(number for number, line in enumerate(lines) if line.startswith(start))
    return lines[first : lines.index("", first)]


def test_the_table_of_arms_comes_first_with_size_and_bits(lines: list[str]) -> None:
    assert lines[0].split() == ["arm", "model", "MiB", "bits/weight", "reference", "tokens/s"]
    assert lines[1].split()[:4] == ["f16", "SmolLM2-135M-Instruct", "258.3", "16.11"]


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
    section = _section(lines, "gsm8k: accuracy, higher is better; 40 of 1319 items, 3 runs")
    assert section[1].split() == ["arm", "mean", "95%", "CI", "runs", "n", "diff", "95%", "CI", "d", "verdict"]
    row = next(line for line in section if line.startswith("q4_k_m"))
    assert "0.440  [0.297, 0.594]  ±0.124  39  -0.081" in row
    assert "unscored: q4_k_m 19 of 120 records (block_failed 16, context_too_long 3)" in section


def test_a_benchmark_without_sampling_says_so_and_has_no_error_bar(lines: list[str]) -> None:
    section = _section(lines, "arc_challenge")
    assert section[0].endswith("no sampling")
    assert "±" not in "".join(section)


def test_perplexity_is_shown_with_the_difference_of_its_logarithm(lines: list[str]) -> None:
    section = _section(lines, "perplexity_ja_wiki: perplexity, lower is better")
    assert "diff in ln PPL" in section[1]
    assert section[2].split()[1] == "128.00"


def test_a_measurably_worse_arm_gets_advice(lines: list[str]) -> None:
    advice = " ".join(line.strip() for line in lines[-3:])
    assert "loses more than the margin against f16 on perplexity_" in advice
    assert "try a higher --protection-level or a larger type." in advice


def test_the_summary_has_main_effects_and_every_pair_in_each_language() -> None:
    results = study_results()
    text = summary_table(results.comparison, results.analysis)
    section = text[text.index("Effects of recipe") :].split("\n\n")[0]
    lines = section.splitlines()
    assert sum(line.startswith("en1-ja4") for line in lines) == 1 + 3 * 2
    (line,) = [line for line in lines if line.startswith("en1-ja4") and " text alone " in line and "ja_wiki" in line]
    assert line.split()[1] == "en5"
    assert max(map(display_width, lines)) <= WIDTH + 10


def test_the_summary_is_at_most_110_columns_wide(lines: list[str]) -> None:
    assert max(map(display_width, lines)) <= 110


def test_japanese_takes_two_columns_a_character() -> None:
    assert display_width("量子化 q4") == 9
    assert display_width("か\u3099") == 2


def test_foreign_text_cannot_control_the_terminal() -> None:
    """Terminal codes, line ends and bidirectional overrides in names and errors are replaced."""
    results = build_results(*sample_run())
    with_hostile_names(results.comparison, results.analysis)
    text = summary_table(results.comparison, results.analysis)
    assert "<script>" in text  # it is shown unchanged
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
