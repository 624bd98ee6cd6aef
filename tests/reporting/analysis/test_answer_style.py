"""Length and style of answers: per answer, by arm and benchmark, and across models."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import polars as pl
import pytest

from reporting.analysis.answer_style import answer_styles
from reporting.analysis.results import build_results
from reporting.analysis.style_models import shifts_across_models
from reporting.analysis.style_rows import style_rows
from reporting.frames import RECORD_SCHEMA, STYLE_SCHEMA
from reporting.validate import validate
from tests.reporting.sample_run import sample_run

ENGLISH = "She adds two and three, which gives five apples in the basket."
JAPANESE = "2と3を足すと5になります。かごの中のりんごは5個です。"


def run_of(*arms: str, language: str | None = "en") -> dict[str, Any]:
    """Return a run with one benchmark; the first arm is the reference of the others."""
    described = [
        {"name": arm, "model": "m", "reference": None if arm == arms[0] else arms[0], "recipe": arm} for arm in arms
    ]
    return {"arms": described, "benchmarks": [{"name": "qa", "kind": "generate", "language": language}]}


def answers_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    common = {"benchmark": "qa", "seed": 0, "prompt_hash": "h", "outcome": "wrong", "finish_reason": "stop"}
    return pl.DataFrame([common | row for row in rows], schema_overrides=RECORD_SCHEMA)


def styles_of(text: str, **fields: Any) -> dict[str, Any]:
    row = {"arm": "f16", "item_id": "i", "text": text, "completion_tokens": 20} | fields
    records = pl.DataFrame([dict.fromkeys(RECORD_SCHEMA) | answers_of([row]).row(0, named=True)], schema=RECORD_SCHEMA)
    return answer_styles(run_of("f16"), records).row(0, named=True)


def full(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=RECORD_SCHEMA), answers_of(rows)], how="diagonal")


def noted(row: dict[str, Any]) -> set[str]:
    names = ("empty", "very_short", "cut_off", "repeating", "wrong_language", "mixed_language")
    return {name for name in names if row[name]}


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        (ENGLISH, {}, set()),
        (" \n", {}, {"empty"}),
        ("Yes.", {}, {"very_short"}),
        ("はい", {}, {"very_short", "wrong_language"}),
        ("42 km", {"completion_tokens": 3}, {"very_short"}),
        ("42 km", {"completion_tokens": None}, set()),
        ("Paris", {"completion_tokens": 203, "thought_tokens": 200}, {"very_short"}),
        (ENGLISH, {"finish_reason": "length"}, {"cut_off"}),
        (ENGLISH * 4, {}, {"repeating"}),
        (JAPANESE, {}, {"wrong_language"}),
        (f"{ENGLISH} {JAPANESE}", {}, {"mixed_language"}),
    ],
)
def test_the_style_of_an_answer(text: str, fields: dict[str, Any], expected: set[str]) -> None:
    assert (
        noted(styles_of(text, **fields)) - ({"wrong_language"} if "mixed_language" in expected else set()) == expected
    )


def test_lengths_are_without_thoughts_and_outer_spaces_and_over_all_turns() -> None:
    found = styles_of("  two\n", thoughts="long " * 90, completion_tokens=120, thought_tokens=100)
    assert (found["characters"], found["tokens"]) == (3, 20)
    assert styles_of("two", earlier_texts=["one"])["characters"] == len("one\n\ntwo")


def test_without_the_language_of_the_questions_no_answer_is_in_the_wrong_one() -> None:
    records = full([{"arm": arm, "item_id": "i", "text": JAPANESE} for arm in ("f16", "q2_k")])
    run = run_of("f16", "q2_k", language=None)
    styles = answer_styles(run, records)
    assert styles["wrong_language"].to_list() == [None, None]
    shares = {one["style"]: one for one in style_rows(run, styles)[1]["shares"]}
    assert (shares["wrong_language"]["share"], shares["wrong_language"]["share_reason"]) == (None, "no_language")
    assert shares["empty"]["share"] == 0.0


def test_records_without_a_text_and_other_kinds_are_left_out() -> None:
    sample = sample_run()
    styles = answer_styles(sample.run, sample.records)
    assert set(styles["benchmark"].unique()) == {"gsm8k"}
    assert styles.height == sample.records.filter(pl.col("text").is_not_null()).height
    assert answer_styles(sample.run, sample.records.clear()).height == 0


def _made(n_items: int, n_seeds: int = 2) -> tuple[dict[str, Any], pl.DataFrame]:
    """The quantized arm is 10 characters shorter, and every fifth item is a bare yes."""
    rows = []
    for item, seed, arm in itertools.product(range(n_items), range(n_seeds), ("f16", "q2_k")):
        bare = arm == "q2_k" and item % 5 == 0
        text = "Yes" if bare else ENGLISH + "x" * (item % 7 + 20 - 10 * (arm == "q2_k"))
        score = float(item % 2 and not bare)
        fields = {"text": text, "completion_tokens": len(text) // 4, "score": score, "seed": seed}
        rows.append({"arm": arm, "item_id": f"i{item:03d}", **fields})
    return run_of("f16", "q2_k"), full(rows)


def test_shares_and_shifts_are_over_items() -> None:
    run, records = _made(40)
    reference, arm = style_rows(run, answer_styles(run, records))
    assert reference["shifts"] == []
    assert (arm["n_answers"], arm["n_items"]) == (80, 40)
    shares = {one["style"]: one for one in arm["shares"]}
    assert shares["very_short"]["share"] == pytest.approx(0.2)
    assert shares["very_short"]["n_answers"] == 16
    # Wilson's interval of 8 in 40 items, not of 16 in 80 answers.
    assert shares["very_short"]["ci95"] == pytest.approx([0.1050, 0.3476], abs=1e-4)
    assert shares["very_short"]["difference_ci95"][0] > 0
    tokens, characters = arm["shifts"]
    assert (tokens["unit"], characters["unit"]) == ("tokens", "characters")
    bare = np.mean([len(ENGLISH) + item % 7 + 20 - 3 for item in range(0, 40, 5)])
    assert characters["difference"] == pytest.approx(-0.8 * 10 - 0.2 * bare)
    assert characters["relative"] == pytest.approx(characters["difference"] / characters["reference_mean"])
    assert characters["p_value"] < 0.001
    assert characters["cohens_d"] < 0
    low, high = characters["cohens_d_ci95"]
    assert low <= characters["cohens_d"] <= high < 0
    assert characters["against_score"]["rho"] > 0  # the items that became a bare yes lost their points


def test_an_early_stop_leaves_no_intervals() -> None:
    run, records = _made(40)
    arm = style_rows(run, answer_styles(run, records), {("q2_k", "qa")})[1]
    assert {one["ci95_reason"] for one in (*arm["shares"], *arm["shifts"], *arm["lengths"])} == {"early_stop"}
    assert arm["shifts"][0]["p_value"] is None


def test_answers_to_other_prompts_do_not_pair() -> None:
    run, records = _made(10)
    other = records.with_columns(
        prompt_hash=pl.when(pl.col("arm") == "q2_k").then(pl.lit("other")).otherwise("prompt_hash")
    )
    arm = style_rows(run, answer_styles(run, other))[1]
    assert arm["shifts"] == []
    assert arm["shares"][0]["difference_reason"] == "no_paired_items"


def test_the_results_contain_them_and_match_the_schema() -> None:
    sample = sample_run()
    sample.run["benchmarks"][0]["language"] = "en"
    results = build_results(*sample)
    validate("statistical_analysis", results.analysis)
    assert [(row["arm"], row["benchmark"]) for row in results.analysis["answer_style"]] == [
        (arm, "gsm8k") for arm in ("f16", "q8_0", "q4_k_m")
    ]
    assert results.tables["answer_style"].columns == list(STYLE_SCHEMA)
    assert results.analysis["length_across_models"] == []


def test_models_count_once_each() -> None:
    arms = [
        {"name": f"m{place}~{recipe}", "model": f"m{place}", "recipe": recipe} for place in range(6) for recipe in "ab"
    ]
    rows = [
        {
            "arm": arm["name"],
            "benchmark": "qa",
            "shifts": [
                {
                    "unit": "characters",
                    "reference_mean": 100.0 * place,
                    "relative": -0.01 * place,
                    "score_difference": -place,
                }
            ],
        }
        for place, arm in enumerate(arms, 1)
    ]
    found = shifts_across_models({"arms": arms}, rows)
    assert [(one["recipe"], len(one["points"])) for one in found] == [("a", 6), ("b", 6)]
    assert found[0]["against_length"]["rho"] == pytest.approx(-1.0)
    assert found[0]["against_score"]["rho"] == pytest.approx(1.0)
    assert shifts_across_models({"arms": arms[:4]}, rows[:4]) == []


def test_twenty_thousand_answers_take_seconds() -> None:
    """Measured on one busy CPU: 15 s, two thirds of them for languages. Here a tenth of the answers is looked at."""
    text = [f"{ENGLISH} {place} {JAPANESE if place % 3 else ENGLISH} " * 4 for place in range(2_000)]
    records = full([{"arm": "f16", "item_id": f"i{place:05d}", "text": one} for place, one in enumerate(text)])
    answer_styles(run_of("f16"), records.head(1))
    start = time.process_time()
    answer_styles(run_of("f16"), records)
    assert time.process_time() - start < 4.0
