"""Descriptions of MLflow runs: the verdict box first, inert, and never longer than MLflow allows."""

from __future__ import annotations

from actors.tracking.description import LONGEST_DESCRIPTION, describe_arm, describe_pipeline
from reporting.verdict_box import Cost, FileCost, VerdictBox
from reporting.wording import Words
from tests.reporting.results_folder import HOSTILE

COST = Cost("accuracy on average over gsm8k, math", "−1.3 pp", "[−3.3, +0.6]", "1,319 items")
FILE = FileCost(
    "q4_k_m", "4.57 GiB", "4.89", "undecided", "undecided", (COST, Cost("KLD (wiki)", "0.02", "", "9 tokens"))
)
BOX = VerdictBox("m", "f16", "Keep f16.", (FILE,), ("Undecided on math: q4_k_m (771 items decide it)",))


def test_a_description_says_what_to_take_what_it_costs_and_what_is_undecided() -> None:
    assert describe_pipeline([(Words("en"), [BOX])]).splitlines() == [
        "**Keep f16.**",
        "",
        "| Arm | Size | Bits/weight | Verdict | Cost against the reference (95% CI) |",
        "| --- | ---: | ---: | --- | --- |",
        "| q4_k_m | 4.57 GiB | 4.89 | undecided | accuracy on average over gsm8k, math: −1.3 pp [−3.3, +0.6]"
        " (1,319 items)<br>KLD (wiki): 0.02 (9 tokens) |",
        "",
        "- Undecided on math: q4_k_m (771 items decide it)",
    ]


def test_two_languages_stand_one_below_the_other() -> None:
    english, japanese = describe_pipeline([(Words("en"), [BOX]), (Words("ja"), [BOX])]).split("\n\n---\n\n")
    assert "| Arm |" in english and "| アーム |" in japanese


def test_a_long_description_keeps_the_headline() -> None:
    many = VerdictBox("m", "f16", "Keep f16.", (FILE,) * 100, ("undecided",) * 100)
    assert describe_pipeline([(Words("en"), [many])]) == "**Keep f16.**"
    endless = VerdictBox("m", "f16", "Keep " * 5000, (), ())
    assert len(describe_pipeline([(Words("en"), [endless])])) == LONGEST_DESCRIPTION


def test_foreign_text_is_inert() -> None:
    file = FileCost(HOSTILE, HOSTILE, HOSTILE, "worse", HOSTILE, (Cost(HOSTILE, HOSTILE, HOSTILE, HOSTILE),))
    box = VerdictBox(HOSTILE, HOSTILE, HOSTILE, (file,), (HOSTILE,))
    for text in (describe_pipeline([(Words("en"), [box])]), describe_arm([(Words("en"), file)])):
        assert "<script" not in text and "](http" not in text and "\x1b" not in text and "\n# heading" not in text
