"""The tables of all answers: one row per answer with its question and its differences, as Parquet and as CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting.documents.side_by_side.judgements import reason_for
from reporting.documents.side_by_side.pairs import with_differences
from reporting.documents.side_by_side.table import ANSWER_TABLE, AnswerSources, for_spreadsheets, write_answer_tables
from tests.reporting.answers_run import ARMS, COMPARISON, HOSTILE_TEXTS, answer, sample_answers, write_answers


@pytest.fixture
def tables(tmp_path: Path) -> tuple[pl.DataFrame, Path]:
    results = write_answers(tmp_path, sample_answers())
    parquet, sheet = write_answer_tables(COMPARISON, AnswerSources.beside(results), tmp_path / "answers.parquet")
    return pl.read_parquet(parquet), sheet


def row_of(table: pl.DataFrame, arm: str, item_id: str) -> dict[str, Any]:
    return table.row(by_predicate=(pl.col("arm") == arm) & (pl.col("item_id") == item_id), named=True)


def test_each_generated_answer_has_a_row_with_its_question(tables: tuple[pl.DataFrame, Path]) -> None:
    table, _ = tables
    generated = [row for row in sample_answers() if row["benchmark"] != "arc_challenge"]
    assert table.height == len(generated)
    assert table.columns[: len(ANSWER_TABLE)] == list(ANSWER_TABLE)
    assert row_of(table, "q8_0", "lost")["question"] == "What is lost?"
    assert row_of(table, "q8_0", "task")["earlier_texts"] == ["一つ目の回答"]
    places = [(row["benchmark"], row["item_id"], ARMS.index(row["arm"])) for row in table.iter_rows(named=True)]
    assert places == sorted(places, key=lambda place: (place[0] == "elyza", *place[1:]))


def test_flips_and_differences_are_relative_to_the_reference(tables: tuple[pl.DataFrame, Path]) -> None:
    table, _ = tables
    lost, gained = row_of(table, "q8_0", "lost"), row_of(table, "q8_0", "gained")
    assert (lost["flip"], lost["score_difference"]) == ("lost", -1.0)
    assert lost["text_difference"] == pytest.approx(2 / 16)  # one of 8 characters: one deleted, one inserted
    assert gained["flip"] == "gained"
    same = row_of(table, "q8_0", "same")
    assert (same["flip"], same["text_difference"]) == (None, 0.0)
    assert row_of(table, "q8_0", "task")["score_difference"] == -2.5
    reference, failed = row_of(table, "f16", "lost"), row_of(table, "q4_k_m", "gained")
    assert [reference["flip"], reference["text_difference"], failed["flip"], failed["text_difference"]] == [None] * 4


def test_a_judge_has_a_score_only_if_it_judged_every_turn(tables: tuple[pl.DataFrame, Path]) -> None:
    table, _ = tables
    row = row_of(table, "f16", "task")
    assert row["judge_score.strict"] == 4.5 and row["judge_score.mild"] is None
    assert row["judge_text.strict"].count('{"reason": "<b>fine</b>", "score": ') == 4
    assert row["judge_reason.strict"].startswith("[turn 1, repeat 1: 4.0]\n<b>fine</b>\n\n[turn 1, repeat 2: 5.0]\n")
    assert "[turn 2, repeat 1: unreadable_verdict]" in row["judge_text.mild"]
    assert row_of(table, "f16", "same")["judge_text.mild"] is None


def test_the_sheet_says_the_same_and_holds_no_formula(tables: tuple[pl.DataFrame, Path]) -> None:
    table, sheet = tables
    assert sheet.read_bytes().startswith(b"\xef\xbb\xbf")
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == table.height and list(rows[0]) == table.columns
    for row, known in zip(rows, table.iter_rows(named=True), strict=True):
        assert row["text"] in ((known["text"] or ""), f"'{known['text']}")
        assert not any(value.startswith(("=", "+", "@", "\t")) for value in row.values())
    (formula,) = {row["text"] for row in rows if "HYPERLINK" in row["text"]}
    assert formula == f"'{HOSTILE_TEXTS[-1]}"


@given(st.text(max_size=30))
def test_no_text_of_a_sheet_begins_as_a_formula_does(text: str) -> None:
    made = for_spreadsheets(pl.LazyFrame({"text": [text], "score": [-1.0]}), "answers.parquet").collect()
    assert made["text"][0] in (text, f"'{text}")
    assert not made["text"][0].startswith(tuple("=+-@\t\r\n＝＋－＠"))
    assert made["score"][0] == -1.0


def test_a_text_that_is_too_long_for_a_cell_is_cut_and_says_so(tmp_path: Path) -> None:
    long, japanese = "=" * 1_000_000, "長い" * 10_000
    rows = [answer("f16", "a", long, earlier_texts=[japanese, japanese], score=1.0), answer("q8_0", "a", "short")]
    results = write_answers(tmp_path, rows)
    parquet, sheet = write_answer_tables(COMPARISON, AnswerSources.beside(results), tmp_path / "answers.parquet")
    assert row_of(pl.read_parquet(parquet), "f16", "a")["text"] == long
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        cut, whole = csv.DictReader(file)
    assert cut["text"] == f"'{long[:10_000]} [… +990000 characters, see answers.parquet]"
    assert cut["earlier_texts"] == f"{japanese[:10_000]} [… +30002 characters, see answers.parquet]"
    assert whole["text"] == "short"
    # Excel reads no more than 32,767 UTF-16 units of a cell.
    assert all(len(value.encode("utf-16-le")) // 2 < 32_767 for value in cut.values())


@pytest.mark.parametrize(
    ("score", "text", "reason"),
    [
        (4.0, '{"reason": "正しい。", "score": 4}', "正しい。"),
        (4.0, 'Well.\n```json\n{"score": 4.0, "reason": " right\nbut short "}\n```', "right\nbut short"),
        (2.0, '<think>{"reason": "a", "score": 5}</think>{"reason": "b", "score": 2}', "b"),
        (2.0, '{"reason": "first", "score": 2} {"reason": "off the scale", "score": 9}', "first"),
        (1.0, '{"reason": "so", "score": true}', None),
        (4.0, '{"score": 4}', None),
        (4.0, '{"reason": "", "score": 4}', None),
        (4.0, '{"reason": ["a"], "score": 4}', None),
        (4.0, "4", None),
        (None, '{"reason": "ok", "score": 4}', None),
        (4.0, None, None),
    ],
)
def test_the_reason_for_a_score_is_that_of_the_verdict_that_counts(
    score: float | None, text: str | None, reason: str | None
) -> None:
    assert reason_for(score, text) == reason


def test_pieces_give_the_same_tables_as_the_whole(tables: tuple[pl.DataFrame, Path], tmp_path: Path) -> None:
    whole, sheet = tables
    sources = AnswerSources.beside(tmp_path / "comparison.json")
    parquet, other = write_answer_tables(COMPARISON, sources, tmp_path / "again" / "answers.parquet", piece_bytes=600)
    assert pl.read_parquet(parquet).equals(whole)
    assert other.read_bytes() == sheet.read_bytes()


def test_results_of_older_versions_have_tables_too(tmp_path: Path) -> None:
    results = write_answers(tmp_path, sample_answers(), judged=False)
    sources = AnswerSources.beside(results)
    pl.read_parquet(sources.answers).drop("thoughts", "thought_tokens", "earlier_texts").write_parquet(sources.answers)
    sources.questions.unlink()
    parquet, _ = write_answer_tables(COMPARISON, sources, tmp_path / "answers.parquet")
    assert row_of(pl.read_parquet(parquet), "q8_0", "lost")["flip"] == "lost"


def test_a_run_without_generated_answers_has_no_tables(tmp_path: Path) -> None:
    results = write_answers(tmp_path, sample_answers())
    chosen = COMPARISON | {"benchmarks": COMPARISON["benchmarks"][2:]}
    assert write_answer_tables(chosen, AnswerSources.beside(results), tmp_path / "answers.parquet") == []


def test_very_long_texts_are_compared_in_little_time() -> None:
    long = [answer("f16", "a", "ab" * 500_000), answer("q8_0", "a", "ba" * 500_000)]
    columns = ("arm", "benchmark", "item_id", "seed", "outcome", "score", "text", "earlier_texts")
    schema: dict[str, pl.DataType] = {"score": pl.Float64(), "earlier_texts": pl.List(pl.String)}
    table = pl.DataFrame([{name: row[name] for name in columns} for row in long], schema_overrides=schema)
    found = with_differences(table.with_columns(reference=pl.Series([None, "f16"])))
    assert found["text_difference"].to_list() == [None, pytest.approx(2 / 8000)]
