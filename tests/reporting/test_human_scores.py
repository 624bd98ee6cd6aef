"""Files of human scores: what is read, and the message for each fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.faults import BadInput
from reporting.human_scores import Answers, read_human_scores

ELYZA = Answers(("f16", "q4_k_m"), ("elyza-001", "elyza-002"), (0, 1), 1, (1.0, 5.0))
MT_BENCH = Answers(("f16",), ("mt-81",), (0,), 2, (1.0, 10.0))
BOTH = {"elyza": ELYZA, "mt_bench": MT_BENCH}


def _write(folder: Path, text: str, name: str = "scores.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _refused(path: Path, answers: dict[str, Answers] = BOTH) -> str:
    with pytest.raises(BadInput) as caught:
        read_human_scores(path, answers, key="--human-scores")
    return str(caught.value)


def test_a_full_csv_file(tmp_path: Path) -> None:
    text = "\ufeffbenchmark,arm,item_id,seed,turn,score,rater\r\n"
    text += "elyza,f16,elyza-001,1,,4,愛子\r\nelyza,f16,elyza-001,1,,5,Ben\r\nmt_bench,f16,mt-81,,2,7.5,\r\n"
    found = read_human_scores(_write(tmp_path, text), BOTH, key="--human-scores")
    assert found.rows() == [
        ("elyza", "f16", "elyza-001", 1, None, 4.0, "愛子"),
        ("elyza", "f16", "elyza-001", 1, None, 5.0, "Ben"),
        ("mt_bench", "f16", "mt-81", 0, 1, 7.5, None),
    ]


def test_what_may_be_left_out(tmp_path: Path) -> None:
    one = {"elyza": ELYZA}
    csv = read_human_scores(_write(tmp_path, "arm,item_id,score\nf16,elyza-002,3\n"), one, key="--human-scores")
    text = '{"arm": "f16", "item_id": "elyza-002", "score": 3}\n\n'
    jsonl = read_human_scores(_write(tmp_path, text, "scores.jsonl"), one, key="--human-scores")
    assert csv.rows() == jsonl.rows() == [("elyza", "f16", "elyza-002", 0, None, 3.0, None)]


@pytest.mark.parametrize(
    "text",
    [
        "arm,item_id,score,rater\nf16,elyza-001,4.5,愛子\n,,,\n , ,,\n",
        "arm;item_id;score;rater\r\nf16;elyza-001;4,5;愛子\r\n;;;\r\n",
        "arm;item_id;score;rater\r\nf16;elyza-001;4.5;愛子\r\n",
        "arm\titem_id\tscore\trater\nf16\telyza-001\t4.5\t愛子\n\t\t\t\n\n",
        "arm,item_id,score,rater,,\nf16,elyza-001,4.5,愛子,,\n,,,,,\n",
        '"arm";"item_id";"score";"rater"\n"f16";"elyza-001";"4,5";"愛子"\n',
        "arm\titem_id\tscore\trater\nf16\telyza-001\t4,5\t愛子\n",
        "arm,item_id,score,rater\nf16,elyza-001,4.5,愛子\nf16,elyza-002,,\n",  # not all answers are scored yet
        "arm,item_id,turn,score,rater\nf16,elyza-001,1,4.5,愛子\n",  # the only turn is the whole answer
    ],
)
def test_tables_as_spreadsheets_save_them(tmp_path: Path, text: str) -> None:
    found = read_human_scores(_write(tmp_path, text), {"elyza": ELYZA}, key="--human-scores")
    assert found.rows() == [("elyza", "f16", "elyza-001", 0, None, 4.5, "愛子")]


def test_an_answer_scored_whole_and_as_its_only_turn_is_scored_twice(tmp_path: Path) -> None:
    text = "arm,item_id,turn,score,rater\nf16,elyza-001,,4,aiko\nf16,elyza-001,1,2,aiko\n"
    assert "scores.csv:3" in _refused(_write(tmp_path, text), {"elyza": ELYZA})


def test_a_rater_who_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    text = '{"arm": "f16", "item_id": "elyza-001", "score": 4, "rater": "x\\ud800"}\n'
    assert "scores.jsonl:1 rater" in _refused(_write(tmp_path, text, "scores.jsonl"), {"elyza": ELYZA})


def test_a_value_beyond_the_header_is_a_fault(tmp_path: Path) -> None:
    said = _refused(_write(tmp_path, "arm,item_id,score,,\nf16,elyza-001,4,,x\n"), {"elyza": ELYZA})
    assert "scores.csv:2: got 'f16,elyza-001,4,,x'" in said and "which is 3" in said


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("elyza,q4_k_n,elyza-001,0,,4,", ["scores.csv:2 arm: got 'q4_k_n'", "'q4_k_m'"]),
        ("elyza,f16,elyza-003,0,,4,", ["scores.csv:2 item_id: got 'elyza-003'", "elyza-001, elyza-002"]),
        ("elyza,f16,elyza-001,7,,4,", ["scores.csv:2 seed: got '7'", "0, 1"]),
        ("elyza,f16,elyza-001,0,2,4,", ["scores.csv:2 turn: got '2'"]),
        ("elyza,f16,elyza-001,0,,6,", ["scores.csv:2 score: got '6'", "from 1 to 5"]),
        ("elyza,f16,elyza-001,0,,nan,", ["scores.csv:2 score: got 'nan'"]),
        ("gsm8k,f16,elyza-001,0,,4,", ["scores.csv:2 benchmark: got 'gsm8k'", "elyza, mt_bench"]),
        (",f16,elyza-001,0,,4,", ["scores.csv:2 benchmark: got None", "Name the benchmark"]),
        ("elyza,f16,elyza-001,0,4", ["scores.csv:2: got", "which is 7"]),
        ("elyza,no,elyza-001,9,,0,", ["2 arm: got 'no'", "2 seed: got '9'", "2 score: got '0'"]),
    ],
)
def test_a_bad_row(tmp_path: Path, row: str, expected: list[str]) -> None:
    said = _refused(_write(tmp_path, f"benchmark,arm,item_id,seed,turn,score,rater\n{row}\n"))
    assert [part for part in expected if part not in said] == []


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    said = _refused(
        _write(tmp_path, "arm,item_id,score\nno,elyza-001,3\nf16,none,3\nf16,elyza-001,9\n"), {"elyza": ELYZA}
    )
    assert [line.split(":")[1].split()[0] for line in said.splitlines()] == ["2", "3", "4"]


def test_the_same_answer_twice(tmp_path: Path) -> None:
    path = _write(tmp_path, "arm,item_id,score\nf16,elyza-001,3\nf16,elyza-001,4\n")
    assert "scores.csv:3" in (said := _refused(path, {"elyza": ELYZA}))
    assert "line 2" in said and "rater" in said


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "scores.csv"),
        ("arm,item_id,score\n", "scores.csv"),
        ("arm,item_id,score\n,,\n", "scores.csv"),
        ("arm,score\nf16,3\n", "scores.csv"),
        ("arm,item_id,points\nf16,elyza-001,3\n", "scores.csv"),
        ("arm,item_id,score,score\nf16,elyza-001,3,4\n", "scores.csv"),
        ('arm,item_id,score\n"f16,elyza-001,3\n', "scores.csv"),
        ("[1]\n", "scores.jsonl"),
        ('{"arm": "f16"\n', "scores.jsonl"),
        ("[" * 100_000 + "\n", "scores.jsonl"),
        ('{"arm": "f16", "points": 3}\n', "scores.jsonl"),
        ('{"arm": ["f16"], "item_id": {}, "score": true, "rater": 3, "seed": "x"}\n', "scores.jsonl"),
        ('{"arm": "f16", "item_id": "elyza-001", "score": 1e999}\n', "scores.jsonl"),
    ],
)
def test_a_broken_file(tmp_path: Path, text: str, name: str) -> None:
    assert "got" in _refused(_write(tmp_path, text, name), {"elyza": ELYZA})


def test_a_run_without_judged_benchmarks_takes_no_scores(tmp_path: Path) -> None:
    assert "no benchmark is judged" in _refused(_write(tmp_path, "arm,item_id,score\n"), {})


def test_a_missing_file(tmp_path: Path) -> None:
    assert "--human-scores: got" in _refused(tmp_path / "none.csv")
