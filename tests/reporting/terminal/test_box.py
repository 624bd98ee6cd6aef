"""The verdict box: the order of what it says, its size on a screen, and hostile names."""

from __future__ import annotations

import re

from reporting.analysis.results import Results, build_results
from reporting.terminal.box import _limited, verdict_text
from reporting.terminal.layout import WIDTH, display_width
from reporting.verdict_box import verdict_boxes
from reporting.wording import Words
from tests.reporting.divergence_run import divergence_results
from tests.reporting.results_folder import HOSTILE
from tests.reporting.sample_run import sample_run
from tests.reporting.study_run import study_results

ROOM = 30
"""Lines for the box on a screen of 40 lines, beside the paths and the prompt."""


def _lines(results: Results) -> list[str]:
    return verdict_text(results.comparison, results.analysis).splitlines()


def test_the_box_says_what_to_take_then_the_costs_then_what_is_open_then_what_to_try() -> None:
    results = divergence_results()
    lines = _lines(results)
    first = verdict_boxes(results.comparison, results.analysis, Words("en"))[0].files[0].costs[0]
    assert lines[1].startswith("Keep f16 (the Q4_1 source, dequantized): no other file is shown to be no worse")
    starts = [" ".join(line.split()[:4]) for line in lines]
    order = [
        "q8_0 138.1 MiB 8.61",
        f"{first.value} {first.interval}",
        "Undecided on gsm8k: q8_0",
        "q4_k_m loses more than",
    ]
    assert sorted(map(starts.index, order)) == list(map(starts.index, order))
    assert any("KLD (perplexity_wikitext2); 6,144 tokens" in line for line in lines)


def test_a_box_of_any_run_fits_the_screen() -> None:
    for results in (build_results(*sample_run()), divergence_results(), study_results()):
        lines = _lines(results)
        assert len(lines) <= ROOM
        assert max(map(display_width, lines)) <= WIDTH


def test_many_files_get_a_line_each_and_one_advice_in_common() -> None:
    text = " ".join(verdict_text(*_study()).split())
    assert "q4_k_m+none 100.6 MiB worse +3.66% [+3.42, +3.89]" in text
    assert text.count("lose more than the margin") == text.count("loses more than the margin") == 1


def _study() -> tuple[dict[str, object], dict[str, object]]:
    results = study_results()
    return results.comparison, results.analysis


def test_an_arm_that_is_no_worse_gets_no_advice() -> None:
    """Also if its loss on a text is measurable. The last lines must not contradict the verdict."""
    results = build_results(*sample_run())
    row = results.analysis["verdicts"][1]
    row |= {"verdict": "no_worse", "worse_on": [], "undecided_on": [], "measurably_worse_on": ["perplexity_ja_wiki"]}
    assert "--protection-level" not in verdict_text(results.comparison, results.analysis)


def test_without_a_reference_the_box_says_that_nothing_was_compared() -> None:
    results = build_results(*sample_run())
    results.analysis.update({"selections": [], "verdicts": []})
    assert _lines(results)[1].startswith("Nothing was compared, because no arm has a reference")


def test_a_file_without_a_size_says_so_and_one_sentence_more_is_one_file() -> None:
    found = build_results(*sample_run())
    arms = [arm | {"size_bytes": None, "bits_per_weight": None} for arm in found.comparison["arms"]]
    text = verdict_text(found.comparison | {"arms": arms}, found.analysis)
    assert "q8_0    unknown size" in text
    assert "– bits/weight" not in text
    assert _limited(["a" * 900, "b"], "files")[-1] == "The report says the same of 1 more file."


def test_results_without_verdicts_have_no_box() -> None:
    results = build_results(*sample_run())
    del results.analysis["verdicts"]
    assert verdict_text(results.comparison, results.analysis) == ""


def test_a_hostile_name_cannot_control_the_terminal() -> None:
    results = build_results(*sample_run())
    for row in [*results.comparison["arms"], *results.analysis["verdicts"], *results.analysis["comparisons"]]:
        for field in ("name", "arm"):
            row |= {field: HOSTILE} if row.get(field) == "q4_k_m" else {}
    text = verdict_text(results.comparison, results.analysis)
    assert "<script>" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
