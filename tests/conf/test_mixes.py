"""Calibration mixes are read completely, or refused with what is wrong and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.faults import BadInput
from conf.mixes import DatasetRows, is_mix, read_mix, shipped_mixes

SHIPPED_TEXTS = ("wikitext2_train_part.txt", "ja_wiki_leads.txt", "ja_aozora.txt")


def mix_file(folder: Path, content: str, name: str = "mine.yaml") -> str:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return str(path)


def refused(spec: str, data_dir: Path | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        read_mix(spec, data_dir=data_dir, key="--imatrix")
    return str(caught.value)


def test_the_projects_own_mixes_find_their_texts_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    for name in SHIPPED_TEXTS:
        (tmp_path / "calibration" / name).write_text("words", encoding="utf-8")
    assert shipped_mixes() == ["en", "en-ja4", "en1-ja4", "en5"]
    mix = read_mix("en-ja4", data_dir=tmp_path, key="--imatrix")
    assert [Path(path).name for path, _ in mix.texts] == list(SHIPPED_TEXTS)
    assert [share for _, share in mix.texts] == pytest.approx([0.2, 0.4, 0.4])
    assert (mix.name, mix.size, mix.chunk_shuffle_seed, mix.parse_special) == ("en-ja4", 1.0, None, False)


def test_the_mixes_of_the_study_separate_language_and_amount(tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    for name in SHIPPED_TEXTS:
        (tmp_path / "calibration" / name).write_text("words", encoding="utf-8")
    en, en5, added = (read_mix(name, data_dir=tmp_path, key="--imatrix") for name in ("en", "en5", "en1-ja4"))
    assert en.texts == en5.texts
    # Both have the same amount of text. en1-ja4 has the English of en and four times as much Japanese.
    assert en5.size == added.size == 5 * en.size
    english, *japanese = (share * added.size for _, share in added.texts)
    assert (english, sum(japanese)) == (pytest.approx(en.size), pytest.approx(4 * en.size))


def test_a_text_beside_the_mix_is_preferred_to_one_in_the_data_folder(tmp_path: Path) -> None:
    own, data = tmp_path / "own", tmp_path / "data" / "calibration"
    data.mkdir(parents=True)
    content = "texts: [{path: a.txt, share: 3}, {path: 'b.txt#1/2'}]\nchunk_shuffle_seed: 7\nparse_special: true\n"
    content += "chat_template: true\n"
    spec = mix_file(own, content)
    for path in (own / "a.txt", data / "a.txt", data / "b.txt"):
        path.write_text("words", encoding="utf-8")
    mix = read_mix(spec, data_dir=tmp_path / "data", key="--imatrix")
    assert mix.texts == ((str(own / "a.txt"), 0.75), (f"{data / 'b.txt'}#1/2", 0.25))
    assert (mix.name, mix.chunk_shuffle_seed, mix.parse_special, mix.chat_template) == ("mine", 7, True, True)


def test_rows_of_a_data_set_can_be_one_of_the_texts(tmp_path: Path) -> None:
    content = "texts:\n  - {dataset: org/name, revision: abc, split: test, column: body, rows: 1000, share: 3}\n"
    spec = mix_file(tmp_path, f"{content}  - {{path: {tmp_path / 'mine.yaml'}}}\n")
    (rows, share), (path, rest) = read_mix(spec, data_dir=None, key="--imatrix").texts
    assert rows == DatasetRows("org/name", revision="abc", split="test", column="body", rows=1000)
    assert (share, path, rest) == (0.75, spec, 0.25)


def test_absolute_and_package_paths_are_not_looked_for(tmp_path: Path) -> None:
    text = tmp_path / "elsewhere.txt"
    text.write_text("words", encoding="utf-8")
    spec = mix_file(tmp_path / "own", f"texts: [{{path: {text}}}, {{path: 'package:pydoc_data/topics.py#1/2'}}]\n")
    first, second = (path for path, _ in read_mix(spec, data_dir=None, key="--imatrix").texts)
    assert first == str(text)
    assert second.endswith("topics.py#1/2")


def test_a_text_that_is_in_neither_place_is_reported(tmp_path: Path) -> None:
    said = refused("en")
    assert "wikitext2_train_part.txt" in said
    assert "--data-dir" in said
    assert str(tmp_path / "calibration") in refused("en", tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "texts"),
        ("texts: []", "at least 1 item"),
        ("texts: [{path: a.txt, share: 0}]", "greater than 0"),
        ("texts: [{path: a.txt, share: .inf}]", "finite"),
        ("texts: [{path: a.txt, part: 1}]", "a known key"),
        ("texts: [{share: 1}]", "either a `path` or a `dataset`"),
        ("texts: [{path: a.txt, dataset: org/name}]", "either a `path` or a `dataset`"),
        ("texts: [{path: a.txt, rows: 5}]", "no rows beside a `path`"),
        ("texts: [{dataset: org/name, rows: 0}]", "greater than or equal to 1"),
        ("texts: [{dataset: name}]", "pattern"),
        ("texts: [{path: a.txt}]\nshuffle_seed: 1", "'chunk_shuffle_seed'"),
        ("texts: [{path: a.txt}]\nparse_special: perhaps", "true or false"),
        ("texts: [{path: a.txt}]\nsize: 0", "greater than 0"),
        ("texts: [{path: a.txt}]\nsize: .inf", "finite"),
        ("texts: [", "valid YAML"),
        ("- a", "a mapping of keys to values"),
    ],
)
def test_faults_in_a_mix_file_are_reported(tmp_path: Path, content: str, told: str) -> None:
    assert told in refused(mix_file(tmp_path, content))


def test_names_of_mixes(tmp_path: Path) -> None:
    assert is_mix("en-ja4")
    assert is_mix("folder/any.yaml")
    assert not is_mix("en.txt")
    assert "'en-ja4'" in refused("en-ja5")
    assert "No such file" in refused(str(tmp_path / "none.yaml"))
    assert "Rename" in refused(mix_file(tmp_path, "texts: [{path: a.txt}]", "My Mix.yaml"))
