"""A split model is read, loaded and quantized like the same model in one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import read_header
from actors.llama.gguf_layout import CutShortError, MissingPartError, NotGgufError, first_part, part_names, read_layout
from actors.llama.model import Model
from actors.llama.quantizer import plan_quantization, quantize
from conf.faults import BadInput
from tests.split_gguf import split_gguf
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("whole") / "tiny-F16.gguf")


@pytest.fixture
def parts(whole: Path, tmp_path: Path) -> list[Path]:
    return split_gguf(whole, tmp_path, 3)


def test_the_name_of_the_first_part_reads_all_parts(whole: Path, parts: list[Path]) -> None:
    one, several = read_layout(whole), read_layout(parts[0])
    assert several.parts == tuple(parts)
    assert [replace(row, offset=0, part=0) for row in several.tensors] == [
        replace(row, offset=0) for row in one.tensors
    ]
    assert {key: several.raw[key] for key in one.raw} == one.raw
    assert several.size_bytes == sum(part.stat().st_size for part in parts)
    # The same as for one file, plus the three `split.` keys.
    assert one.data_offset <= several.data_offset <= one.data_offset + 128
    first = next(row for row in several.tensors if row.part == 2)
    data = parts[2].read_bytes()[first.offset : first.offset + first.n_bytes]
    same = next(row for row in one.tensors if row.name == first.name)
    assert data == whole.read_bytes()[same.offset : same.offset + same.n_bytes]


def test_the_header_of_a_split_model_equals_that_of_the_whole_model(whole: Path, parts: list[Path]) -> None:
    one, several = read_header(whole), read_header(parts[0])
    assert several.n_parameters == one.n_parameters
    assert several.bits_per_weight == one.bits_per_weight
    assert several.parts == tuple(parts)


def test_llama_cpp_loads_the_parts(parts: list[Path]) -> None:
    with Model(parts[0]) as model:
        assert model.tokenize("the thing", add_special=False, parse_special=False)


def test_quantizing_a_split_model_gives_the_same_tensors(whole: Path, parts: list[Path], tmp_path: Path) -> None:
    kind = resolve_type("q4_k_m")
    made = {}
    for name, source in (("whole", whole), ("parts", parts[0])):
        path = tmp_path / f"{name}.gguf"
        quantize(source, path, kind, imatrix=None, threads=1)
        content, layout = path.read_bytes(), read_layout(path)
        made[name] = {row.name: content[row.offset : row.offset + row.n_bytes] for row in layout.tensors}
        predicted = plan_quantization(source, kind, with_imatrix=False).size_bytes
        assert abs(predicted - path.stat().st_size) < 0.01 * path.stat().st_size
    assert made["whole"] == made["parts"]


def test_the_name_of_any_part_gives_all_names() -> None:
    names = ["sub/m-00001-of-00002.gguf", "sub/m-00002-of-00002.gguf"]
    assert part_names(names[1]) == names
    assert part_names("m.gguf") == ["m.gguf"]
    assert first_part(Path("/a/m-00007-of-00010.gguf")) == Path("/a/m-00001-of-00010.gguf")
    assert first_part(Path("/a/m.gguf")) == Path("/a/m.gguf")


def test_the_error_names_a_missing_part(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(MissingPartError, match=r"split-F16-00002-of-00003\.gguf"):
        read_layout(parts[0])
    with pytest.raises(BadInput, match=r"--arm.*missing: split-F16-00002.*into the same folder"):
        read_header(parts[0], key="--arm")


def test_the_error_names_a_part_that_is_cut_short(parts: list[Path]) -> None:
    parts[2].write_bytes(parts[2].read_bytes()[:-64])
    with pytest.raises(CutShortError, match="00003"):
        read_layout(parts[0])


def test_parts_in_the_wrong_order_or_with_other_names_are_refused(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(NotGgufError, match="give the path of the first"):
        read_layout(parts[1])
    parts[2].write_bytes(parts[1].read_bytes())
    with pytest.raises(NotGgufError, match="in a different order"):
        read_layout(parts[0])
    with pytest.raises(NotGgufError, match="must be named"):
        read_layout(parts[0].rename(tmp_path / "renamed.gguf"))
