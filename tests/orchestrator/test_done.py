"""What a killed run leaves behind is removed, except for what can still be used."""

from __future__ import annotations

from pathlib import Path

from actors.orchestrator.done import describe_done, find_done, remove_leftovers
from actors.store import RunDirectory
from actors.stored_files import ImatrixFiles
from tests.orchestrator.small_plan import make_small_plan


def test_groups_are_kept_until_their_matrix_has_a_manifest(tmp_path: Path) -> None:
    (matrix,) = make_small_plan(tmp_path).imatrices
    group = ImatrixFiles(matrix.file).group(1)
    group.parent.mkdir(parents=True)
    group.write_bytes(b"")
    (group.parent / ".group-00002.npz.x.part").write_bytes(b"")
    run = RunDirectory(tmp_path / "p")
    remove_leftovers(run)
    assert [path.name for path in group.parent.iterdir()] == ["group-00001.npz"]
    assert find_done(make_small_plan(tmp_path)) == {f"{matrix.unit}/group-00001"}
    ImatrixFiles(matrix.file).manifest.write_text("{}", encoding="utf-8")
    remove_leftovers(run)
    assert not group.parent.exists()


def test_temporary_folders_of_a_killed_job_are_removed(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "p")
    unfinished = run.root / ".mlflow.db.x.part"
    unfinished.mkdir(parents=True)
    (unfinished / "mlflow.db").write_bytes(b"half")
    remove_leftovers(run)
    assert list(run.root.iterdir()) == []


def test_what_is_reused_is_counted_in_what_people_know(tmp_path: Path) -> None:
    plan = make_small_plan(tmp_path)
    (matrix,) = plan.imatrices
    assert describe_done(plan, frozenset(), 0) == ""
    whole, begun = plan.cells[0], next(cell for cell in plan.cells if len(cell.blocks) > 1)
    n_whole = sum(set(whole.blocks) >= set(cell.blocks) for cell in plan.cells)
    done = {*whole.blocks, plan.arms[0].unit or ""}
    assert describe_done(plan, frozenset({*done, matrix.unit, *matrix.group_units}), 0) == (
        f"Reused: 1 importance matrix, 1 GGUF, {n_whole} of {len(plan.cells)} cells"
    )
    found = describe_done(plan, frozenset({begun.blocks[0], matrix.group_units[0]}), 2)
    assert "1 part of an unfinished importance matrix" in found and "in part" in found
    assert " of " not in found.split("matrix", 1)[1].split(" (")[0]
    assert found.endswith(" (in part from other pipelines of this storage)")
