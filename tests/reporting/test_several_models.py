"""What outputs say about several models: a box for each, facts, and charts that tell both sides apart."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import pytest

from reporting.analysis.results import Results
from reporting.charts.bars import hatching_path
from reporting.charts.models import models_chart, models_cost_chart
from reporting.documents.tables.models import model_facts_table
from reporting.result_line import result_of
from reporting.results_folder import Findings
from reporting.terminal.box import verdict_text
from reporting.terminal.layout import display_width
from reporting.terminal.summary import summary_table
from reporting.verdict_box import verdict_boxes
from reporting.wording import Words
from tests.reporting.charts.drawn import panel_of, shown_by, values
from tests.reporting.several_models_run import NINE, THREE, MadeModel, several_models_results

EN, JA = Words("en"), Words("ja")


@cache
def three() -> Results:
    return several_models_results(THREE, 40)


@cache
def nine() -> Results:
    return several_models_results(NINE, 40)


def _findings(results: Results) -> Findings:
    return Findings(results.comparison, results.analysis)


def test_each_model_has_its_own_conclusion_in_the_order_of_the_models() -> None:
    boxes = verdict_boxes(three().comparison, three().analysis, EN)
    assert [box.model for box in boxes] == ["large", "middle", "small"]
    assert (
        boxes[0].headline == "Only large~q4_k_m was evaluated, and compared with nothing: no file can be recommended."
    )
    assert boxes[1].reference == "middle~f16"
    assert [file.arm for file in boxes[1].files] == ["middle~q4_k_m"]
    assert "small~f16 だけを評価" in verdict_boxes(three().comparison, three().analysis, JA)[2].headline


def test_the_arms_of_a_model_stand_together_below_its_reference() -> None:
    shuffled = _findings(nine())
    arms = sorted(shuffled.arms, key=lambda arm: str(arm["name"].partition("~")[2]), reverse=True)
    names = [arm["name"] for arm in Findings({**shuffled.comparison, "arms": arms}, None).models_in_turn()]
    assert len(names) == 15 and names[:2] == [f"{NINE[0].name}~q4_k_m", f"{NINE[1].name}~f16"]
    assert [name.partition("~")[2] for name in names if name.startswith(NINE[8].name)] == ["f16", "q4_k_m"]
    assert [names.index(name) for name in names if name.startswith(NINE[1].name)] == [1, 2]


def test_models_with_one_side_leave_the_verdicts_of_the_others_as_they_are() -> None:
    without = three()
    rows = {row["arm"]: row["verdict"] for row in without.analysis["verdicts"]}
    assert list(rows) == ["middle~q4_k_m"]
    assert [row["reference"] for row in without.analysis["selections"]] == ["middle~f16"]
    assert {row["arm"] for row in without.analysis["comparisons"]} == {"middle~q4_k_m"}


def test_the_result_has_the_headline_of_each_model_and_the_model_of_each_arm() -> None:
    result = result_of(nine().comparison, nine().analysis, failures=(), files={})
    assert len(result["headlines"]["en"]) == len(result["headlines"]["ja"]) == 9
    assert all(arm["name"].startswith(f"{arm['model']}~") for arm in result["arms"])


def test_the_conclusions_of_nine_models_fit_a_screen() -> None:
    text = verdict_text(nine().comparison, nine().analysis)
    shown = text.splitlines()
    assert len(shown) <= 32  # a screen of 40 lines, with the paths below
    assert sum(line.startswith("── Verdict on ") for line in shown) == 9
    assert max(map(display_width, shown)) <= 80
    table = summary_table(nine().comparison, nine().analysis)
    assert max(map(display_width, table.splitlines())) <= 80


def test_facts_of_the_models_are_shown_as_their_files_state_them() -> None:
    labels = {
        "tokenizer": "gpt2 / llama-bpe",
        "vocabulary": 128_256,
        "context_length": 8192,
        "base_models": ["Base 8B"],
    }
    models = (MadeModel("full", 8.0, 0.0, 0.1, labels=labels | {"license": "mit", "languages": ["ja", "en"]}), THREE[1])
    table = model_facts_table(_findings(several_models_results(models, 8)), EN)
    assert table.rows[0] == (
        "full",
        "Base 8B",
        "8,000,000,000",
        "14.90 GiB (F16)",
        "8,192",
        "gpt2 / llama-bpe (128,256)",
        "mit",
        "ja, en",
    )
    assert table.rows[1][1] == table.rows[1][6] == "– (not in the file)"
    assert model_facts_table(_findings(three()), EN).rows == ()  # as in results of older versions


def test_the_chart_of_models_is_sorted_by_the_reference_and_marks_what_is_not_compared() -> None:
    chart = models_chart(_findings(nine()), EN)
    assert chart is not None
    panel = panel_of(chart, "ELYZA-tasks-100")
    rows = values(panel, 0)
    assert len(rows) == sum(len(model.sides) for model in NINE)
    first = [row["value"] for row in rows if row["label"]]
    assert first == sorted(first, reverse=True)
    assert {row["base"] for row in rows} == {1.0}  # the lowest score
    for row in rows:
        assert row["hatched"] == row["arm"].endswith("~q4_k_m")
    alone = {row["arm"] for row in rows if "(not compared)" in row["text"]}
    assert alone == {f"{model.name}~{side}" for model in NINE for side in model.sides if len(model.sides) == 1}
    # The reference stands above, and no two bars overlap.
    places = [(row["top"], row["bottom"], row["arm"]) for row in rows]
    assert all(upper[1] <= lower[0] for upper, lower in pairwise(places))
    both = [arm for _, _, arm in places if arm.startswith("fictional-houou")]
    assert both == ["fictional-houou-7b-v1~f16", "fictional-houou-7b-v1~q4_k_m"]


@pytest.mark.parametrize("words", [EN, JA])
def test_charts_of_models_show_every_name_in_both_languages(words: Words) -> None:
    for make in (models_chart, models_cost_chart):
        chart = make(_findings(three()), words)
        assert chart is not None
        shown = shown_by(chart)
        assert {"large", "middle", "small"} <= set(shown.splitlines())
        assert ("比較なし" in shown) == (words.ja and make is models_chart)


def test_perplexities_of_different_tokenizers_are_not_put_side_by_side() -> None:
    chart = models_chart(_findings(three()), EN)
    assert chart is not None
    assert [panel["title"]["text"].partition(" ")[0] for panel in chart["concat"]] == [
        "ELYZA-tasks-100",
        "ARC-Challenge",
    ]


def test_stages_of_a_training_keep_their_order() -> None:
    results = several_models_results(THREE, 8)
    for model, stage in zip(results.comparison["models"], ("base", "sft", "dpo"), strict=True):
        model["stage"] = stage
    chart = models_chart(_findings(results), EN)
    assert chart is not None
    labels = [row["label"] for row in values(panel_of(chart, "ELYZA"), 0) if row["label"]]
    assert labels == ["large [base]", "middle [sft]", "small [dpo]"]
    table = model_facts_table(_findings(results), EN)
    assert table.headers[1] == "Stage of training"


def test_one_model_has_no_chart_of_models() -> None:
    results = several_models_results(THREE[1:2], 8)
    assert models_chart(_findings(results), EN) is None
    assert models_cost_chart(_findings(results), EN) is None


@pytest.mark.parametrize("width", [0.0, 1.0, 7.5, 120.0])
def test_hatching_stays_inside_its_bar(width: float) -> None:
    path = hatching_path(width, 13.0)
    points = [tuple(map(float, pair)) for pair in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path)]
    assert points
    assert all(0.0 <= x <= max(width, 0.0) and -6.5 <= y <= 6.5 for x, y in points)
