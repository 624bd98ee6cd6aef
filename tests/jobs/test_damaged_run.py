"""A finished run with a damaged file: the same command makes it anew, or tells it in one message. Never a traceback."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from actors.orchestrator.done import find_done, known_seed_groups
from actors.orchestrator.results import write_results
from actors.store import RunDirectory
from conf.environment import read_environment
from conf.faults import BadInput
from conf.files import read_json
from conf.load import load
from conf.schema.pipeline import PipelineConfig
from jobs import _arguments, pipeline
from jobs._planning import description_of, prepare
from jobs._request import Finished, Request
from jobs._run_files import is_finished
from tests.jobs.conftest import Done
from tests.jobs.running import records, run, small_pipeline
from tests.orchestrator.test_damaged_store import (
    Damage,
    a_folder,
    a_list,
    emptied,
    nested_deeply,
    not_json,
    other_keys,
    truncated,
)

DAMAGES: tuple[Damage, ...] = (emptied, truncated, not_json, a_list, other_keys, nested_deeply, a_folder)
DATA = {".json", ".jsonl", ".yaml", ".parquet"}


@pytest.fixture
def finished(done: Done, tmp_path: Path) -> Path:
    """A copy of the storage with a finished pipeline that may be damaged."""
    return Path(shutil.copytree(done.storage, tmp_path / "finished"))


def copied(storage: Path, target: Path, changed: Path) -> Path:
    """Link all files of a storage to another one, but copy the one that will be changed. Return the latter."""
    shutil.copytree(storage, target, copy_function=os.link)
    place = target / changed
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(content)
    return place


def same_command(model: Path, storage: Path) -> str:
    """Do what the same command does without workers, and return how it ends: `finished`, `again` or `told`."""
    given = pipeline.parser().parse_args(small_pipeline(model, storage, "first"))
    config: PipelineConfig = load(None, _arguments.flag_values(given))
    request = Request(config, "first", read_environment(), "command", True, storage)
    directory = RunDirectory(storage / "first")
    try:
        plan = prepare(request)
    except BadInput as error:
        assert len(error.faults) == 1
        return "told"
    known_seed_groups(directory)
    done = find_done(plan)
    if is_finished(plan, directory, done, request):
        assert "Nothing to do" in pipeline.closing(request, Finished(directory, (), (), nothing_to_do=True))
        return "finished"
    if all(block.unit in done for block in plan.blocks):
        write_results(plan, directory, config, description_of(request), (), ())
    return "again"


@pytest.mark.slow
def test_each_damaged_file_is_made_anew_or_told(done: Done, finished: Path, tmp_path: Path) -> None:
    files = sorted(path.relative_to(finished) for path in finished.rglob("*") if path.suffix in DATA)
    chance = random.Random(0)
    ends: dict[str, set[str]] = {}
    for number, name in enumerate(files):
        if "mlartifacts" in name.parts:
            continue
        damage = chance.choice(DAMAGES)
        storage = tmp_path / str(number)
        damage(copied(finished, storage, name))
        ends.setdefault(same_command(done.model, storage), set()).add(f"{name} {damage.__name__}")
    assert sum(map(len, ends.values())) >= 20
    # What only led to the results is not needed when everything is done. It is made anew as soon as it is. A look that
    # cannot be read is told by the next pipeline (tests/orchestrator/test_looks.py).
    beside = (
        ".looks/",
        "imatrix/",
        "checks/",
        "performance/",
        ".timings.jsonl",
        "meta.json",
        ".file_hashes.json",
        ".quantization_errors",
        ".vl.json",
    )
    wrongly = [one for one in ends.get("finished", ()) if not any(part in one for part in beside)]
    assert wrongly == []


@pytest.mark.slow
def test_the_same_command_fixes_a_run_with_many_damaged_files(done: Done, finished: Path) -> None:
    root, options = finished / "first", small_pipeline(done.model, finished, "first")
    before = records(root)
    truncated(next(root.glob("artifacts/q4_k_m-*/manifest.json")))
    emptied(next(root.glob("artifacts/f16-*/losses.json")))
    not_json(next(root.glob("imatrix/*.manifest.json")))
    a_list(next(root.glob("performance/f16-*.json")))
    truncated(next(root.glob("records/*.q4_k_m-*/*.g0.jsonl")))
    for name in ("manifest.json", "plan.json", "progress.json", "config.yaml"):
        emptied(root / name)
    truncated(root / "evaluation_results/quantization_comparison.json")
    ended = run("pipeline", *options)
    assert ended.code == 0, ended.out + ended.err
    assert "Traceback" not in ended.out + ended.err
    assert records(root) == before
    assert read_json(root / "progress.json")["state"] == "done"
    again = run("pipeline", *options)
    assert again.code == 0 and "Nothing to do" in again.out
