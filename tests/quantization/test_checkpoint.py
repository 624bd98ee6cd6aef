"""Which files belong to a checkpoint, which are ignored, and what is reported if one is incomplete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.quantization.checkpoint import Checkpoint, read_checkpoint
from actors.quantization.convert import link_data_files
from conf.faults import BadInput
from tests.quantization.safetensors_files import LLAMA, checkpoint_files, safetensors, write_files


def read(folder: Path) -> Checkpoint:
    return read_checkpoint(folder, "mine", key="--model", got="given")


def test_a_checkpoint_is_its_configuration_tokenizer_and_indexed_weights(tmp_path: Path) -> None:
    checkpoint = read(write_files(tmp_path, checkpoint_files()))
    assert checkpoint.files == (
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    )
    assert (checkpoint.name, checkpoint.architecture) == ("mine", "LlamaForCausalLM")
    assert checkpoint.gguf_bytes == 2 * (2 * 64 * 32 + 32)
    assert not checkpoint.has_own_code


@pytest.mark.parametrize(("dtype", "outtype"), [("BF16", "bf16"), ("F16", "f16"), ("F32", "f32")])
def test_the_output_type_loses_nothing(tmp_path: Path, dtype: str, outtype: str) -> None:
    assert read(write_files(tmp_path, checkpoint_files(dtype))).outtype == outtype


def test_matrices_of_two_types_need_f32_and_vectors_do_not_count(tmp_path: Path) -> None:
    mixed = {"a.weight": ("BF16", (4, 4)), "b.weight": ("F16", (4, 4)), "norm.weight": ("F32", (4,))}
    files = {"config.json": json.dumps(LLAMA).encode(), "model.safetensors": safetensors(mixed)}
    assert read(write_files(tmp_path, files)).outtype == "f32"


def test_a_checkpoint_published_as_quantized_is_recognized(tmp_path: Path) -> None:
    files = checkpoint_files("F8_E4M3", quantization_config={"quant_method": "fp8"})
    checkpoint = read(write_files(tmp_path, files))
    assert (checkpoint.quantized_as, checkpoint.outtype) == ("fp8", "bf16")


def without(name: str) -> dict[str, bytes]:
    return {key: content for key, content in checkpoint_files().items() if key != name}


def with_weights_in(file: object) -> dict[str, bytes]:
    return {**checkpoint_files(), "model.safetensors.index.json": json.dumps({"weight_map": {"a": file}}).encode()}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "it is empty"),
        (without("config.json"), r"there is no config\.json"),
        (without("model-00002-of-00002.safetensors"), r"missing: model-00002-of-00002\.safetensors"),
        ({"m-Q8_0.gguf": b"", "m-Q4_0.gguf": b""}, r"Name one of its files: given/m-Q4_0\.gguf, given/m-Q8_0\.gguf"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b""}, "this is an adapter"),
        ({"config.json": b"{}", "pytorch_model.bin": b""}, "pickles may run code"),
        ({"config.json": b"{}", "x.txt": b""}, r"there is no model\*\.safetensors"),
        ({**checkpoint_files(), "config.json": b"{"}, r"a readable config\.json"),
        ({**checkpoint_files(), "config.json": b"[]"}, "holds an object"),
        ({**checkpoint_files(), "config.json": b"[" * 100_000}, r"a readable config\.json"),
        ({**checkpoint_files(), "config.json": b"{}"}, "names its `architectures`"),
        ({**checkpoint_files(), "model-00001-of-00002.safetensors": b"short"}, "is not one, or is cut short"),
        ({**checkpoint_files(), "model-00001-of-00002.safetensors": b"\xff" * 64}, "is not one, or is cut short"),
        (with_weights_in("model.bin"), r"safetensors files of its own folder \(it names 'model\.bin'\)"),
        (with_weights_in("../model.safetensors"), "safetensors files of its own folder"),
        (with_weights_in("/etc/model.safetensors"), "safetensors files of its own folder"),
        (with_weights_in(["model.safetensors"]), "safetensors files of its own folder"),
        (with_weights_in("\x1b[31mx"), r"it names '\\x1b\[31mx'"),
    ],
)
def test_unusable_checkpoints_are_refused_before_conversion(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        read(write_files(tmp_path, files))
    assert "'given'" in str(caught.value)


@pytest.mark.parametrize(
    "spelled",
    [
        rb'{"\u0061uto_map": {"AutoTokenizer": ["x.Own", null]}, "bos_token": "<s>"}',
        rb'{"auto_map": 1, "auto\u005fmap": {"AutoTokenizer": ["x.Own", null]}, "bos_token": "<s>"}',
        '{"auto_map": {"AutoTokenizer": ["x.Own", null]}, "bos_token": "<s>"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"auto_map": {"AutoTokenizer": ["x.Own", null]}, "bos_token": "<s>"}',
    ],
)
def test_no_spelling_of_a_key_gets_a_program_past_the_shield(tmp_path: Path, spelled: bytes) -> None:
    checkpoint = read(write_files(tmp_path / "given", {**checkpoint_files(), "processor_config.json": spelled}))
    link_data_files(checkpoint, tmp_path / "shown")
    assert json.loads((tmp_path / "shown" / "processor_config.json").read_bytes()) == {"bos_token": "<s>"}


@pytest.mark.parametrize("content", [b'{"auto_map": ', b"auto_map: x", b"[" * 100_000, b"\xff\xff"])
def test_a_file_that_is_no_json_is_not_shown_to_the_converter(tmp_path: Path, content: bytes) -> None:
    checkpoint = read(write_files(tmp_path / "given", {**checkpoint_files(), "other.json": content}))
    link_data_files(checkpoint, tmp_path / "shown")
    assert not (tmp_path / "shown" / "other.json").exists() and (tmp_path / "shown" / "config.json").exists()


def test_values_of_other_keys_are_copied_as_they_are(tmp_path: Path) -> None:
    values = {"vocab": {"\ud800": 1, "日本": 2}, "eps": 1e-06, "big": 2**70, "inf": float("inf"), "none": None}
    files = {**checkpoint_files(), "tokenizer.json": json.dumps(values).encode()}
    link_data_files(read(write_files(tmp_path / "given", files)), tmp_path / "shown")
    assert json.loads((tmp_path / "shown" / "tokenizer.json").read_bytes()) == values


def test_a_truncated_weight_file_is_refused(tmp_path: Path) -> None:
    files = checkpoint_files()
    name = "model-00002-of-00002.safetensors"
    with pytest.raises(BadInput, match="cut short"):
        read(write_files(tmp_path, {**files, name: files[name][:-1]}))


def test_the_converter_sees_data_files_but_no_programs(tmp_path: Path) -> None:
    own_code = {"AutoTokenizer": ["tokenization_own.Own", None]}
    files = {
        **checkpoint_files(auto_map={"AutoConfig": "configuration_own.Own"}),
        "tokenizer_config.json": json.dumps({"auto_map": own_code, "bos_token": "<s>"}).encode(),
        "tokenization_own.py": b"raise SystemExit('run')",
    }
    checkpoint = read(write_files(tmp_path / "given", files))
    assert checkpoint.has_own_code
    link_data_files(checkpoint, tmp_path / "shown")
    shown = {path.name: path.read_bytes() for path in (tmp_path / "shown").iterdir()}
    assert set(shown) == set(checkpoint.files)
    assert not any(name.endswith((".py", ".bin")) for name in shown)
    assert json.loads(shown["config.json"]) == LLAMA
    assert json.loads(shown["tokenizer_config.json"]) == {"bos_token": "<s>"}
    weights = "model-00001-of-00002.safetensors"
    assert shown[weights] == files[weights]
