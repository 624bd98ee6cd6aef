"""Data sets from a hub, with a real server on loopback: download, cache, content, and the conversion of rows."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from actors.evaluation.benchmarks import arc_challenge, gsm8k, load, mathematics, mgsm_ja, perplexity_wikitext2
from actors.evaluation.benchmarks.reading import DataSet, read_rows
from actors.evaluation.contract import LoaderInputs
from actors.evaluation.hub_files import DatasetHub, HubFile
from actors.llama.model import Model
from conf.faults import BadInput
from conf.schema.answers import Sampling
from tests.evaluation.hub_server import hub_with

REVISION = "0" * 40


def parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    return buffer.getvalue()


def unchecked(data: DataSet) -> DataSet:
    """Return the same data set without sha256 values, because the tests do not have the real files."""
    return replace(data, hub=tuple(replace(file, sha256=None) for file in data.hub))


def rows_of(data: DataSet, convert: Any, files: dict[str, list[dict[str, Any]]], tmp_path: Path, tiny: Model) -> Any:
    """Read a data set from a hub that has these rows in its files."""
    served = {(file.repository, file.path): parquet(files[file.path]) for file in data.hub}
    with hub_with(served) as (address, _):
        inputs = LoaderInputs(None, Sampling(), tiny, DatasetHub(address, tmp_path))
        return read_rows(inputs, unchecked(data), convert)


def test_a_file_is_fetched_once_and_then_comes_from_the_cache(tmp_path: Path) -> None:
    file = HubFile("some/set", REVISION, "a/b.jsonl", None)
    with hub_with({("some/set", "a/b.jsonl"): b"{}\n"}) as (address, asked):
        door = DatasetHub(address, tmp_path)
        assert door.fetch(file, instead="x").read_bytes() == b"{}\n"
        n_asked = len(asked)
        assert n_asked >= 2
        door.fetch(file, instead="x")
        assert len(asked) == n_asked
    assert door.fetch(file, instead="x").read_bytes() == b"{}\n"  # the hub is gone


def test_content_with_another_sha256_is_refused(tmp_path: Path) -> None:
    file = HubFile("some/set", REVISION, "b.jsonl", "f" * 64)
    with hub_with({("some/set", "b.jsonl"): b"{}\n"}) as (address, _), pytest.raises(BadInput, match=r"sha256 f{64}"):
        DatasetHub(address, tmp_path).fetch(file, instead="x")


def test_the_message_for_a_missing_data_set_says_what_to_give(tmp_path: Path) -> None:
    file = HubFile("other/set", REVISION, "b.jsonl", None)
    with hub_with({("some/set", "b.jsonl"): b""}) as (address, _), pytest.raises(BadInput) as raised:
        DatasetHub(address, tmp_path).fetch(file, instead="gsm8k/test.jsonl (for gsm8k)")
    (fault,) = raised.value.faults
    assert fault.key == "--data-dir" and "gsm8k/test.jsonl (for gsm8k)" in fault.allowed
    assert "Give --data-dir" in fault.next_step and "other/set" in fault.next_step


def test_a_file_that_the_repository_does_not_have_is_reported(tmp_path: Path) -> None:
    file = HubFile("some/set", REVISION, "none.jsonl", None)
    with hub_with({("some/set", "b.jsonl"): b""}) as (address, _), pytest.raises(BadInput, match="no such file"):
        DatasetHub(address, tmp_path).fetch(file, instead="x")


def test_gsm8k_rows_get_their_number_as_id(tmp_path: Path, tiny: Model) -> None:
    rows = [{"question": f"q{n}", "answer": f"so\n#### {n},000"} for n in range(3)]
    read = rows_of(gsm8k.TEST, gsm8k.problem, {gsm8k.TEST.hub[0].path: rows}, tmp_path, tiny)
    assert [(one.item_id, one.target) for one in read.values] == [
        ("test-0", "0"),
        ("test-1", "1000"),
        ("test-2", "2000"),
    ]
    assert read.files[0].name == "openai/gsm8k@740312add88f/main/test-00000-of-00001.parquet"


def test_a_broken_row_of_the_hub_is_reported_with_its_file_and_number(tmp_path: Path, tiny: Model) -> None:
    rows = [{"question": "q", "answer": "#### 1"}, {"question": "q", "answer": "no mark"}]
    with pytest.raises(BadInput, match=r"openai/gsm8k@740312add88f/main/test\S+:1: .*#### NUMBER"):
        rows_of(gsm8k.TEST, gsm8k.problem, {gsm8k.TEST.hub[0].path: rows}, tmp_path, tiny)


def test_arc_also_accepts_digits_as_labels(tmp_path: Path, tiny: Model) -> None:
    row = {
        "id": "x",
        "question": "q",
        "choices": {"text": ["a", "b"], "label": ["1", "2"]},
        "answerKey": "2",
    }
    path = arc_challenge.TEST.hub[0].path
    read = rows_of(arc_challenge.TEST, arc_challenge.science_question, {path: [row]}, tmp_path, tiny)
    assert [(one.item_id, one.gold) for one in read.values] == [("x", 1)]


def test_mgsm_uses_the_number_as_the_answer(tmp_path: Path, tiny: Model) -> None:
    row = {"question": "問", "answer": None, "answer_number": 70000, "equation_solution": None}
    read = rows_of(mgsm_ja.TEST, mgsm_ja._row, {mgsm_ja.TEST.hub[0].path: [row]}, tmp_path, tiny)
    assert [(one.item_id, one.target) for one in read.values] == [("mgsm_ja-0", "70000")]


def test_the_subjects_of_math_are_read_in_order(tmp_path: Path, tiny: Model) -> None:
    files = {
        file.path: [{"problem": "p", "level": "Level 5", "type": file.path.split("/")[0], "solution": "$\\boxed{7}$"}]
        for file in mathematics.TEST_FULL.hub
    }
    read = rows_of(mathematics.TEST_FULL, mathematics._row, files, tmp_path, tiny)
    assert [one.item_id for one in read.values] == [f"test-{n:04}" for n in range(7)]
    assert {one.answer for one in read.values} == {"7"} and read.values[2].subject == "geometry"


def test_the_hubs_rows_give_the_official_text_of_wikitext2(data_dir: Path, tiny: Model, tmp_path: Path) -> None:
    text = (data_dir / "wikitext2" / "wiki.test.raw.txt").read_bytes().decode()
    lines = text.splitlines(keepends=True)
    rows = ["" if line == " \n" else line for line in lines]
    assert len(rows) == 4358  # as many as the hub has
    file = perplexity_wikitext2.TEXT.hub[0]
    served = parquet([{"text": row} for row in rows])
    with hub_with({(file.repository, file.path): served}) as (address, _):
        door = DatasetHub(address, tmp_path)
        from_hub = load("perplexity_wikitext2", data_dir=None, sampling=Sampling(), vocabulary=tiny, hub=door)
    assert from_hub.source["files"][0]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    wrong = parquet([{"text": row} for row in rows[1:]])
    with hub_with({(file.repository, file.path): wrong}) as (address, _), pytest.raises(BadInput, match="sha256"):
        door = DatasetHub(address, tmp_path / "other")
        load("perplexity_wikitext2", data_dir=None, sampling=Sampling(), vocabulary=tiny, hub=door)
