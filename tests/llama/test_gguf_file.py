"""Headers are read correctly, and an unusable file raises `BadInput`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.llama.gguf_file import read_header
from actors.llama.gguf_layout import CutShortError, NotGgufError, read_layout
from conf.faults import BadInput
from tests.gguf_mutations import gguf_text, gguf_texts, parse
from tests.small_model import smollm2_path
from tests.tiny_model import TinyShape, write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def write_gguf(path: Path, **values: int) -> Path:
    """Write a file with one tensor and some numbers in its metadata."""
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in values.items():
        writer.add_uint16(key.replace("__", "."), value)
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_header_describes_the_model(tiny: Path) -> None:
    header = read_header(tiny)
    assert (header.architecture, header.name, header.file_type) == ("llama", "Tiny", "F16")
    assert (header.n_layers, header.n_ctx_train) == (2, 2048)
    assert header.has_chat_template
    assert header.dequantized_from is None
    assert header.size_bytes == tiny.stat().st_size
    # Embedding and output have 386 rows. A block has attention (q, k, v, output), MLP and two norms. One final norm.
    block = 256 * (256 + 128 + 128 + 256) + 3 * 256 * 512 + 2 * 256
    assert header.n_parameters == 2 * 386 * 256 + 2 * block + 256
    assert 16 < header.bits_per_weight < 16.1


def test_the_type_of_a_quantized_source_is_stated() -> None:
    header = read_header(smollm2_path())
    assert header.file_type == header.dequantized_from == "Q4_1"
    assert header.n_parameters == 134_515_008


def test_the_tensor_table_equals_that_of_the_gguf_package(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "experts.gguf", shape=TinyShape(n_experts=3))
    expected = gguf.GGUFReader(path).tensors
    assert [(row.name, row.shape, row.type, row.n_bytes, row.offset) for row in read_layout(path).tensors] == [
        (row.name, tuple(row.shape.tolist()), row.tensor_type.name, row.n_bytes, row.data_offset) for row in expected
    ]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "letters GGUF"), (b"PK\3\4 some zip", "letters GGUF"), (b"GGUF", "cut short")]
)
def test_a_file_that_is_not_gguf_is_bad_input(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"--arm.*{reason}"):
        read_header(path, key="--arm")


def test_a_file_without_its_last_byte_is_cut_short(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.gguf"
    # The writer pads the last tensor to 32 bytes, so 33 bytes fewer means that data is missing.
    path.write_bytes(tiny.read_bytes()[:-33])
    with pytest.raises(BadInput, match="cut short"):
        read_header(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_header_is_refused_or_read_but_never_crashes(data: st.DataObject, tiny: Path) -> None:
    whole = tiny.read_bytes()[:12_000]
    cut = bytearray(whole[: data.draw(st.integers(4, len(whole)))])
    place = data.draw(st.integers(4, len(cut) - 1)) if len(cut) > 4 else None
    if place is not None:
        cut[place] = data.draw(st.integers(0, 255))
    path = tiny.with_name("changed.gguf")
    path.write_bytes(cut)
    with contextlib.suppress(CutShortError, NotGgufError):
        read_layout(path)


def test_an_unusable_path_gives_an_error_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="path of a file in it"):
        read_header(tmp_path)
    with pytest.raises(BadInput, match="no such file"):
        read_header(tmp_path / "missing.gguf")
    with pytest.raises(BadInput, match="must be named"):
        read_header(write_gguf(tmp_path / "model.gguf", split__count=2))


def test_labels_are_read_and_missing_ones_are_left_out(tmp_path: Path, tiny: Path) -> None:
    facts = {"name": "Tiny", "context_length": 2048, "tokenizer": "llama", "vocabulary": 386}
    assert read_header(tiny).labels == facts
    values = {
        "general.license": gguf_text("apache-2.0"),
        "general.languages": gguf_texts("en", "ja"),
        "general.repo_url": gguf_text("https://huggingface.co/owner/name"),
        "general.base_model.count": (gguf.GGUFValueType.UINT32, (1).to_bytes(4, "little")),
        "general.base_model.0.name": gguf_text("Tiny Base"),
    }
    parsed = parse(tiny.read_bytes())
    for key, value in values.items():
        parsed.values.append((key.encode(), *value))
    (tmp_path / "labelled.gguf").write_bytes(parsed.written())
    assert read_header(tmp_path / "labelled.gguf").labels == {
        "license": "apache-2.0",
        "languages": ["en", "ja"],
        "repository": "https://huggingface.co/owner/name",
        "base_models": ["Tiny Base"],
        **facts,
    }
