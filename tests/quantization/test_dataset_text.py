"""Rows of a data set become a text: with the right files and rows, and a record of both."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from actors.hub import Hub, Snapshot
from actors.quantization.dataset_text import DatasetText, dataset_text, split_files
from conf.faults import BadInput
from conf.hub_ids import HubId
from conf.mixes import DatasetRows
from tests.hub_server import COMMIT, Repository, serving

ROWS = ["one", "two", "", "four", "five", "six"]


def parquet(rows: list[str]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"id": range(len(rows)), "text": rows}).write_parquet(buffer)
    return buffer.getvalue()


def lines(rows: list[str]) -> bytes:
    return "".join(json.dumps({"id": number, "text": row}) + "\n" for number, row in enumerate(rows)).encode()


PARTS = {
    "data/train-00000-of-00002.parquet": parquet(ROWS[:4]),
    "data/train-00001-of-00002.parquet": parquet(ROWS[4:]),
    "data/test-00000-of-00001.parquet": parquet(["asked"]),
    "train.py": b"raise SystemExit('run')",
    "README.md": b"a card",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    array = json.dumps([{"text": row} for row in ROWS]).encode()
    with serving(
        org__parts=Repository(PARTS, kind="datasets"),
        org__lines=Repository({"train.jsonl": lines(ROWS)}, kind="datasets"),
        org__array=Repository({"train.json": array}, kind="datasets"),
        org__rowwise=Repository({"train.json": lines(ROWS)}, kind="datasets"),
        org__table=Repository({"my_train.csv": b"id,text\n0,one\n1,two\n"}, kind="datasets"),
        org__plain=Repository({"train/a.txt": b"one\ntwo\n"}, kind="datasets"),
        org__several=Repository({"en/train.jsonl": lines(ROWS), "ja/train.jsonl": lines(["一"])}, kind="datasets"),
    ) as hub:
        yield hub.endpoint


def text(endpoint: str, home: Path, name: str, **wanted: Any) -> DatasetText:
    hub = Hub(endpoint=endpoint, cache_dir=home / "hub")
    return dataset_text(DatasetRows(name, **wanted), hub, home / "cache", key="--calibration")


def test_only_the_files_with_the_first_rows_are_fetched(endpoint: str, tmp_path: Path) -> None:
    found = text(endpoint, tmp_path, "org/parts", rows=4)
    assert found.path.read_text() == "one\n\ntwo\n\nfour\n"
    assert [path.name for path in tmp_path.rglob("*.parquet")] == ["train-00000-of-00002.parquet"]
    assert found.source == {
        "repository": "org/parts",
        "revision": "main",
        "commit": COMMIT,
        "files": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
        "folder": None,
        "split": "train",
        "column": "text",
        "rows": 4,
    }


@pytest.mark.parametrize("name", ["org/parts", "org/lines", "org/array", "org/rowwise"])
def test_all_formats_give_the_same_rows(endpoint: str, tmp_path: Path, name: str) -> None:
    assert text(endpoint, tmp_path, name).path.read_text() == "one\n\ntwo\n\nfour\n\nfive\n\nsix\n"


@pytest.mark.parametrize("name", ["org/table", "org/plain"])
def test_csv_files_and_plain_lines_are_read(endpoint: str, tmp_path: Path, name: str) -> None:
    assert text(endpoint, tmp_path, name).path.read_text() == "one\n\ntwo\n"


def test_a_folder_selects_a_configuration(endpoint: str, tmp_path: Path) -> None:
    assert text(endpoint, tmp_path, "org/several", folder="ja").path.read_text() == "一\n"
    with pytest.raises(BadInput, match=r"its folders: en, ja.*Name one as `folder`"):
        text(endpoint, tmp_path, "org/several")


@pytest.mark.parametrize(
    ("name", "wanted", "message"),
    [
        ("org/nothing", {}, "the id of a data set"),
        ("org/parts", {"split": "dev"}, "Splits found: test, train"),
        ("org/parts", {"column": "txet"}, r"one of its columns \(id, text\).*Did you mean 'text'"),
        ("org/parts", {"column": "id"}, "a column of text"),
        ("org/parts", {"rows": 7}, "at most 6, all it has"),
        ("org/parts", {"revision": "v9"}, "a branch, tag or commit"),
    ],
)
def test_missing_data_is_bad_input(
    endpoint: str, tmp_path: Path, name: str, wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        text(endpoint, tmp_path, name, **wanted)


def test_a_text_is_cached_by_what_was_requested(endpoint: str, tmp_path: Path) -> None:
    first = text(endpoint, tmp_path, "org/lines", rows=1)
    changed = first.path.stat().st_mtime_ns
    assert text(endpoint, tmp_path, "org/lines", rows=1).path.stat().st_mtime_ns == changed
    assert text(endpoint, tmp_path, "org/lines", rows=2).path != first.path


@pytest.mark.parametrize(
    ("name", "is_train"),
    [
        ("train.parquet", True),
        ("wikitext_train_v1.parquet", True),
        ("en/train/0000.parquet", True),
        ("train-00000-of-00010-0a1b2c.parquet", True),
        ("training.parquet", False),
        ("constrained.parquet", False),
        ("train/test.bin", False),
    ],
)
def test_files_are_found_by_the_words_in_their_names(name: str, is_train: bool) -> None:
    snapshot = Snapshot(HubId("org/x"), "dataset", COMMIT, {name: 1})
    wanted = DatasetRows(dataset="org/x")
    if is_train:
        assert split_files(snapshot, wanted, key="k") == (name,)
    else:
        with pytest.raises(BadInput, match="split train"):
            split_files(snapshot, wanted, key="k")
