"""The summary table of the sample run, read as a person reads it."""

from __future__ import annotations

import re

import pytest

from reporting.analysis.results import build_results
from reporting.terminal.summary import display_width, summary_table
from tests.reporting.results_folder import named_by_an_enemy
from tests.reporting.sample_run import sample_run


@pytest.fixture(scope="module")
def lines() -> list[str]:
    findings = build_results(*sample_run())
    return summary_table(findings.comparison, findings.analysis).splitlines()


def _section(lines: list[str], start: str) -> list[str]:
    first = next(number for number, line in enumerate(lines) if line.startswith(start))
    return lines[first : lines.index("", first)]


def test_the_arms_come_first_with_size_and_bits(lines: list[str]) -> None:
    assert lines[0].split() == ["arm", "model", "MiB", "bits/weight", "reference", "tokens/s"]
    assert lines[1].split()[:4] == ["f16", "SmolLM2-135M-Instruct", "258.3", "16.11"]


def test_what_a_budget_did_is_told_below_the_arms() -> None:
    sample = sample_run()
    spent = {"added_bpw": 0.4987, "predicted_error": 2.7e-5, "predicted_error_base": 9.1e-4, "control": False}
    sample.run["arms"][-1] |= {"method": "q4_k_m", "budget": spent}
    results = build_results(sample.run, sample.records, sample.timings)
    said = "q4_k_m: +0.499 bits/weight over plain q4_k_m, predicted error 2.7e-05 (plain: 0.00091)"
    assert said in " ".join(summary_table(results.comparison, results.analysis).split())


def test_the_quantized_source_is_told(lines: list[str]) -> None:
    assert any("was given as Q4_1" in line for line in lines)


def test_a_sampled_benchmark_shows_intervals_differences_and_what_is_unscored(lines: list[str]) -> None:
    section = _section(lines, "gsm8k: accuracy, higher is better; 40 of 1319 items, 3 runs")
    assert section[1].split() == ["arm", "mean", "95%", "CI", "runs", "n", "diff", "95%", "CI", "d", "verdict"]
    row = next(line for line in section if line.startswith("q4_k_m"))
    assert "0.440  [0.297, 0.594]  ±0.124  39  -0.081" in row
    assert "unscored: q4_k_m 19 of 120 records (block_failed 16, context_too_long 3)" in section


def test_what_is_not_sampled_says_so_and_shows_no_bar(lines: list[str]) -> None:
    section = _section(lines, "arc_challenge")
    assert section[0].endswith("no sampling")
    assert "±" not in "".join(section)


def test_perplexity_is_shown_with_the_difference_of_its_logarithm(lines: list[str]) -> None:
    section = _section(lines, "perplexity_ja_wiki: perplexity, lower is better")
    assert "diff in ln PPL" in section[1]
    assert section[2].split()[1] == "128.00"


def test_a_bad_result_names_the_way_out(lines: list[str]) -> None:
    advice = " ".join(line.strip() for line in lines[-3:])
    assert "is measurably worse than f16 on perplexity_" in advice
    assert "try a higher --protection-level or a larger type." in advice


def test_the_table_fits(lines: list[str]) -> None:
    assert max(map(display_width, lines)) <= 110


def test_japanese_takes_two_columns_a_character() -> None:
    assert display_width("量子化 q4") == 9
    assert display_width("か\u3099") == 2


def test_no_foreign_text_drives_the_terminal() -> None:
    """Names and errors with terminal codes, line ends and bidirectional overrides stay within their lines."""
    results = build_results(*sample_run())
    named_by_an_enemy(results.comparison, results.analysis)
    text = summary_table(results.comparison, results.analysis)
    assert "<script>" in text  # it is shown, as it is
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
