"""Damaged files of our own store are made anew or told in one message. What reads them never ends in a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.hashing import file_sha256
from actors.json_lines import write_jsonl
from actors.orchestrator.done import adopt, find_done, known_seed_groups, write_meta
from actors.orchestrator.room import with_kept_cache_limit
from actors.orchestrator.sources.arms import source_model
from actors.orchestrator.sources.hashes import HashCache
from actors.quantization.measurement import _read
from actors.quantization.provenance import calibration_use
from actors.store import RunDirectory, file_hashes_path
from actors.stored_files import ArmFiles, ImatrixFiles
from conf.faults import BadInput
from conf.files import write_json
from tests.orchestrator.small_plan import make_config, make_small_plan
from tests.tiny_model import write_tiny_model

Damage = Callable[[Path], None]


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def not_json(path: Path) -> None:
    path.write_bytes(b"\x00\xff\xfe{" * 20)


def a_list(path: Path) -> None:
    path.write_text("[1, 2]")


def other_keys(path: Path) -> None:
    path.write_text('{"a": 1}')


def nested_deeply(path: Path) -> None:
    path.write_text("[" * 100_000)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


damages = pytest.mark.parametrize(
    "damage", [emptied, truncated, not_json, a_list, other_keys, nested_deeply, a_folder], ids=lambda one: one.__name__
)


@damages
def test_hashes_are_computed_again(tmp_path: Path, damage: Damage) -> None:
    model, expected = tmp_path / "file", HashCache(tmp_path)
    model.write_bytes(b"weights")
    expected.sha256(str(model))
    expected.save()
    damage(file_hashes_path(tmp_path))
    hashes = HashCache(tmp_path)
    assert hashes.sha256(str(model)) == file_sha256(model)
    hashes.save()


@damages
def test_records_whose_seeds_nobody_knows_are_told(tmp_path: Path, damage: Damage) -> None:
    run, plan = RunDirectory(tmp_path / "p"), make_small_plan(tmp_path)
    for directory in plan.directories:
        write_meta(directory)
    assert len(known_seed_groups(run)) == len(plan.directories)
    first = run.described_records()[0]
    damage(first.meta)
    with pytest.raises(BadInput, match=f"Remove the folder {first.path}") as caught:
        known_seed_groups(run)
    assert len(caught.value.faults) == 1


@damages
def test_records_of_another_pipeline_are_left_alone(tmp_path: Path, damage: Damage) -> None:
    plan, config = make_small_plan(tmp_path), make_config()
    for directory in plan.directories:
        write_meta(directory)
    (tmp_path / "p").rename(tmp_path / "other")
    for folder in RunDirectory(tmp_path / "other").described_records():
        damage(folder.meta)
    assert config.runs == 3
    assert adopt(plan, RunDirectory(tmp_path / "p")) == 0


@damages
def test_a_limit_of_the_cache_is_found_again(tmp_path: Path, damage: Damage) -> None:
    run, config = RunDirectory(tmp_path), make_config()
    write_json(run.cache_limit, {"kv_cache_mib": 64})
    assert with_kept_cache_limit(config, run).layout.kv_cache_mib == 64
    damage(run.cache_limit)
    assert with_kept_cache_limit(config, run) == config
    assert run.folders_in_place_of_files() == ([run.cache_limit] if damage is a_folder else [])


def done_manifest() -> dict[str, Any]:
    """Return a manifest with what results need of an arm or a matrix."""
    counts = {"n_tokens": 1, "n_chunks": 1, "ctx": 512, "group_chunks": 8, "n_tensors": 1, "n_processes": 1}
    speed = {"seconds": 1.0, "tokens_per_second": 1.0}
    return {"key": {}, "sha256": "0" * 64, "texts": [], "rules": {}, **counts, **speed, "size_bytes": 4, "types": {}}


def done_performance() -> dict[str, Any]:
    rounds = {"prompt_tokens": 1, "answer_tokens": 1, "prompt_s": [1.0], "decode_s": [1.0]}
    batches = {"batch_1": {"sequences": 1, **rounds}, "batched": {"sequences": 2, **rounds}}
    facts = {"file_bytes": 1, "threads": 1, "n_ctx": 256, "memory": [], "machine": None, "worker_pid": 1}
    return {"load_s": 0.1, **batches, **facts}


def done_marks(root: Path) -> dict[str, Path]:
    """Make a small plan's units look done, and return the done-mark of one unit of each kind."""
    plan = make_small_plan(root)
    manifest = done_manifest()
    marks = {}
    for one in plan.imatrices:
        files = ImatrixFiles(one.file)
        files.matrix.parent.mkdir(parents=True)
        files.matrix.write_bytes(b"GGUF")
        write_json(files.manifest, manifest)
        marks[one.unit] = files.manifest
    for arm in plan.arms:
        if arm.unit:
            arm_files = ArmFiles.in_own_folder(arm.gguf_path)
            write_json(arm_files.manifest, manifest)
            arm_files.gguf.write_bytes(b"GGUF")
            marks[arm.unit] = arm_files.manifest
    for measured in plan.performances:
        write_json(measured.order.output_path, done_performance())
        marks[measured.unit] = Path(measured.order.output_path)
    for check in plan.checks:
        write_json(check.order.output_path, {"ok": True})
        marks[check.unit] = Path(check.order.output_path)
    for block in plan.blocks:
        write_jsonl(block.records_path, [{"item_id": "a"}, {"item_id": "b"}, {"item_id": "c"}])
        marks[block.unit] = Path(block.records_path)
    return marks


@damages
def test_damaged_done_marks_mark_nothing(tmp_path: Path, damage: Damage) -> None:
    marks = done_marks(tmp_path)
    assert find_done(make_small_plan(tmp_path)) == marks.keys()
    kinds: dict[str, str] = {unit.split("/")[0]: unit for unit in marks}
    assert len(kinds) >= 4
    for kind, unit in kinds.items():
        if damage is other_keys and kind in ("records", "checks"):
            continue  # only that they are there counts, and what is in records is read at the end
        damage(marks[unit])
        assert unit not in find_done(make_small_plan(tmp_path)), unit


@damages
def test_a_manifest_beside_a_model_or_matrix_is_not_believed(tmp_path: Path, damage: Damage) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    files = ArmFiles.in_shared_folder(model)
    write_json(files.manifest, {"key": {}, "sha256": file_sha256(model), "dequantized_from": "Q4_0"})
    hashes = HashCache(tmp_path)
    assert source_model("m", str(model), None, hashes).dequantized_from == "Q4_0"
    damage(files.manifest)
    assert source_model("m", str(model), None, hashes).dequantized_from is None
    matrix = ImatrixFiles(tmp_path / "matrix.gguf")
    matrix.matrix.write_bytes(b"GGUF")
    write_json(matrix.manifest, {"key": {}, "sha256": "0", "texts": [], "rules": {}, "n_tokens": 1})
    damage(matrix.manifest)
    assert calibration_use(str(matrix.matrix), "0") is None


@damages
def test_what_an_earlier_start_has_written_is_left_out(tmp_path: Path, damage: Damage) -> None:
    errors = tmp_path / "errors.json"
    errors.write_text(json.dumps({"tensor": {"types": {}}}))
    damage(errors)
    assert _read(str(errors)) == {}
