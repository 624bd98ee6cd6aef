"""`jobs.collect_imatrix` makes a matrix with its manifest, or reports what is wrong and writes nothing."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors import keys
from actors.llama.gguf_layout import read_layout
from actors.llama.isolated_trial import check_loads
from actors.quantization.groups import PartsFolder
from actors.quantization.imatrix import load_manifest
from actors.quantization.imatrix_file import read_imatrix
from actors.stored_files import ImatrixFiles
from jobs import collect_imatrix
from tests.jobs.running import run as run_job
from tests.jobs.running import start
from tests.rpc_servers import RpcBuild
from tests.tiny_model import TinyShape, write_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def run(*words: object) -> int:
    return collect_imatrix.main([str(word) for word in words])


def test_two_texts_give_equal_shares(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "en.txt", tmp_path / "ja.txt"
    first.write_text("the other thing " * 300, encoding="utf-8")
    second.write_text("日本語の文。" * 300, encoding="utf-8")
    output = tmp_path / "new" / "matrix.gguf"
    texts = ("--calibration", first, "--calibration", second)
    assert run("--model", tiny, "--output", output, *texts, "--dataset-size", 512, "--ctx", 64, "--threads", 1) == 0
    assert read_imatrix(output).datasets == ("en.txt", "ja.txt")
    assert [text.n_chunks for text in load_manifest(ImatrixFiles(output).manifest).texts] == [4, 4]
    assert "14 tensors from 512 tokens" in capsys.readouterr().out


def test_without_a_text_the_help_topics_are_read_and_named(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", tiny, "--output", tmp_path / "matrix.gguf", "--dataset-size", 512, "--threads", 1) == 0
    assert "CPython's help topics are read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("--dataset-size", 100_000_000), "--dataset-size: got 100000000; allowed: at most"),
        (("--dataset-size", 0), "--dataset-size: got 0"),
        (("--shards", 0), "--shards: got 0"),
        (("--shards", 3, "--dataset-size", 8192), "at most 2, the number of groups of 8 chunks"),
        (("--calibration", "nowhere.yaml"), "No such file"),
        (("--calibration", "en", "--calibration", "text.txt"), "one mix, or texts"),
        (("--calibration", "en"), "--data-dir"),
        (("--model", "another.gguf"), "one model"),
        (("--chart", "m.png"), "only together with --show-statistics"),
        (("--ctx", 1, "--threads", 0), "--threads: got 0"),
        (("--calibration", "missing.txt"), "No such file"),
        (("--config", "conf/demo.yaml"), "only with --weight-tokens"),
        (("--weight-tokens", "--config", "nowhere.yaml"), "No such file"),
    ],
)
def test_bad_input_is_reported_and_nothing_is_written(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], reported: str
) -> None:
    assert run("--model", tiny, "--output", tmp_path / "new" / "matrix.gguf", *words) == 2
    assert reported in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_all_faults_in_files_are_reported_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--calibration", "missing.txt", "--weight-tokens", "--config", "nowhere.yaml")
    assert run("--model", tmp_path / "missing.gguf", "--output", tmp_path / "matrix.gguf", *words) == 2
    reported = capsys.readouterr().err
    assert all(part in reported for part in ("missing.gguf", "missing.txt", "nowhere.yaml"))


def test_a_matrix_is_made_again_if_the_rule_for_keys_changes(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--model", tiny, "--output", tmp_path / "matrix.gguf", "--dataset-size", 512, "--ctx", 64, "--threads", 1)
    # A job that was killed before the end leaves its groups behind.
    monkeypatch.setattr(PartsFolder, "remove", lambda folder: None)
    assert run(*words) == 0
    groups = {path: path.stat().st_mtime_ns for path in tmp_path.glob("matrix.gguf.parts/*")}
    assert groups
    assert run(*words) == 0
    assert {path: path.stat().st_mtime_ns for path in groups} == groups, "saved groups are used again"
    monkeypatch.setattr(keys, "KEY_RULE", keys.KEY_RULE + 1)
    assert run(*words) == 0
    assert all(path.stat().st_mtime_ns != before for path, before in groups.items())
    assert load_manifest(ImatrixFiles(tmp_path / "matrix.gguf").manifest).key["rule"] == keys.KEY_RULE


def test_any_number_of_processes_gives_the_same_bits(tiny: Path, tmp_path: Path) -> None:
    # 20 chunks: groups of 8, 8 and 4.
    words = ("--model", tiny, "--dataset-size", 1280, "--ctx", 64, "--threads", 1)
    outputs = [tmp_path / f"{n_shards}.gguf" for n_shards in (1, 2, 3)]
    for n_shards, output in enumerate(outputs, start=1):
        assert run(*words, "--output", output, "--shards", n_shards) == 0
    assert len({output.read_bytes() for output in outputs}) == 1
    assert not list(tmp_path.glob("*.parts"))


def test_a_mix_is_collected_by_its_file_and_named_after_it(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "en.txt").write_text("the other thing " * 300, encoding="utf-8")
    (tmp_path / "ja.txt").write_text("日本語の文。" * 300, encoding="utf-8")
    mix = tmp_path / "two-to-one.yaml"
    texts = "texts: [{path: en.txt, share: 2}, {path: ja.txt}]"
    mix.write_text(f"{texts}\nchunk_shuffle_seed: 1\nsize: 2\n", encoding="utf-8")
    output = tmp_path / "matrix.gguf"
    options = ("--calibration", mix, "--data-dir", tmp_path, "--dataset-size", 192, "--ctx", 64, "--threads", 1)
    assert run("--model", tiny, "--output", output, *options) == 0
    manifest = load_manifest(ImatrixFiles(output).manifest)
    assert (manifest.mix, manifest.group_chunks, manifest.rules.chunk_shuffle_seed) == ("two-to-one", 8, 1)
    assert [(text.name, text.n_chunks) for text in manifest.texts] == [("en.txt", 4), ("ja.txt", 2)]


def damaged(model: Path) -> None:
    """Write infinite values into a weight of a model."""
    row = next(row for row in read_layout(model).tensors if row.name == "blk.0.attn_v.weight")
    with model.open("r+b") as file:
        file.seek(row.offset)
        file.write(np.full(256, np.inf, np.float16).tobytes())


def test_infinite_weights_are_refused_before_anything_is_collected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged(model := write_tiny_model(tmp_path / "broken.gguf"))
    assert run("--model", model, "--output", tmp_path / "matrix.gguf", "--dataset-size", 512, "--threads", 1) == 2
    assert "--model" in capsys.readouterr().err
    assert not (tmp_path / "matrix.gguf.parts").exists()


def test_a_failure_in_the_middle_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "broken.gguf")

    def check_then_damage(*words: Any, **keywords: Any) -> None:
        check_loads(*words, **keywords)
        damaged(model)

    monkeypatch.setattr(collect_imatrix, "check_loads", check_then_damage)
    assert run("--model", model, "--output", tmp_path / "matrix.gguf", "--dataset-size", 512, "--threads", 1) == 1
    reported = capsys.readouterr().err
    assert "group 1 of 1" in reported
    assert "not finite" in reported
    assert "--dataset-size" in reported


def test_tokens_are_weighted_as_the_configuration_says(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("the theorem of 12 and 3 kg of it in the end. " * 300, encoding="utf-8")
    config = tmp_path / "mine.yaml"
    config.write_text("protection: {token_weights: {mathematics: 3, science: 2}}\n", encoding="utf-8")
    options = ("--calibration", tmp_path / "text.txt", "--dataset-size", 512, "--ctx", 64, "--threads", 1)
    output = tmp_path / "matrix.gguf"
    assert run("--model", tiny, "--output", output, *options, "--weight-tokens", "--config", config) == 0
    assert "mathematics 3 (" in capsys.readouterr().out
    manifest = load_manifest(ImatrixFiles(output).manifest)
    assert manifest.mix == "default+weighted"
    assert manifest.token_weighting is not None
    uses = manifest.token_weighting.classes
    assert {label: use.weight for label, use in uses.items()} == {"mathematics": 3, "science": 2, "other": 1}
    assert manifest.key["token_weights"]["mathematics"] == 3
    assert run("--show-statistics", output) == 0
    assert "science 2 (" in capsys.readouterr().out


def test_the_statistics_of_a_matrix_are_shown(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "matrix.gguf"
    assert run("--model", tiny, "--output", output, "--dataset-size", 512, "--threads", 1) == 0
    capsys.readouterr()
    assert run("--show-statistics", output) == 0
    shown = capsys.readouterr().out
    assert "14 tensors with data" in shown
    assert "2 layers" in shown
    assert run("--show-statistics", output, "--chart", tmp_path / "charts" / "m.png") == 0
    assert {path.name for path in (tmp_path / "charts").iterdir()} == {"m.png", "m.svg", "m.vl.json"}
    capsys.readouterr()
    assert run("--show-statistics", output, "--chart", tmp_path / "m.txt") == 2
    assert "--chart" in capsys.readouterr().err
    assert run("--show-statistics", tiny) == 2
    assert "--show-statistics" in capsys.readouterr().err


@pytest.mark.parametrize("threads", [1, 2])
def test_a_signal_ends_the_job_at_once_and_it_says_how_to_go_on(tiny: Path, tmp_path: Path, threads: int) -> None:
    output = tmp_path / "matrix.gguf"
    words = ("--model", tiny, "--output", output, "--dataset-size", 65536, "--threads", threads)
    process = start("collect_imatrix", *map(str, words))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("matrix.gguf.parts/group-*.npz")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "Run the same command again to do the others" in err and "Traceback" not in err
    assert not output.exists()


@pytest.mark.slow
def test_on_devices_the_matrix_is_that_of_the_processor_under_its_own_key(
    tiny: Path, tmp_path: Path, rpc_build: RpcBuild
) -> None:
    words = ("--model", str(tiny), "--dataset-size", "2048", "--ctx", "64", "--threads", "1", "--output")
    host, device = tmp_path / "host.gguf", tmp_path / "device.gguf"
    assert run(*words, host) == 0
    with rpc_build.server() as first, rpc_build.server() as second:
        environment = rpc_build.environment(first, second)
        ended = run_job("collect_imatrix", *words, str(device), **environment)
        shared = run_job("collect_imatrix", *words, str(tmp_path / "no.gguf"), "--shards", "2", **environment)
    assert ended.code == 0, ended.err
    assert "on 1 x RPC server" in ended.out
    assert shared.code == 2 and "--shards: got 2; allowed: 1 on RPC server" in shared.err
    on_host, on_device = read_imatrix(host).entries, read_imatrix(device).entries
    assert on_device.keys() == on_host.keys()
    for name, entry in on_host.items():
        assert on_device[name].counts.tolist() == entry.counts.tolist()
        np.testing.assert_allclose(on_device[name].sum_squares, entry.sum_squares, rtol=1e-4, atol=1e-6)
    keys_of = [load_manifest(ImatrixFiles(one).manifest).key for one in (host, device)]
    assert keys_of[1]["devices"] == {"kind": "RPC server", "count": 1, "split": "none"}
    assert "devices" not in keys_of[0] and keys_of[0]["gpu_layers"] == 0 and keys_of[1]["gpu_layers"] == -1


@pytest.mark.slow
def test_a_device_without_memory_for_the_model_gets_fewer_layers_of_it(tmp_path: Path, rpc_build: RpcBuild) -> None:
    # 100 MiB of weights in 9 layers. The server says that it has 1000 MiB, and gets 64.
    large, output = write_tiny_model(tmp_path / "large.gguf", shape=TinyShape(n_layers=8, n_ff=4096)), "matrix.gguf"
    words = ("--model", str(large), "--dataset-size", "1024", "--ctx", "64", "--threads", "1", "--output")
    with rpc_build.server(says_bytes=1000 * 2**20, memory_bytes=64 * 2**20) as server:
        ended = run_job("collect_imatrix", *words, str(tmp_path / output), **rpc_build.environment(server))
    assert ended.code == 0, ended.out + ended.err
    assert "on 1 x RPC server" in ended.out and "llama.cpp got no memory" in ended.err
    assert load_manifest(ImatrixFiles(tmp_path / output).manifest).key["gpu_layers"] in range(9)


@pytest.mark.slow
def test_without_memory_on_any_device_or_the_host_the_job_fails_and_says_what_helps(
    tmp_path: Path, rpc_build: RpcBuild
) -> None:
    model = write_tiny_model(tmp_path / "large.gguf", shape=TinyShape(n_layers=8, n_ff=4096))
    words = ("--model", str(model), "--dataset-size", "1024", "--ctx", "64", "--threads", "1", "--output")
    # It says that it has so much that even half of it holds all layers.
    with rpc_build.server(says_bytes=8 * 2**30, memory_bytes=64 * 2**20) as server:
        ended = run_job("collect_imatrix", *words, str(tmp_path / "m.gguf"), **rpc_build.environment(server))
    assert ended.code == 1 and not (tmp_path / "m.gguf").exists()
    assert "llama.cpp got no memory" in ended.err and "Traceback" not in ended.err
