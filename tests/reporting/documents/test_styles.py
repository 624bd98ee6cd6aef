"""Tables and sentences about the length and style of answers."""

from __future__ import annotations

import copy
import dataclasses

import pytest

from reporting.documents.sentences.styles import style_sentences
from reporting.documents.tables.lengths import across_models_table, lengths_table, styles_table
from reporting.results_folder import Findings, read_findings
from reporting.wording import Words
from tests.reporting.results_folder import write_results

EN, JA = Words("en"), Words("ja")


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return read_findings(write_results(tmp_path_factory.mktemp("run")))


def changed(findings: Findings, **fields: object) -> Findings:
    """Return the findings with other values in the rows about style of all compared arms."""
    rows = copy.deepcopy(findings.answer_style)
    for row in rows:
        for part in (*row["shares"], *row["shifts"]):
            part.update({name: value for name, value in fields.items() if name in part})
    return dataclasses.replace(findings, analysis={**(findings.analysis or {}), "answer_style": rows})


def test_sentences_say_what_the_intervals_show_and_no_more(findings: Findings) -> None:
    assert style_sentences(findings, EN) == [
        "q4_k_m, gsm8k: answers 39% shorter on average (−42.3 tokens [−68.1, −16.5]); 3.0% cut off (reference 11.1%);"
        " 3.0% wrong language (reference 11.1%)."
    ]
    assert style_sentences(findings, JA) == [
        "q4_k_m(gsm8k): 回答が平均で 39% 短い(−42.3 トークン [−68.1, −16.5])、打ち切り 3.0%(基準 11.1%)、"
        "別の言語 3.0%(基準 11.1%)。"
    ]


@pytest.mark.parametrize("bounds", [[-1.0, 1.0], None])
def test_without_a_shown_change_one_sentence_says_so(findings: Findings, bounds: object) -> None:
    same = changed(findings, ci95=bounds, ci95_reason="early_stop", difference_ci95=bounds)
    assert style_sentences(same, EN) == [
        "No arm shows a change in the length or the style of its answers against its reference."
    ]


def test_nothing_is_said_where_nothing_was_compared(findings: Findings) -> None:
    assert style_sentences(dataclasses.replace(findings, analysis=None), EN) == []
    assert not lengths_table(dataclasses.replace(findings, analysis=None), EN).rows


def test_the_tables_have_a_row_per_arm_and_name_reasons(findings: Findings) -> None:
    reference, _, arm = lengths_table(findings, EN).rows
    assert reference[:4] == ("gsm8k", "f16", "117", "107.4")
    assert reference[6:] == ("–", "–", "–", "–")
    assert arm[6] == "−42.3 (−39%)\n[−68.1, −16.5]\np = 0.001"
    assert styles_table(findings, EN).rows[2][5] == "3.0%†\n[0.6, 13.8]"
    stopped = changed(findings, ci95=None, ci95_reason="early_stop", p_value=None)
    assert lengths_table(stopped, EN).rows[2][6] == "−42.3 (−39%)\n(not shown because of early stop)"
    unknown = changed(findings, share=None, share_reason="no_language")
    assert "not known" in styles_table(unknown, EN).rows[0][3]


def test_models_are_compared_if_the_results_have_them(findings: Findings) -> None:
    rho = {"rho": 0.5, "rho_reason": None, "ci95": [-0.2, 0.9], "ci95_reason": None}
    points = [{"arm": f"m{n}~q2_k", "model": f"m{n}", "relative": -0.1 * n} for n in range(3)]
    entry = {"benchmark": "gsm8k", "recipe": "q2_k", "unit": "characters", "points": points}
    entry |= {"against_length": rho, "against_score": rho | {"rho": None, "rho_reason": "too_few_items"}}
    several = dataclasses.replace(findings, analysis={**(findings.analysis or {}), "length_across_models": [entry]})
    assert not across_models_table(findings, EN).rows
    assert across_models_table(several, EN).rows == (
        ("gsm8k", "q2_k", "3", "−10.0%", "+0.50\n[−0.20, +0.90]", "–\n(too few items)"),
    )
