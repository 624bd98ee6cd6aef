"""Finds what is already done: in this run directory, and under the same key in other pipelines of the same storage.

A unit is done if its done-mark exists. The done-mark of an arm or a matrix is its manifest; that of a block is its
records file. Work of other pipelines is hard-linked if the file system allows it, and copied if not. The done-mark is
always written last.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.orchestrator.plan import Plan, PlannedArm, PlannedImatrix, RecordsDirectory
from actors.store import RunDirectory, atomic_path, group_path, read_json, remove, timings_path, write_json


def known_seed_groups(run: RunDirectory) -> dict[str, Sequence[Sequence[int]]]:
    """Return the seed groups that earlier runs used, by records directory."""
    return {
        str(meta.parent): read_json(meta)["seed_groups"] for meta in sorted((run.root / "records").glob("*/meta.json"))
    }


def find_done(plan: Plan) -> frozenset[str]:
    """Return the units whose done-marks are in the run directory."""
    done = [one.unit for one in plan.imatrices if Path(one.file).exists() and _imatrix_mark(one).exists()]
    # Adding up the groups checks whether each belongs to this matrix, and decodes those that do not.
    done += [name for one in plan.imatrices for name, path in _group_files(one) if path.exists()]
    done += [arm.unit for arm in plan.arms if arm.unit and Path(arm.gguf_path).exists() and _arm_mark(arm).exists()]
    done += [one.unit for one in plan.performances if Path(one.order.output_path).exists()]
    done += [check.unit for check in plan.checks if Path(check.order.output_path).exists()]
    done += [block.unit for block in plan.blocks if Path(block.records_path).exists()]
    return frozenset(done)


def write_meta(directory: RecordsDirectory) -> None:
    """Write the `meta.json` of a records directory. It must exist before the first block."""
    write_json(
        Path(directory.path) / "meta.json",
        {
            "arm": directory.arm,
            "benchmark": directory.benchmark,
            "key": directory.key,
            "item_ids": list(directory.item_ids),
            "seed_groups": [list(group) for group in directory.seed_groups],
        },
    )


def adopt(plan: Plan, run: RunDirectory) -> int:
    """Take over what other pipelines of the storage have done under the same keys. Return the number of units."""
    done = find_done(plan)
    adopted = 0
    for one in plan.imatrices:
        if one.unit not in done:
            adopted += _adopt_made(
                run, f"*/imatrix/{Path(one.file).name}", Path(one.file), _imatrix_mark(one), one.order.key
            )
    for arm in plan.arms:
        if arm.order and arm.unit not in done:
            target = Path(arm.gguf_path)
            pattern = f"*/artifacts/*-{arm.key_hash[:8]}/{target.name}"
            adopted += _adopt_made(run, pattern, target, _arm_mark(arm), arm.order.key)
    for directory in plan.directories:
        adopted += _adopt_records(run, directory)
    return adopted


def remove_leftovers(run: RunDirectory) -> None:
    """Delete what killed processes left: temporary files and folders, and groups that were already added up.

    Only the owner of the run directory may do this. What a worker of a killed job is still writing is made again.
    """
    for path in list(run.root.rglob(".*.part")):
        remove(path)
    for parts in run.root.glob("imatrix/*.parts"):
        # The matrix is complete, but its writer was killed just before it removed the groups.
        if Path(f"{parts}".removesuffix(".parts") + ".manifest.json").exists():
            shutil.rmtree(parts, ignore_errors=True)


def _group_files(one: PlannedImatrix) -> list[tuple[str, Path]]:
    """Return the units and the files of a matrix's groups."""
    return [(name, group_path(one.file, number)) for number, name in enumerate(one.group_units)]


def _imatrix_mark(one: PlannedImatrix) -> Path:
    return Path(f"{one.file}.manifest.json")


def _arm_mark(arm: PlannedArm) -> Path:
    return Path(arm.gguf_path).parent / "manifest.json"


def _adopt_made(run: RunDirectory, pattern: str, target: Path, mark: Path, key: Mapping[str, Any]) -> int:
    """Link a made file from another pipeline, with its done-mark. Return the number of units: 1, or 0 if none is found.

    Args:
        run: the run directory to link into.
        pattern: where the file may be, seen from the storage.
        target: the file to make.
        mark: its done-mark.
        key: the key that both must have.
    """
    for source in sorted(run.root.parent.glob(pattern)):
        source_mark = source.with_name(mark.name)
        if source == target or not source_mark.exists() or read_json(source_mark).get("key") != dict(key):
            continue
        _link(source, target)
        for extra in (source.with_name(name) for name in ("log.txt", "allocation.json", "losses.json")):
            if extra.exists():
                _link(extra, target.with_name(extra.name))
        _link(source_mark, mark)
        return 1
    return 0


def _adopt_records(run: RunDirectory, directory: RecordsDirectory) -> int:
    """Link the records of the same key from other pipelines. Return the number of blocks."""
    target = Path(directory.path)
    adopted = 0
    benchmark, _, named_hash = target.name.partition(".")
    pattern = f"*/records/{benchmark}.*-{named_hash.rpartition('-')[2]}/meta.json"
    for meta_path in sorted(run.root.parent.glob(pattern)):
        meta = read_json(meta_path)
        if meta_path.parent == target or meta["key"] != dict(directory.key):
            continue
        theirs = [tuple(group) for group in meta["seed_groups"]]
        for number, group in enumerate(directory.seed_groups):
            if group not in theirs:
                continue
            for records in sorted(meta_path.parent.glob(f"*.g{theirs.index(group)}.jsonl")):
                # The order of the items is fixed, so blocks with the same first item and count have the same items.
                own = target / f"{records.name.split('.')[0]}.g{number}.jsonl"
                if own.exists():
                    continue
                if timings_path(records).exists():
                    _link(timings_path(records), timings_path(own))
                _link(records, own)
                adopted += 1
    return adopted


def _link(source: Path, target: Path) -> None:
    """Make a hard link if the file system allows it, else a copy. Both are atomic."""
    with atomic_path(target) as temporary:
        temporary.unlink()
        with contextlib.suppress(OSError):
            os.link(source, temporary)
            return
        shutil.copyfile(source, temporary)
