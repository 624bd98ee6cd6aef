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

from actors.orchestrator.plan import Plan, PlannedImatrix, RecordsDirectory
from actors.store import (
    ArmFiles,
    ImatrixFiles,
    RecordsFolder,
    RunDirectory,
    atomic_path,
    exists,
    leftovers_below,
    read_json,
    remove,
    timings_path,
    write_json,
)


def known_seed_groups(run: RunDirectory) -> dict[str, Sequence[Sequence[int]]]:
    """By records directory, the seed groups that earlier runs used there."""
    return {str(folder.path): read_json(folder.meta)["seed_groups"] for folder in run.described_records()}


def find_done(plan: Plan) -> frozenset[str]:
    """Units whose done-marks are in the run directory."""
    done = [one.unit for one in plan.imatrices if ImatrixFiles(one.file).are_complete()]
    # Whether a group is really of this work is seen when it is added up: what is not is decoded then.
    done += [name for one in plan.imatrices for name, path in _group_files(one) if exists(path)]
    done += [arm.unit for arm in plan.arms if arm.unit and ArmFiles.in_own_folder(arm.gguf_path).are_complete()]
    done += [one.unit for one in plan.performances if exists(one.order.output_path)]
    done += [check.unit for check in plan.checks if exists(check.order.output_path)]
    done += [block.unit for block in plan.blocks if exists(block.records_path)]
    return frozenset(done)


def write_meta(directory: RecordsDirectory) -> None:
    """`meta.json` of a records directory; it comes before the first block."""
    write_json(
        RecordsFolder(directory.path).meta,
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
            ours = ImatrixFiles(one.file)
            adopted += _adopt_made(run.matrices_in_storage(ours.matrix.name), ours, one.order.key)
    for arm in plan.arms:
        if arm.order and arm.unit not in done:
            files = ArmFiles.in_own_folder(arm.gguf_path)
            adopted += _adopt_made(run.arms_in_storage(arm.key_hash, files.gguf.name), files, arm.order.key)
    for directory in plan.directories:
        adopted += _adopt_records(run, directory)
    return adopted


def remove_leftovers(run: RunDirectory) -> None:
    """Delete what killed writers left: temporary files and folders, and groups that are added up already.

    Whoever owns the run directory may: what a worker of a killed job is still writing is made again.
    """
    for path in leftovers_below(run.root):
        remove(path)
    for matrix in run.matrices_with_groups():
        # The groups of a matrix that is whole: its writer was killed just before it removed them.
        if exists(matrix.manifest):
            remove(matrix.parts)


def _group_files(one: PlannedImatrix) -> list[tuple[str, Path]]:
    return [(name, ImatrixFiles(one.file).group(number)) for number, name in enumerate(one.group_units)]


def _adopt_made(found: Sequence[ArmFiles | ImatrixFiles], ours: ArmFiles | ImatrixFiles, key: Mapping[str, Any]) -> int:
    for theirs in found:
        if theirs.all == ours.all or not exists(theirs.manifest) or read_json(theirs.manifest).get("key") != dict(key):
            continue
        for source, target in zip(theirs.all, ours.all, strict=True):
            if exists(source):
                _link(source, target)
        return 1
    return 0


def _adopt_records(run: RunDirectory, directory: RecordsDirectory) -> int:
    ours = RecordsFolder(directory.path)
    adopted = 0
    for folder in run.records_in_storage(ours):
        meta = read_json(folder.meta)
        if folder.path == ours.path or meta["key"] != dict(directory.key):
            continue
        theirs = [tuple(group) for group in meta["seed_groups"]]
        for number, group in enumerate(directory.seed_groups):
            if group not in theirs:
                continue
            for records in folder.blocks(theirs.index(group)):
                # Items stand in a fixed order, so the same first item and count mean the same items.
                own = ours.same_items(records, number)
                if exists(own):
                    continue
                if exists(timings_path(records)):
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
