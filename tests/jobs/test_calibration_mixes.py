"""Mixes in a pipeline become arms. Calibration text that contains questions of a benchmark is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.hashing import file_sha256
from actors.items import Choose, Generate, Item, Measure, Message
from actors.llama.model import Model
from actors.orchestrator.sources.calibration import documents_of, source_imatrices
from actors.quantization.calibration import make_chunks, read_calibration
from conf.load import load
from jobs import pipeline
from jobs._counter import TerminalReporter
from tests.jobs.running import small_pipeline

ENGLISH = "The old town by the river has many boats and houses, and nobody knows how long they have been there. "


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "calibration").mkdir(parents=True)
    texts = {"wikitext2_train_part.txt": "the other thing ", "ja_wiki_leads.txt": "雲。", "ja_aozora.txt": "猫だ。"}
    for name, words in texts.items():
        (folder / "calibration" / name).write_text(words * 3000, encoding="utf-8")
    return folder


def dry_run(
    capsys: pytest.CaptureFixture[str], model: Path, folder: Path, *more: object, mixed: bool = True
) -> tuple[int, str, str]:
    words = list(small_pipeline(model, folder / "runs", "dry"))
    if mixed:  # the texts of the mixes replace the small pipeline's own text
        place = words.index("--calibration")
        del words[place : place + 2]
    code = pipeline.main([*words, "--dry-run", *map(str, more)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_each_mix_makes_every_lossy_arm_once(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = dry_run(capsys, tiny_model, tmp_path, "--imatrix", "en,en-ja4,none", "--data-dir", data)
    assert code == 0, err
    arms = [line.split()[0] for line in out.split("Arms")[1].split("Benchmarks")[0].splitlines() if line.strip()]
    assert arms == ["f16", "q4_k_m", "q4_k_m+en-ja4", "q4_k_m+none"]
    assert "imatrix en-ja4" in out


def test_a_custom_mix_is_known_by_its_name(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = tmp_path / "mine.yaml"
    mix.write_text("texts: [{path: ja_aozora.txt}]\n", encoding="utf-8")
    given = ("--calibration", mix, "--data-dir", data)
    for imatrix in ((), ("--imatrix", "mine"), ("--imatrix", mix)):
        code, out, err = dry_run(capsys, tiny_model, tmp_path, *given, *imatrix)
        assert code == 0, err
        assert "imatrix mine" in out
    code, _, err = dry_run(capsys, tiny_model, tmp_path, *given, "--calibration", "en")
    assert code == 2
    assert "--imatrix mine,en" in err


def test_the_message_for_an_unknown_mix_suggests_a_similar_name(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = dry_run(capsys, tiny_model, tmp_path, "--imatrix", "en-ja5", "--data-dir", data)
    assert code == 2
    assert "'en-ja4'" in err


def test_a_mix_whose_texts_are_too_short_is_refused(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--imatrix", "en-ja4", "--data-dir", data, "--dataset-size", 10_000_000)
    code, _, err = dry_run(capsys, tiny_model, tmp_path, *more)
    assert code == 2
    assert "--dataset-size: got 10000000" in err
    assert "ja_aozora.txt" in err


def test_the_size_of_a_mix_multiplies_its_tokens(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {"models": [{"name": "tiny", "path": str(tiny_model)}], "data_dir": str(data)}
    config = load(None, {**flags, "imatrix": ["en", "en5", "en1-ja4"], "calibration": {"dataset_size": 1024}})
    sources = source_imatrices(config, file_sha256, read_calibration, TerminalReporter(), wanted=True)
    assert [source.tokens(config.calibration.dataset_size) for source in sources] == [1024, 5120, 5120]
    with Model(tiny_model, vocab_only=True) as vocabulary:
        chunks = [
            make_chunks(vocabulary, source.texts, dataset_size=source.tokens(1024), ctx=64).chunks for source in sources
        ]
    small, control, added = chunks
    assert (len(small), len(control), len(added)) == (16, 80, 80)
    # All three begin with the same English chunks. Only what is added differs.
    assert control[:16] == added[:16] == small
    assert added[16:] != control[16:]


def test_the_message_for_a_mix_that_is_too_short_gives_the_dataset_size_and_the_multiple(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--imatrix", "en5", "--data-dir", data, "--dataset-size", 100_000)
    code, _, err = dry_run(capsys, tiny_model, tmp_path, *more)
    assert code == 2
    assert "--dataset-size: got '100000 (500000 for the mix en5, which takes 5 times as many)'" in err
    assert "wikitext2_train_part.txt" in err


def plant(data: Path, question: str) -> None:
    shots = [json.dumps({"id": f"s{n}", "question": "1+1?", "answer": "It is 2.\n#### 2"}) for n in range(8)]
    (data / "gsm8k").mkdir()
    (data / "gsm8k/train_first200.jsonl").write_text("\n".join(shots) + "\n", encoding="utf-8")
    rows = [json.dumps({"id": f"t{n}", "question": f"{n}. {question}", "answer": "#### 2"}) for n in range(3)]
    (data / "gsm8k/test.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (f"{ENGLISH}How many boats are there?", "wikitext2_train_part.txt"),
        ("川沿いの古い町には舟と家がたくさんあって、誰もその由来を知らない。舟は何艘か。", "ja_aozora.txt"),
    ],
)
def test_calibration_on_a_question_is_refused_unless_the_user_allows_it(
    tiny_model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], question: str, text: str
) -> None:
    plant(data, question)
    with (data / "calibration" / text).open("a", encoding="utf-8") as file:
        file.write(question)
    # The limit excludes the question, but another run might ask it.
    more = ("--imatrix", "en-ja4", "--data-dir", data, "--benchmarks", "gsm8k", "--limit", 1)
    code, _, err = dry_run(capsys, tiny_model, tmp_path, *more)
    assert code == 2
    assert f"--calibration: got '{text}, which shares" in err.replace('"', "'")
    assert "gsm8k" in err
    assert "--allow-overlap" in err
    assert not (tmp_path / "runs").exists()
    code, out, err = dry_run(capsys, tiny_model, tmp_path, *more, "--allow-overlap")
    assert code == 0, err
    assert f"Notice: Calibration text {text} shares" in out


def test_the_demo_does_not_calibrate_on_its_questions(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry_run(capsys, tiny_model, tmp_path, "--limit", 64, mixed=False)[0] == 0


def test_the_documents_of_items_are_questions_choices_and_measured_text(tiny_model: Path) -> None:
    shots = "Example. " * 200

    def item(name: str, task: Generate | Choose | Measure) -> Item:
        return Item(name, task, None, name)

    with Model(tiny_model, vocab_only=True) as vocabulary:
        asked = [item(q, Generate((Message("user", f"{shots}{q}"),), False, (), 8)) for q in ("one?", "two?")]
        documents = documents_of(asked, vocabulary)
        assert sum(map(len, documents)) < 2 * len(shots)
        assert [document[-4:] for document in documents[1:]] == ["one?", "two?"]
        chosen = [item("c", Choose((Message("user", "which?"),), False, (" this", " that")))]
        assert documents_of(chosen, vocabulary)[-2:] == [" this", " that"]
        tokens = vocabulary.tokenize("the thing 日本", add_special=True, parse_special=False)
        measured = [item("m", Measure(tuple(tokens[:4]), 1)), item("n", Measure(tuple(tokens[4:]), 1))]
        assert documents_of(measured, vocabulary)[-1].strip() == "the thing 日本"
