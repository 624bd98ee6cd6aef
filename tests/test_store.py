"""Writes that survive a kill, names that follow from content, and the places of files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.hashing import canonical_json, content_hash
from actors.json_lines import read_jsonl, write_jsonl
from actors.store import RunDirectory
from actors.stored_files import ArmFiles, ImatrixFiles, RecordsFolder, records_file, timings_path
from conf.files import atomic_path, folder_aside, read_json, remove_leftovers, write_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_the_hash_does_not_depend_on_the_order_of_keys(value: object) -> None:
    def turned(node: object) -> object:
        if isinstance(node, dict):
            return {key: turned(node[key]) for key in reversed(list(node))}
        return [turned(one) for one in node] if isinstance(node, list) else node

    assert content_hash(value) == content_hash(turned(value))


def test_a_value_without_a_stable_form_is_refused() -> None:
    for value in ({"a": {1, 2}}, float("nan"), object()):
        with pytest.raises((TypeError, ValueError)):
            canonical_json(value)


def test_a_known_hash() -> None:
    # sha256 of {"a":1,"b":"日"} in UTF-8, by `printf '{"a":1,"b":"日"}' | sha256sum`.
    assert content_hash({"b": "日", "a": 1}) == "848e9d3852f46cf248be4d427656469cf6459ebff9144929d8053e2bb0743efe"


def test_a_failing_write_leaves_no_file_and_no_leftover(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "x.json") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"old": True})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"new": object()})
    assert read_json(tmp_path / "x.json") == {"old": True}


def test_a_killed_writer_leaves_no_file_under_the_name(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom conf.files import atomic_path\n"
        f"with atomic_path({str(tmp_path / 'x.bin')!r}) as temporary:\n"
        "    temporary.write_bytes(b'half'); print('writing', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    time.sleep(0.05)
    assert not (tmp_path / "x.bin").exists()
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]


def test_rows_are_read_back_unchanged_and_japanese_stays_readable(tmp_path: Path) -> None:
    rows = [{"text": "答えは 42 です\n", "n": 1}, {"text": None, "n": 2}]
    write_jsonl(tmp_path / "r.jsonl", rows)
    assert read_jsonl(tmp_path / "r.jsonl") == rows
    assert "答え" in (tmp_path / "r.jsonl").read_text(encoding="utf-8")


def test_the_timings_file_lies_beside_its_records() -> None:
    assert timings_path("/r/00000-32.g0.jsonl") == Path("/r/00000-32.g0.timings.jsonl")


def test_every_file_of_an_arm_and_of_a_matrix_has_one_place() -> None:
    own = ArmFiles.in_own_folder("/p/artifacts/q4_0-12345678/m-Q4_0.gguf")
    assert [path.name for path in own.all] == [
        "m-Q4_0.gguf",
        "log.txt",
        "allocation.json",
        "losses.json",
        "manifest.json",
    ]
    shared = ArmFiles.in_shared_folder("/out/m-Q4_0.gguf")
    assert (shared.manifest, shared.log) == (Path("/out/m-Q4_0.manifest.json"), Path("/out/m-Q4_0.log.txt"))
    matrix = ImatrixFiles("/p/imatrix/en-12345678.gguf")
    assert matrix.manifest == Path("/p/imatrix/en-12345678.gguf.manifest.json")
    assert matrix.group(7) == Path("/p/imatrix/en-12345678.gguf.parts/group-00007.npz")


def test_a_block_is_found_by_its_unit_and_under_another_seed_group(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "p")
    ours, theirs = (RecordsFolder(run.root.parent / name / "records" / "gsm8k.f16-12345678") for name in ("p", "q"))
    block = ours.block(32, 16, seed_group=1)
    assert run.root / records_file(ours.unit(32, 16, seed_group=1)) == block
    assert theirs.same_items(block, seed_group=0) == theirs.block(32, 16, seed_group=0)
    for path in (block, timings_path(block), ours.meta, theirs.meta):
        write_json(path, {})
    assert ours.blocks(1) == [block]
    assert ours.blocks(0) == []
    assert [folder.path for folder in run.described_records()] == [ours.path]
    assert [folder.path for folder in run.records_in_storage(ours)] == [ours.path, theirs.path]


def test_leftovers_are_removed_and_files_being_written_stay(tmp_path: Path) -> None:
    (tmp_path / ".old.gguf.abc.part").write_bytes(b"half")
    with atomic_path(tmp_path / "new.gguf") as temporary:
        temporary.write_bytes(b"whole")
        remove_leftovers(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [temporary.name]
    assert [path.name for path in tmp_path.iterdir()] == ["new.gguf"]


def test_leftover_folders_are_removed_and_folders_being_filled_stay(tmp_path: Path) -> None:
    (tmp_path / ".old.db.abc.part").mkdir()
    (tmp_path / ".old.db.abc.part" / "old.db").write_bytes(b"half")
    with folder_aside(tmp_path / "new.db") as aside:
        (aside / "new.db").write_bytes(b"whole")
        remove_leftovers(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [aside.name]
        (tmp_path / "new.db").hardlink_to(aside / "new.db")
    assert [path.name for path in tmp_path.iterdir()] == ["new.db"]
