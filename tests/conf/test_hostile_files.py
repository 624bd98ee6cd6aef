"""Broken and hostile configurations and mixes: each is refused with one message or gives a valid object, in seconds."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.faults import BadInput
from conf.load import DEFAULT_CONFIG, dump_yaml, load
from conf.mixes import FOLDER, read_mix
from conf.schema.pipeline import PipelineConfig
from conf.texts import read_text
from conf.user_files import read_user_bytes, read_user_text
from conf.yaml_files import read_yaml
from tests.hostile import put, within_seconds

CONFIGS = [path.read_bytes() for path in (DEFAULT_CONFIG, DEFAULT_CONFIG.with_name("demo.yaml"))] + [
    (DEFAULT_CONFIG.parent / "studies" / "multilingual_imatrix.yaml").read_bytes(),
    dump_yaml(PipelineConfig.model_validate({"models": [{"name": "m", "path": "m.gguf"}]})).encode(),
]
MIXES = [path.read_bytes() for path in sorted(FOLDER.glob("*.yaml"))]
MODEL = {"models": [{"name": "m", "path": "m.gguf"}]}


def _config(path: Path) -> None:
    config = load(path, MODEL)
    assert PipelineConfig.model_validate(config.model_dump()) == config
    dump_yaml(config)


def _mix(path: Path) -> None:
    assert sum(share for _, share in read_mix(str(path), data_dir=path.parent, key="--calibration").texts) > 0


def _try(seeds: range, contents: list[bytes], read: Callable[[Path], None], folder: Path) -> int:
    """Read a changed file per seed, and return how many were refused. Any other exception than `BadInput` fails."""
    refused = 0
    for seed in seeds:
        chance = random.Random(seed)
        path = folder / f"f{seed}.yaml"
        put(path, chance.choice(contents), chance)
        with within_seconds():
            try:
                read(path)
            except BadInput as error:
                refused += 1
                assert str(error) and all(len(str(fault)) < 5000 for fault in error.faults), seed
    return refused


def test_changed_configurations(tmp_path: Path) -> None:
    assert 60 < _try(range(150), CONFIGS, _config, tmp_path) < 150


def test_changed_mixes(tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    assert 60 < _try(range(150), MIXES, _mix, tmp_path) <= 150


@pytest.mark.slow
def test_many_changed_configurations_and_mixes(tmp_path: Path) -> None:
    assert _try(range(1000, 2500), CONFIGS, _config, tmp_path) > 600
    assert _try(range(3000, 4000), MIXES, _mix, tmp_path) > 600


def _bomb() -> str:
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    return "\n".join(
        lines + [f"{x}: &{x} [{', '.join(9 * [f'*{y}'])}]" for y, x in zip("abcdefgh", "bcdefghi", strict=True)]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runs: 1\nseed: 2\nruns: 3", "'runs' is given twice, in line 1 and in line 3"),
        ("sampling: {top_k: 1, top_k: 2}", "'top_k' is given twice, in line 1 and in line 1"),
        (_bomb(), "more than 50,000 values"),
        ("a: &a [*a]", r"line 1'.*alias \*a"),
        ("a: " + "[" * 100_000, "more than 30 levels"),
        ("recipes:\n  x: {method: !!python/name:os.system }", "line 2'.*tag"),
        ("runs: " + "9" * 6000, "line 1'.*thousands|4300 digits"),
        ("runs: " + "9" * 30, "64 bits"),
        ("runs: 2147483648", "--runs"),
        ('storage: "a\\0b"', "NUL character"),
        ("statistics: {margins: {ln_ppl: .inf}}", "finite"),
        ("protection: {target_size: " + "9" * 400 + "GB}", "million TiB"),
        ("calibration: {texts: [" + "a.txt, " * 20_000 + "]}", "--calibration.*at most 1000"),
        ("- a", "a mapping"),
        ("a: 1\n---\nb: 2", "another document"),
        ("models: []", "--model"),
    ],
)
def test_what_is_refused_in_a_configuration(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with within_seconds(), pytest.raises(BadInput, match=said) as raised:
        load(path, {} if "models" in text else MODEL)
    assert len(str(raised.value)) < 3000


def test_ordinary_yaml_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "\ufeffa: &a {x: 1, y: 日本}\nb: {<<: *a, x: 2.5}\nc: 2024-01-31\nd: [yes, ~, 'no']\n", encoding="utf-8"
    )
    assert read_yaml(path, key="--config") == {
        "a": {"x": 1, "y": "日本"},
        "b": {"x": 2.5, "y": "日本"},
        "c": "2024-01-31",
        "d": [True, None, "no"],
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x".encode("utf-16"), "UTF-8"),
        (b"a\n\xff", "byte 2"),
        (b"a\nb\0", "line 2.*NUL"),
        (b"x" * 100, "at most 50 bytes"),
    ],
)
def test_a_text_with_other_bytes_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read_user_text(path, key="--methodology", limit_bytes=50)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    places = [
        ("pipe", "a pipe"),
        ("", "directory"),
        ("loop", "symbolic links"),
        ("none", "No such file"),
        ("x" * 300, "long"),
    ]
    cases = [(tmp_path / name, said) for name, said in places]
    cases += [(Path("/dev/zero"), "a device"), (Path("a\0b"), "null byte"), (Path("/proc/self/mem"), "error")]
    for path, said in cases:
        with within_seconds(), pytest.raises(BadInput, match=said):
            read_user_bytes(path, key="--config")
        with within_seconds(), pytest.raises(BadInput):
            read_text(str(path))


def test_a_link_out_of_a_folder_is_refused_and_a_path_out_of_it_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "other.txt").write_text("x")
    (folder / "inside.txt").write_text("y")
    (folder / "link.txt").symlink_to("../other.txt")
    (folder / "good.txt").symlink_to("inside.txt")
    (tmp_path / "linked").symlink_to(folder)
    for base in (folder, tmp_path / "linked"):
        assert read_user_bytes(base / "good.txt", key="--data-dir", within=base) == b"y"
        assert read_user_bytes(base / ".." / "other.txt", key="--data-dir", within=base) == b"x"
        with pytest.raises(BadInput, match=r"a link to .*other\.txt"):
            read_user_bytes(base / "link.txt", key="--data-dir", within=base)


def test_a_message_shows_no_control_characters_and_no_endless_value(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text('"\\e]0;title\\a": ' + "x" * 10_000)
    with pytest.raises(BadInput) as raised:
        load(path, MODEL)
    assert "\x1b" not in str(raised.value) and "\\x1b]0;title\\x07" in str(raised.value)
    assert len(str(raised.value)) < 3000
