"""Damaged files of judgements: they count as missing, so their answers are unscored until they are judged again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.orchestrator.done import find_done
from actors.orchestrator.own_files import judgements
from actors.orchestrator.results import write_results
from actors.store import RunDirectory
from conf.files import read_json
from tests.judging.completion_server import completion_server
from tests.orchestrator.judged_plan import endpoint_judge, judged_plan, write_answers
from tests.orchestrator.test_damaged_store import Damage, damages, emptied
from tests.orchestrator.test_judging import DESCRIPTION, of_four, play

Rows = list[dict[str, Any]]
IMPOSSIBLE: dict[str, Callable[[Rows], object]] = {
    "above every scale": lambda rows: rows[0].update(score=11),
    "below every scale": lambda rows: rows[0].update(score=0),
    "a half": lambda rows: rows[0].update(score=3.5),
    "no number": lambda rows: rows[0].update(score=float("nan")),
    "endless": lambda rows: rows[0].update(score=float("inf")),
    "a text": lambda rows: rows[0].update(score="4"),
    "a turn before the first": lambda rows: rows[0].update(turn=-1),
    "no item": lambda rows: rows[0].update(item_id=None),
    "said twice": lambda rows: rows.append(rows[0]),
    "a list for an item": lambda rows: rows[0].update(item_id=["t0"]),
}


def written(path: Path, change: Callable[[Rows], object] = lambda rows: None) -> Path:
    """Write two judgements of one answer, changed."""
    fields = ("judge", "reason", "text", "model", "fingerprint", "prompt_tokens", "completion_tokens")
    rows: Rows = [
        {"item_id": "t0", "seed": 0, "turn": 0, "repeat": repeat, "score": 4, **dict.fromkeys(fields)}
        for repeat in range(2)
    ]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("change", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_file_that_says_what_no_judge_can_say_counts_as_missing(
    tmp_path: Path, change: Callable[[Rows], object]
) -> None:
    said = judgements(written(tmp_path / "possible.jsonl"))
    assert said is not None and [row["score"] for row in said] == [4, 4]
    assert judgements(written(tmp_path / "impossible.jsonl", change)) is None


@damages
def test_a_damaged_file_leaves_its_answers_unscored_and_the_rest_stands(tmp_path: Path, damage: Damage) -> None:
    with completion_server(of_four) as (url, _):
        plan, config = judged_plan(tmp_path, [endpoint_judge("a", url)])
        write_answers(plan)
        loop = play(plan, config)
    broken = plan.judgings[0]
    with Path(broken.output_path).open("a", encoding="utf-8") as file:
        file.write("xx")  # all lines are equally long: half of the file would be whole lines
    damage(Path(broken.output_path))
    # An empty file says that its block has no answer to judge.
    assert (broken.unit in find_done(plan)) == (damage is emptied)
    for kept in Path(broken.cache_dir).rglob("*"):  # the judge is away, and what it said is lost
        if kept.is_file():
            kept.unlink()
    run = RunDirectory(tmp_path / "p")
    write_results(plan, run, config, DESCRIPTION, loop.schedule.failures, loop.notices, loop.over_limit)
    rows = {row["arm"]: row for row in read_json(run.comparison)["results"] if row["primary"]}
    # A block has two items under two seeds; an arm has two blocks.
    assert rows[broken.arm]["unscored_reasons"] == {"judge_failed": 4}
    assert {row["mean"] for row in rows.values()} == {4.0}
    assert [row["n_unscored"] for arm, row in rows.items() if arm != broken.arm] == [0]


def test_answers_whose_lines_are_lost_are_unscored_and_the_others_keep_their_scores(tmp_path: Path) -> None:
    with completion_server(of_four) as (url, _):
        plan, config = judged_plan(tmp_path, [endpoint_judge("a", url)])
        write_answers(plan)
        loop = play(plan, config)
    broken = plan.judgings[0]
    path = Path(broken.output_path)
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:4]), encoding="utf-8")
    run = RunDirectory(tmp_path / "p")
    write_results(plan, run, config, DESCRIPTION, loop.schedule.failures, loop.notices, loop.over_limit)
    rows = {row["arm"]: row for row in read_json(run.comparison)["results"] if row["primary"]}
    # Two of the eight answers have lost both repeats.
    assert rows[broken.arm]["unscored_reasons"] == {"judge_failed": 2}
    assert rows[broken.arm]["mean"] == 4.0
