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
        ({**checkpoint_files(), "config.json": b"{}"}, "names its `architectures`"),
        ({**checkpoint_files(), "model-00001-of-00002.safetensors": b"short"}, "is not one, or is cut short"),
        ({**checkpoint_files(), "model-00001-of-00002.safetensors": b"\xff" * 64}, "is not one, or is cut short"),
    ],
)
def test_unusable_checkpoints_are_refused_before_conversion(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        read(write_files(tmp_path, files))
    assert "'given'" in str(caught.value)


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
