"""What is done already: in this run directory, and under the same key in another pipeline of the same storage.

A unit is done when its done-mark is there: a manifest for what is made, the records file itself for a block.
Work of other pipelines is linked, not copied, where the file system can; the done-mark comes last.
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
    """By records directory, the seed groups that earlier runs used there."""
    return {
        str(meta.parent): read_json(meta)["seed_groups"] for meta in sorted((run.root / "records").glob("*/meta.json"))
    }


def find_done(plan: Plan) -> frozenset[str]:
    """Units whose done-marks are in the run directory."""
    done = [one.unit for one in plan.imatrices if Path(one.file).exists() and _imatrix_mark(one).exists()]
    # Whether a group is really of this work is seen when it is added up: what is not is decoded then.
    done += [name for one in plan.imatrices for name, path in _group_files(one) if path.exists()]
    done += [arm.unit for arm in plan.arms if arm.unit and Path(arm.gguf_path).exists() and _arm_mark(arm).exists()]
    done += [one.unit for one in plan.performances if Path(one.order.output_path).exists()]
    done += [check.unit for check in plan.checks if Path(check.order.output_path).exists()]
    done += [block.unit for block in plan.blocks if Path(block.records_path).exists()]
    return frozenset(done)


def write_meta(directory: RecordsDirectory) -> None:
    """`meta.json` of a records directory; it comes before the first block."""
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
    """Take over what other pipelines of the storage have done under the same keys; gives back the number of units."""
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
    """Delete what killed writers left: temporary files and folders, and groups that are added up already.

    Whoever owns the run directory may: what a worker of a killed job is still writing is made again.
    """
    for path in list(run.root.rglob(".*.part")):
        remove(path)
    for parts in run.root.glob("imatrix/*.parts"):
        # The groups of a matrix that is whole: its writer was killed just before it removed them.
        if Path(f"{parts}".removesuffix(".parts") + ".manifest.json").exists():
            shutil.rmtree(parts, ignore_errors=True)


def _group_files(one: PlannedImatrix) -> list[tuple[str, Path]]:
    return [(name, group_path(one.file, number)) for number, name in enumerate(one.group_units)]


def _imatrix_mark(one: PlannedImatrix) -> Path:
    return Path(f"{one.file}.manifest.json")


def _arm_mark(arm: PlannedArm) -> Path:
    return Path(arm.gguf_path).parent / "manifest.json"


def _adopt_made(run: RunDirectory, pattern: str, target: Path, mark: Path, key: Mapping[str, Any]) -> int:
    for source in sorted(run.root.parent.glob(pattern)):
        source_mark = source.with_name(mark.name)
        if source == target or not source_mark.exists() or read_json(source_mark).get("key") != dict(key):
            continue
        _link(source, target)
        for beside in (source.with_name(name) for name in ("log.txt", "allocation.json", "losses.json")):
            if beside.exists():
                _link(beside, target.with_name(beside.name))
        _link(source_mark, mark)
        return 1
    return 0


def _adopt_records(run: RunDirectory, directory: RecordsDirectory) -> int:
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
                # Items stand in a fixed order, so the same first item and count mean the same items.
                own = target / f"{records.name.split('.')[0]}.g{number}.jsonl"
                if own.exists():
                    continue
                if timings_path(records).exists():
                    _link(timings_path(records), timings_path(own))
                _link(records, own)
                adopted += 1
    return adopted


def _link(source: Path, target: Path) -> None:
    """A hard link where the file system can, else a copy; atomic either way."""
    with atomic_path(target) as temporary:
        temporary.unlink()
        with contextlib.suppress(OSError):
            os.link(source, temporary)
            return
        shutil.copyfile(source, temporary)
