"""Texts become whole chunks in the requested shares. Too little text is reported before anything runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.llama.model import Model
from actors.quantization.calibration import chunk_shares, make_chunks, text_name
from actors.quantization_orders import CalibrationText, ChunkRules
from conf.faults import BadInput
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with Model(write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf"), vocab_only=True) as model:
        yield model


def text(path: Path, content: str, share: float = 1.0) -> CalibrationText:
    path.write_text(content, encoding="utf-8")
    return CalibrationText(str(path), "of the file", share)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 500))
def test_each_share_is_rounded_to_whole_chunks_by_less_than_one(shares: list[float], n_chunks: int) -> None:
    chunks = chunk_shares(shares, n_chunks)
    assert sum(chunks) == n_chunks
    assert all(
        abs(count - share / sum(shares) * n_chunks) < 1 + 1e-9 for count, share in zip(chunks, shares, strict=True)
    )


def test_bos_replaces_the_first_token_of_each_chunk(vocabulary: Model, tmp_path: Path) -> None:
    content = "".join(chr(ord("a") + index % 26) for index in range(200))
    calibration = make_chunks(vocabulary, [text(tmp_path / "a.txt", content)], dataset_size=130, ctx=64)
    whole = vocabulary.tokenize(content, add_special=True, parse_special=False)
    # 130 tokens hold two whole chunks of 64.
    assert calibration.chunks == (tuple(whole[:64]), (vocabulary.bos, *whole[65:128]))
    (use,) = calibration.texts
    assert (use.name, use.n_chunks, use.tokens_available) == ("a.txt", 2, len(whole))
    assert use.sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_texts_contribute_their_shares_in_order(vocabulary: Model, tmp_path: Path) -> None:
    texts = [text(tmp_path / "en.txt", "x" * 2000, 0.25), text(tmp_path / "ja.txt", "日" * 2000, 0.75)]
    calibration = make_chunks(vocabulary, texts, dataset_size=64 * 8, ctx=64)
    assert [use.n_chunks for use in calibration.texts] == [2, 6]
    assert calibration.chunks[0] != calibration.chunks[-1]


def test_too_little_text_names_the_size_that_fits(vocabulary: Model, tmp_path: Path) -> None:
    texts = [text(tmp_path / "long.txt", "x" * 5000, 0.5), text(tmp_path / "short.txt", "y" * 200, 0.5)]
    with pytest.raises(BadInput, match=r"--dataset-size: got 4096; allowed: at most (\d+) tokens") as caught:
        make_chunks(vocabulary, texts, dataset_size=4096, ctx=64)
    fitting = int(str(caught.value).split("at most ")[1].split()[0])
    assert len(make_chunks(vocabulary, texts, dataset_size=fitting, ctx=64).chunks) == fitting // 64
    with pytest.raises(BadInput):
        make_chunks(vocabulary, texts, dataset_size=fitting + 64, ctx=64)


def test_published_text_names_have_no_folders() -> None:
    assert text_name("/a/b/topics.py#1/2") == "topics.py#1/2"
    assert text_name("/a/b/text.txt") == "text.txt"


def test_a_shuffle_seed_draws_chunks_from_all_parts_of_each_text(vocabulary: Model, tmp_path: Path) -> None:
    texts = [
        text(tmp_path / "en.txt", "".join(chr(ord("a") + index // 64 % 26) for index in range(1536)), 0.5),
        text(tmp_path / "ja.txt", "".join(chr(0x4E00 + index) for index in range(512)), 0.5),
    ]

    def chunks(seed: int | None) -> tuple[tuple[int, ...], ...]:
        return make_chunks(vocabulary, texts, dataset_size=64 * 8, ctx=64, rules=ChunkRules(seed)).chunks

    everything = set(make_chunks(vocabulary, texts, dataset_size=64 * 48, ctx=64).chunks)
    assert chunks(1) == chunks(1)
    assert len({chunks(None), chunks(1), chunks(2)}) == 3
    assert set(chunks(1)) <= everything
    assert len(set(chunks(1))) == 8


def test_special_tokens_are_parsed_only_if_the_mix_says_so(vocabulary: Model, tmp_path: Path) -> None:
    texts = [text(tmp_path / "chat.txt", "<|im_start|>x<|im_end|>" * 200)]
    special = set(vocabulary.tokenize("<|im_start|><|im_end|>", add_special=False, parse_special=True))
    plain, parsed = (
        make_chunks(vocabulary, texts, dataset_size=64, ctx=64, rules=ChunkRules(parse_special=parse)).chunks[0]
        for parse in (False, True)
    )
    assert not special & set(plain)
    assert special & set(parsed)
