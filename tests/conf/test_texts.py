"""Texts are read whole or in disjoint parts, and clear messages say what cannot be read."""

from __future__ import annotations

import pydoc_data
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.faults import BadInput
from conf.texts import _run, read_text

TOPICS = Path(pydoc_data.__file__).parent / "topics.py"


def paragraphs(text: str) -> set[str]:
    return {" ".join(paragraph.split()) for paragraph in text.split("\n\n")} - {""}


def test_a_plain_file_is_read_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("一行目\n\n二行目\n", encoding="utf-8")
    assert read_text(str(path)) == "一行目\n\n二行目\n"


def test_the_parts_of_a_plain_file_add_up_to_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {number}\n" for number in range(100)), encoding="utf-8")
    assert "".join(read_text(f"{path}#{part}/3") for part in (1, 2, 3)) == read_text(str(path))


def test_a_file_whose_name_looks_like_a_part_is_read_whole(tmp_path: Path) -> None:
    folder = tmp_path / "text#1"
    folder.mkdir()
    (folder / "2").write_text("whole\n", encoding="utf-8")
    assert read_text(f"{folder}/2") == "whole\n"


def test_the_halves_of_the_help_topics_share_no_paragraph_and_are_about_equal() -> None:
    first, second = read_text(f"{TOPICS}#1/2"), read_text(f"{TOPICS}#2/2")
    assert not paragraphs(first) & paragraphs(second)
    assert min(len(first), len(second)) > 0.4 * (len(first) + len(second))


def test_a_python_file_is_never_executed(tmp_path: Path) -> None:
    path = tmp_path / "topics.py"
    path.write_text(f"topics = {{'a': open({str(tmp_path / 'made')!r}, 'w').name}}\n")
    with pytest.raises(BadInput, match="dictionary of strings"):
        read_text(str(path))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("spec", ["#0/2", "#3/2", "#1/0"])
def test_a_part_that_does_not_exist_is_bad_input(tmp_path: Path, spec: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text("words\n")
    with pytest.raises(BadInput, match="1 <= PART <= PARTS"):
        read_text(f"{path}{spec}")


def test_faults_have_the_key_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--calibration.*No such file"):
        read_text(str(tmp_path / "missing.txt"), key="--calibration")
    broken = tmp_path / "broken.txt"
    broken.write_bytes(b"good \xff bad")
    with pytest.raises(BadInput, match="byte 5 is not UTF-8"):
        read_text(str(broken))
    with pytest.raises(BadInput, match="directory"):
        read_text(str(tmp_path))
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    with pytest.raises(BadInput, match="words in it"):
        read_text(str(empty))


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(1, 5))
def test_parts_are_disjoint_and_keep_every_document_in_order(documents: list[str], parts: int) -> None:
    runs = [_run(documents, part, parts) for part in range(1, parts + 1)]
    assert [document for run in runs for document in run] == [document for document in documents if document]
