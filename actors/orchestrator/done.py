"""Finds what is already done: in this run directory, and under the same key in other pipelines of the same storage.

A unit is done if its done-mark exists and is not damaged. The done-mark of an arm or a matrix is its manifest; that of
a block is its records file. Work of other pipelines is hard-linked if the file system allows it, and copied if not. The
done-mark is always written last.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.json_lines import is_whole_jsonl
from actors.orchestrator.own_files import arm_manifest, judgements, matrix_manifest, performance
from actors.orchestrator.plan import Plan, PlannedImatrix, RecordsDirectory
from actors.store import RunDirectory
from actors.stored_files import ArmFiles, ImatrixFiles, RecordsFolder, timings_path
from conf.faults import Fault, Faults
from conf.files import atomic_path, exists, leftovers_below, read_object, remove, write_json


def known_seed_groups(run: RunDirectory) -> dict[str, Sequence[Sequence[int]]]:
    """Return the seed groups that earlier runs used, by records directory.

    Raises:
        BadInput: a `meta.json` is damaged. Without it, nobody knows which seeds the records have.
    """
    faults, groups = Faults(), {}
    for folder in run.described_records():
        meta = _meta(folder)
        if meta is None:
            step = f"Remove the folder {folder.path}. Its answers are then made again."
            faults.add(Fault("--storage", str(folder.meta), "a readable description of the records beside it", step))
        else:
            groups[str(folder.path)] = meta["seed_groups"]
    faults.stop_if_any()
    return groups


def _meta(folder: RecordsFolder) -> dict[str, Any] | None:
    """Read the `meta.json` of a records folder. Return None if it is damaged."""
    meta = read_object(folder.meta)
    if meta is None or not isinstance(meta.get("key"), dict) or not isinstance(meta.get("seed_groups"), list):
        return None
    groups = meta["seed_groups"]
    whole = all(isinstance(group, list) and all(isinstance(seed, int) for seed in group) for group in groups)
    return meta if whole else None


def find_done(plan: Plan) -> frozenset[str]:
    """Return the units whose done-marks are in the run directory."""
    done = [one.unit for one in plan.imatrices if matrix_manifest(ImatrixFiles(one.file)) is not None]
    # Adding up the groups checks whether each belongs to this matrix, and decodes those that do not.
    done += [name for one in plan.imatrices for name, path in _group_files(one) if exists(path)]
    done += [arm.unit for arm in plan.arms if arm.unit and arm_manifest(ArmFiles.in_own_folder(arm.gguf_path))]
    done += [one.unit for one in plan.performances if performance(one.order.output_path) is not None]
    done += [check.unit for check in plan.checks if read_object(check.order.output_path) is not None]
    done += [block.unit for block in plan.blocks if is_whole_jsonl(block.records_path)]
    done += [one.unit for one in plan.judgings if judgements(one.output_path) is not None]
    return frozenset(done)


def describe_done(plan: Plan, done: frozenset[str], adopted: int) -> str:
    """Return what need not be done again; empty if nothing was done before.

    Args:
        plan: the plan.
        done: the units that are done.
        adopted: how many of them other pipelines of the storage had done; 0: none.
    """
    matrices = [one for one in plan.imatrices if one.unit in done]
    parts = [name for one in plan.imatrices if one not in matrices for name in one.group_units if name in done]
    n_arms = sum(arm.unit in done for arm in plan.arms if arm.unit)
    answered = [cell for cell in plan.cells if cell.blocks and done.issuperset(cell.blocks)]
    begun = [cell for cell in plan.cells if cell not in answered and not done.isdisjoint(cell.blocks)]
    judged = [cell for cell in plan.cells if cell.judgings]
    n_judged = sum(done.issuperset(cell.judgings) for cell in judged)
    counts = (
        (len(matrices), "importance matrix" if len(matrices) == 1 else "importance matrices"),
        (len(parts), "part of an unfinished importance matrix" if len(parts) == 1 else "parts of importance matrices"),
        (n_arms, "GGUF" if n_arms == 1 else "GGUFs"),
        (len(answered), f"of {len(plan.cells):,} cells"),
        (len(begun), "cell in part" if len(begun) == 1 else "cells in part"),
        (n_judged, f"of {len(judged):,} cells judged"),
    )
    found = [f"{count:,} {what}" for count, what in counts if count]
    if not found:
        return ""
    own = " (in part from other pipelines of this storage)" if adopted else ""
    return f"Reused: {', '.join(found)}{own}"


def write_meta(directory: RecordsDirectory) -> None:
    """Write the `meta.json` of a records directory. It must exist before the first block."""
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
    """Take over what other pipelines of the storage have done under the same keys. Return the number of units."""
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
    """Delete what killed processes left: temporary files and folders, and groups that were already added up.

    Only the owner of the run directory may do this. What a worker of a killed job is still writing is made again.
    """
    for path in leftovers_below(run.root):
        remove(path)
    for matrix in run.matrices_with_groups():
        # The matrix is complete, but its writer was killed just before it removed the groups.
        if exists(matrix.manifest):
            remove(matrix.parts)


def _group_files(one: PlannedImatrix) -> list[tuple[str, Path]]:
    """Return the units and the files of a matrix's groups."""
    return [(name, ImatrixFiles(one.file).group(number)) for number, name in enumerate(one.group_units)]


def _adopt_made(found: Sequence[ArmFiles | ImatrixFiles], ours: ArmFiles | ImatrixFiles, key: Mapping[str, Any]) -> int:
    """Link files that another pipeline made with the same key, with their done-mark.

    Args:
        found: the files of other pipelines that may have this key.
        ours: the files to make.
        key: the key that both must have.

    Returns:
        The number of units: 1, or 0 if none has the key.
    """
    for theirs in found:
        manifest = read_object(theirs.manifest) if theirs.are_complete() else None
        if theirs.all == ours.all or manifest is None or manifest["key"] != dict(key):
            continue
        for source, target in zip(theirs.all, ours.all, strict=True):
            if exists(source):
                _link(source, target)
        return 1
    return 0


def _adopt_records(run: RunDirectory, directory: RecordsDirectory) -> int:
    """Link the records of the same key from other pipelines. Return the number of blocks."""
    ours = RecordsFolder(directory.path)
    adopted = 0
    for folder in run.records_in_storage(ours):
        meta = _meta(folder)
        if folder.path == ours.path or meta is None or meta["key"] != dict(directory.key):
            continue
        theirs = [tuple(group) for group in meta["seed_groups"]]
        for number, group in enumerate(directory.seed_groups):
            if group not in theirs:
                continue
            for records in folder.blocks(theirs.index(group)):
                # The order of the items is fixed, so blocks with the same first item and count have the same items.
                own = ours.same_items(records, number)
                if exists(own) or not is_whole_jsonl(records):
                    continue
                if exists(timings_path(records)):
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
