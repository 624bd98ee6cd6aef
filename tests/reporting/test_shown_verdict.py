"""The verdict that readers see: what only informs has no verdict, in any output."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from actors.tracking.outcome import Outcome
from reporting.analysis.looks import History, Look
from reporting.analysis.results import Results, build_results
from reporting.charts.difference import difference_chart
from reporting.charts.efficiency import efficiency_chart
from reporting.charts.heatmap import heatmap_chart
from reporting.charts.performance import performance_chart
from reporting.charts.points import panels
from reporting.deciding import what_decides
from reporting.documents.card.recommendation import recommendation
from reporting.documents.figures import figures_of
from reporting.documents.phrases import token_step
from reporting.documents.sentences.looks import look_sentences, look_summary
from reporting.documents.tables.judging import corrected_table, judged_arms_table
from reporting.documents.tables.lengths import lengths_table
from reporting.documents.tables.verdicts import undecided_table, verdicts_table
from reporting.documents.view import make_view
from reporting.result_line import result_of
from reporting.results_folder import Findings
from reporting.shown_verdict import shown_verdict, shown_verdict_of_arm, shown_word
from reporting.terminal.layout import display_width
from reporting.terminal.summary import summary_table
from reporting.verdict_box import verdict_boxes
from reporting.wording import Lang, Words
from tests.reporting.judged_run import N_ITEMS, NAME, SEEDS, judged_run

WORD = {"ja": "参考(許容幅なし)", "en": "informs only, no margin"}


def _results(*, alone: bool = False, n_before: int = 0) -> Results:
    """Return the results of a judged benchmark without a margin, perhaps alone or after a look at fewer items."""
    run, judgements, people = judged_run()
    *others, judged = run.run["benchmarks"]
    judged = judged | {"rubrics": ["elyza_2023"]}
    run = run._replace(run={**run.run, "benchmarks": [judged] if alone else [*others, judged]})
    records = run.records.filter(run.records["benchmark"] == NAME) if alone else run.records
    histories = {("q8_0", NAME): _history(n_before)} if n_before else None
    return build_results(run.run, records, run.timings, judgements=judgements, human_scores=people, histories=histories)


def _history(n_before: int) -> History:
    def look(n_items: int, time: str, *, finished: bool) -> Look:
        hashed = str(n_items)
        return Look(n_items, hashed, SEEDS, N_ITEMS, {}, False, time, "p", finished, verdict="undecided")

    return History(look(N_ITEMS, "2026-01-02", finished=False), (look(n_before, "2026-01-01", finished=True),))


@pytest.fixture(scope="module")
def results() -> Results:
    return _results()


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_what_only_informs_has_no_verdict_in_documents_and_charts(results: Results, lang: Lang) -> None:
    words, found = Words(lang), Findings(results.comparison, results.analysis)
    rows = [row for row in found.comparisons if row["benchmark"] == NAME]
    assert {row["verdict"] for row in rows} == {"undecided"}
    assert {shown_word(words, shown_verdict(row)) for row in rows} == {WORD[lang]}
    assert not [row for row in undecided_table(found, words).rows if row[0] == NAME]
    for chart in (heatmap_chart(found, words), difference_chart(found, words)):
        assert WORD[lang] in json.dumps(chart, ensure_ascii=False)


def test_what_only_informs_has_no_verdict_in_the_terminal(results: Results) -> None:
    text = summary_table(results.comparison, results.analysis)
    section = text[text.index(f"{NAME}: ") :].split("\n\n")[0]
    assert section.count(WORD["en"]) == 2
    assert "undecided" not in section and "further looks" not in section


def test_what_only_informs_has_no_verdict_for_programs(results: Results) -> None:
    notes = Outcome(results.comparison, results.analysis, "en").arm_notes("q8_0")
    assert notes[f"quant_assay.verdict/{NAME}"] == "informs_only"
    line = result_of(results.comparison, results.analysis, failures=[], files={})
    of_judged = [row for row in line["results"] if row["benchmark"] == NAME]
    assert {row["verdict"] for row in of_judged} == {None}
    assert ["no_margin"] in [row["grounds"] for row in of_judged]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_an_arm_that_nothing_could_decide_has_no_verdict(lang: Lang) -> None:
    words, results = Words(lang), _results(alone=True)
    found = Findings(results.comparison, results.analysis)
    assert {shown_verdict_of_arm(row, results.analysis) for row in results.analysis["verdicts"]} == {"no_verdict"}
    assert {row[2] for row in verdicts_table(found, words).rows} == {words.say("判定なし", "no verdict")}
    q8_0 = next(arm for arm in found.arms if arm["name"] == "q8_0")
    assert recommendation(found, words, q8_0).startswith(words.say("判定なし: 許容幅", "no verdict: no benchmark"))
    (box,) = verdict_boxes(results.comparison, results.analysis, words)
    assert words.say("判定はない", "No verdict on any file") in box.headline
    assert box.undecided == (
        words.say(
            f"{NAME} は許容幅が未設定のため、判定できない(statistics.margins.judged で設定する)",
            f"{NAME} has no margin, so nothing can be decided on it: set statistics.margins.judged",
        ),
    )


def test_a_difference_has_the_same_interval_wherever_it_is_shown() -> None:
    found, usual = _results(n_before=60), _results()

    def jury(results: Results) -> Any:
        (entry,) = results.analysis["judging"]
        return next(row["comparison"] for row in entry["rows"] if row["arm"] == "q8_0" and row["judge"] is None)

    def main(results: Results) -> Any:
        rows = results.analysis["comparisons"]
        return next(row for row in rows if (row["arm"], row["benchmark"]) == ("q8_0", NAME))

    assert jury(found)["ci95"] == main(found)["ci95"]
    low, high = main(found)["ci95"]
    assert low < main(usual)["ci95"][0] and high > main(usual)["ci95"][1]
    assert jury(found)["p_value"] == main(found)["p_value"]


def test_looks_are_one_short_sentence_for_the_arms_that_they_concern(tmp_path: Any) -> None:
    results, words = _results(n_before=60), Words("en")
    found = Findings(results.comparison, results.analysis)
    assert look_summary(found, words, {"q8_0"}).startswith("Results were looked at before")
    assert look_summary(found, words, {"q4_k_m"}) == ""
    assert len(look_sentences(found, words)) == 1
    assert make_view(found, words, tmp_path).look_summary == look_summary(found, words)


def test_needed_items_say_if_the_benchmark_has_fewer() -> None:
    row = {"items_to_decide": 3169, "items_to_decide_range": [478, 3169], "runs_to_decide": None, "metric": "accuracy"}
    assert what_decides(Words("en"), row, {"n_items_total": 1319}) == (
        "478 items in all decide it with even chances, 3,169 with 80%; the benchmark has only 1,319"
    )
    assert "全 1,319 問" in what_decides(Words("ja"), row, {"n_items_total": 1319})
    assert "has only" not in what_decides(Words("en"), row, {"n_items_total": 14_000})
    assert "unscored" in what_decides(Words("en"), {"items_to_decide": None, "items_to_decide_reason": "unscored"}, {})


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_what_is_not_judged_has_no_panel_and_the_caption_says_so(lang: Lang, tmp_path: Any) -> None:
    run, _, _ = judged_run()
    *others, judged = run.run["benchmarks"]
    own, kinds = pl.col("benchmark") == NAME, run.records.schema
    waits = run.records.with_columns(
        pl.when(own).then(pl.lit(value)).otherwise(name).cast(kinds[name]).alias(name)
        for name, value in {"outcome": "unscored", "reason": "no_judge", "score": None}.items()
    )
    described = {**run.run, "benchmarks": [*others, judged | {"rubrics": ["elyza_2023"]}]}
    results, words = build_results(described, waits, run.timings), Words(lang)
    found = Findings(results.comparison, results.analysis)
    assert [one["name"] for one in found.unjudged] == [NAME]
    assert NAME not in [panel.name for panel in panels(found, words)]
    note = words.say(f"未採点のため省いた: {NAME}。", f"Left out, not judged: {NAME}.")
    for chart in (performance_chart(found, words), efficiency_chart(found, words)):
        assert note in json.dumps(chart, ensure_ascii=False)
    charts = tmp_path / "charts"
    for name in ("quantization_performance", "quantization_error_by_layer"):
        drawn = charts / f"{name}.png"
        drawn.parent.mkdir(exist_ok=True)
        drawn.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8) + (100).to_bytes(4, "big") * 2)
    figures, _, _ = figures_of(found, words, charts, lang)
    captions = {figure.name: figure.caption for figure in figures}
    assert captions["quantization_performance"].endswith(note)
    arms = [arm | {"imatrix": None} for arm in found.comparison["arms"]]
    plain, _, _ = figures_of(Findings({**found.comparison, "arms": arms}, results.analysis), words, charts, lang)
    assert words.say("重みづけはない", "It is not weighted") in plain[-1].caption


def test_points_are_given_for_as_many_tokens_as_answers_may_have() -> None:
    words = Words("en")
    found = Findings(_results().comparison, _results().analysis)
    (entry,) = found.judging
    assert token_step(found, entry) == 100
    rows = [row | {"lengths": [{"unit": "tokens", "mean": 24.0}]} for row in found.answer_style]
    short = Findings(found.comparison, {**(found.analysis or {}), "answer_style": rows})
    assert token_step(short, entry) == 10
    long_cell, short_cell = (judged_arms_table(one, words).rows[-3][-2] for one in (found, short))
    assert long_cell.endswith("(per 100 tokens)") and short_cell.endswith("(per 10 tokens)")
    assert float(short_cell.split("\n")[0].replace("−", "-")) == pytest.approx(
        float(long_cell.split("\n")[0].replace("−", "-")) / 10, abs=0.006
    )


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_tables_with_many_columns_have_narrow_headers(results: Results, lang: Lang) -> None:
    words, found = Words(lang), Findings(results.comparison, results.analysis)
    for table in (judged_arms_table(found, words), corrected_table(found, words), lengths_table(found, words)):
        lines = [line for title in table.headers for line in title.split("\n")]
        assert table.rows and max(map(display_width, lines)) <= 16
