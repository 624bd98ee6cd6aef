"""Judging without Ray: what is planned, who asks when, what a limit and a lost judge do, and what the results say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.errors import EndpointFailed
from actors.json_lines import read_jsonl, write_jsonl
from actors.judging.actor import JudgingWorker
from actors.orchestrator.call_budget import CallBudget
from actors.orchestrator.done import find_done
from actors.orchestrator.early_stop import EarlyStop
from actors.orchestrator.judgements import juries_of, read_judgements, unreadable_notices
from actors.orchestrator.judging_limits import LOST_AFTER, Judged
from actors.orchestrator.loop import Loop
from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.judgings import judged_items
from actors.orchestrator.progress import cells_done, current_phase, describe_work, phases_of
from actors.orchestrator.records import table_of
from actors.orchestrator.results import write_results
from actors.orchestrator.units import units_of
from actors.orchestrator.worker import WorkError
from actors.orchestrator.worker_calls import WorkerCalls
from actors.orders import Endpoint
from actors.store import RunDirectory
from conf.files import exists, read_json
from conf.schema.pipeline import PipelineConfig
from reporting.frames import JUDGEMENT_SCHEMA
from tests.conftest import ignore
from tests.judging.completion_server import Response, completion_server, refused, said
from tests.orchestrator.equal_workers import ONE_ROOM, equal_workers
from tests.orchestrator.judged_plan import endpoint_judge, gguf_judge, judged_benchmark, judged_plan, write_answers

DESCRIPTION = {"created_at": "2026-01-01T00:00:00+00:00", "command": "c", "settings": {}, "versions": {}}


def start(plan: Plan, config: PipelineConfig, done: frozenset[str] | None = None, **more: Any) -> Loop:
    places = equal_workers(2)
    done = find_done(plan) if done is None else done
    return Loop(plan, config, places, done, EarlyStop(plan, config), rooms=ONE_ROOM, **more)


def play(plan: Plan, config: PipelineConfig, *, calls: int | None = None) -> Loop:
    """Judge with real workers, one unit after another. With `calls`, stop after so many units, as if killed."""
    loop = start(plan, config, only_judging=True)
    worker_calls, workers = WorkerCalls(plan, config.sampling), dict[Any, JudgingWorker]()
    played = 0
    while not loop.finished and (calls is None or played < calls):
        for worker in loop.step(now=0.0).assigned:
            call = worker_calls.call_for(worker.units, lambda unit: ignore, worker.calls_left)
            judge = workers.setdefault(worker, JudgingWorker())
            played += 1
            try:
                summary = getattr(judge, call.method)(*call.arguments)
            except EndpointFailed as error:
                loop.fail(worker, WorkError("other", str(error)))
            else:
                judged = Judged(summary.n_asked, summary.n_verdicts, complete=exists(summary.output_path))
                loop.finish(worker, {}, 0.0, judged)
    for judge in workers.values():
        judge.close()
    return loop


def of_four(number: int, body: dict[str, Any]) -> Response:
    return said(json.dumps({"reason": "r", "score": 4}))


# --- the plan -------------------------------------------------------------------------------------


def test_each_judge_judges_each_block_and_a_cell_waits_for_both(tmp_path: Path) -> None:
    plan, _ = judged_plan(tmp_path, [endpoint_judge("a"), endpoint_judge("b")])
    assert len(plan.judgings) == 2 * len(plan.blocks)
    assert len({one.unit for one in plan.judgings}) == len(plan.judgings)
    first = plan.judgings[0]
    assert first.unit.startswith("judgements/a-") and first.unit.endswith("/00000-2.g0")
    assert Path(first.output_path).name == Path(plan.blocks[0].records_path).name
    assert (first.n_calls, first.most_calls) == (2 * 2 * 2, 16)  # items x seeds x repeats
    assert all(len(cell.judgings) == 2 * len(cell.blocks) for cell in plan.cells)
    assert juries_of(plan) == {"elyza": ("a", "b")}


def test_the_plan_hash_depends_on_the_judges_and_the_records_do_not(tmp_path: Path) -> None:
    without, _ = judged_plan(tmp_path, [])
    with_a, _ = judged_plan(tmp_path, [endpoint_judge("a")])
    moved, _ = judged_plan(tmp_path, [endpoint_judge("a", "http://other:1/v1")])
    stricter, _ = judged_plan(tmp_path, [endpoint_judge("a")], judging={"rubrics": {"elyza": "elyza_strict"}})
    assert without.judgings == () and len({without.plan_hash, with_a.plan_hash, stricter.plan_hash}) == 3
    assert with_a.plan_hash != moved.plan_hash  # another server may have another model under the same name
    assert without.blocks == with_a.blocks == stricter.blocks


def test_a_judge_sees_every_turn_with_its_reference() -> None:
    (item, *_) = judged_items(judged_benchmark(then=("続けて。",)).items)
    assert (item.questions, item.references, item.criteria) == (("課題0", "続けて。"), ("手本", None), "- 正しい")


# --- who works when -------------------------------------------------------------------------------


def test_an_endpoint_is_asked_beside_the_evaluation_as_soon_as_a_block_is_there(tmp_path: Path) -> None:
    plan, config = judged_plan(tmp_path, [endpoint_judge("a")])
    others = {unit.id for unit in units_of(plan) if unit.phase != "judge"}
    blocks = [block.unit for block in plan.blocks]
    loop = start(plan, config, frozenset(others - {*blocks[1:]}))
    roles = sorted(worker.role for worker in loop.step(now=0.0).assigned)
    assert roles == ["asking", "evaluation", "evaluation"]  # there are two places, and asking takes none
    asking = next(worker for worker in loop.workers if worker.role == "asking")
    assert asking.units[0].needs == (blocks[0],)
    assert describe_work(asking.units) == "a judges f16 on elyza"


def test_a_gguf_judge_waits_until_no_block_is_left_to_hand_out(tmp_path: Path) -> None:
    plan, config = judged_plan(tmp_path, [gguf_judge("g")])
    others = {unit.id for unit in units_of(plan) if unit.phase != "judge"}
    blocks = [block.unit for block in plan.blocks]
    loop = start(plan, config, frozenset(others - {*blocks[2:]}))
    first, second = loop.step(now=0.0).assigned
    assert (first.role, second.role) == ("evaluation", "evaluation")
    loop.finish(first, {}, now=1.0)
    step = loop.step(now=1.0)
    assert step.dismissed == (first,)  # its memory is for the judge
    assert [(worker.role, worker.loaded_arm) for worker in step.assigned] == [("judging", "g")]


def test_the_phase_judge_comes_between_evaluation_and_statistics(tmp_path: Path) -> None:
    plan, config = judged_plan(tmp_path, [endpoint_judge("a")])
    done = frozenset(unit.id for unit in units_of(plan) if unit.phase != "judge")
    schedule = start(plan, config, done).schedule
    assert current_phase(schedule) == "judge" and cells_done(plan.cells, schedule) == 0
    names = [one["name"] for one in phases_of(schedule, "judge", makes_documents=False)]
    assert names[-2:] == ["judge", "statistics"] and names.index("evaluate") == len(names) - 3


def test_a_judge_that_fails_at_block_after_block_is_given_up(tmp_path: Path) -> None:
    plan, config = judged_plan(tmp_path, [endpoint_judge("a")], judged_benchmark(20))
    done = frozenset(unit.id for unit in units_of(plan) if unit.phase != "judge")
    loop = start(plan, config, done)
    for _ in range(LOST_AFTER):
        (worker,) = loop.step(now=0.0).assigned
        loop.fail(worker, WorkError("other", "EndpointFailed: away"))
    assert loop.finished and len(loop.schedule.failures) == len(plan.judgings) > LOST_AFTER
    assert "not asked: judge a failed" in loop.schedule.failures[-1].error


def test_a_judge_that_refuses_for_good_is_asked_once_and_the_others_go_on(tmp_path: Path) -> None:
    plan, config = judged_plan(tmp_path, [endpoint_judge("a"), endpoint_judge("b")], judged_benchmark(20))
    config = config.model_copy(update={"execution": config.execution.model_copy(update={"attempts": 3})})
    done = frozenset(unit.id for unit in units_of(plan) if unit.phase != "judge")
    loop = start(plan, config, done)
    first, second = loop.step(now=0.0).assigned
    loop.fail(first, WorkError("refused", "EndpointRefused: status 401"))
    own, other = (sum(one.judge.name == name for one in plan.judgings) for name in "ab")
    assert [one.attempts for one in loop.schedule.failures] == [1, *[0] * (own - 1)] and own == other > 1
    assert loop.schedule.failures[1].error == f"not asked: judge a has refused {loop.schedule.failures[0].unit}"
    assert loop.notices == list(plan.notices)  # the failure tells it
    loop.finish(second, {}, 1.0, Judged(8, 8, complete=True))
    assert [worker.loaded_arm for worker in loop.step(now=1.0).assigned] == ["b"]


def test_calls_are_shared_out_so_that_no_more_are_made_than_allowed() -> None:
    budget = CallBudget(10)
    assert budget.grant("x", 6) == 6 and budget.grant("y", 6) == 4
    budget.settle("x", 2)
    assert budget.grant("z", 100) == 4
    budget.settle("y", None)  # nobody knows how many calls a failed unit made
    budget.return_all("z")
    assert budget.grant("w", 100) == 4
    assert CallBudget(None).grant("x", 6) is None


# --- with a server --------------------------------------------------------------------------------


def test_a_kill_and_a_second_run_ask_nothing_twice(tmp_path: Path) -> None:
    with completion_server(of_four) as (url, requests):
        plan, config = judged_plan(tmp_path, [endpoint_judge("a", url)])
        write_answers(plan)
        play(plan, config, calls=2)
        after_kill = len(requests)
        assert after_kill == 2 * 8
        loop = play(plan, config)
        assert loop.schedule.failures == [] and len(requests) == len(plan.judgings) * 8
        play(plan, config)
        for one in plan.judgings:  # the verdicts are kept apart from the files of the run, too
            Path(one.output_path).unlink()
        play(plan, config)
        assert len(requests) == len(plan.judgings) * 8


def test_the_limit_of_calls_is_never_exceeded_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with completion_server(of_four) as (url, requests):
        plan, config = judged_plan(tmp_path, [endpoint_judge("a", url)], judging={"max_calls": 11})
        write_answers(plan)
        loop = play(plan, config)
        assert len(requests) == 11 and loop.schedule.failures == []
        assert any("max_calls" in notice for notice in loop.notices)
        table = read_judgements(plan, config, RunDirectory(tmp_path / "p"), loop.over_limit)
        # Eight verdicts of a whole block. Those of the one that the limit has cut are kept, and do not count yet.
        assert table["score"].count() == 8 and table["score"].null_count() == 32 - 8
        assert set(table.filter(table["score"].is_null())["reason"]) == {"call_limit"}
        play(plan, config)
        assert len(requests) == 22
        play(plan, config)
        assert len(requests) == 32 and {one.unit for one in plan.judgings} <= find_done(plan)


def results(plan: Plan, config: PipelineConfig, root: Path, loop: Loop) -> Any:
    run = RunDirectory(root / "p")
    write_results(plan, run, config, DESCRIPTION, loop.schedule.failures, loop.notices, loop.over_limit)
    return read_json(run.comparison)


def test_results_go_by_the_jury_and_judges_of_earlier_commands_stand_beside(tmp_path: Path) -> None:
    def by_model(number: int, body: dict[str, Any]) -> Response:
        return said(json.dumps({"reason": "r", "score": {"kind": 5, "strict": 2}[body["model"]]}), model=body["model"])

    with completion_server(by_model) as (url, _):
        for names, mean in ((["kind"], 5.0), (["strict"], 2.0), (["kind", "strict"], 3.5)):
            plan, config = judged_plan(tmp_path, [endpoint_judge(name, url) for name in names])
            write_answers(plan)
            comparison = results(plan, config, tmp_path, play(plan, config))
            assert [row["mean"] for row in comparison["results"] if row["primary"]] == [mean, mean]
            (benchmark,) = comparison["benchmarks"]
            told = [(one["name"], one["model"], one["rubric"], one["repeats"]) for one in benchmark["judges"]]
            assert told == [(name, name, "elyza_2023", 2) for name in names]
            row = comparison["results"][0]
            assert (row["n_correct"], row["n_wrong"], row["n_unscored"]) == (0, 0, 0)
        plan, config = judged_plan(tmp_path, [])
        comparison = results(plan, config, tmp_path, play(plan, config))
        assert comparison["benchmarks"][0]["judges"] is None
        assert comparison["benchmarks"][0]["judges_reason"] == "no_judge"
        assert {row["mean"] for row in comparison["results"]} == {None}
        assert set(read_judgements(plan, config, RunDirectory(tmp_path / "p"), ())["judge"]) == {"kind", "strict"}


def test_a_judge_that_is_away_leaves_its_answers_unscored_and_a_later_run_completes(tmp_path: Path) -> None:
    plan, config = judged_plan(tmp_path, [endpoint_judge("a")])
    write_answers(plan)
    loop = play(plan, config)
    assert len(loop.schedule.failures) == len(plan.judgings)
    comparison = results(plan, config, tmp_path, loop)
    assert comparison["results"][0]["unscored_reasons"] == {"judge_failed": 8}
    with completion_server(of_four) as (url, _):
        plan, config = judged_plan(tmp_path, [endpoint_judge("a", url)])
        comparison = results(plan, config, tmp_path, play(plan, config))
    assert comparison["results"][0]["mean"] == 4.0 and comparison["failures"] == []


def test_a_block_that_a_judge_left_unfinished_counts_only_when_it_is_whole(tmp_path: Path) -> None:
    """Part of it would be chosen: also by which answers another arm has given, so that both seem equal."""

    def three_then_none(number: int, body: dict[str, Any]) -> Response:
        return of_four(number, body) if number <= 3 else refused("no credit", 401)

    with completion_server(three_then_none) as (url, _):
        judge = replace(endpoint_judge("a"), endpoint=Endpoint(url, "a", 1, 10.0, 1))
        plan, config = judged_plan(tmp_path, [judge])
        write_answers(plan)
        loop = play(plan, config)
    table = read_judgements(plan, config, RunDirectory(tmp_path / "p"), loop.over_limit)
    assert table["score"].count() == 0 and set(table["reason"]) == {"judge_failed"}
    comparison = results(plan, config, tmp_path, loop)
    assert comparison["results"][0]["unscored_reasons"] == {"judge_failed": 8}
    with completion_server(of_four) as (url, _):
        plan, config = judged_plan(tmp_path, [replace(judge, endpoint=replace(judge.endpoint, url=url))])
        comparison = results(plan, config, tmp_path, play(plan, config))
    assert comparison["results"][0]["mean"] == 4.0


def test_what_a_judge_of_an_earlier_command_left_unfinished_is_told(tmp_path: Path) -> None:
    def told(comparison: dict[str, Any]) -> list[tuple[Any, ...]]:
        codes = [one for one in comparison["notice_codes"] if one and one["code"] == "earlier_judge"]
        return [tuple(one["values"][name] for name in ("judge", "n_judged", "n_answers")) for one in codes]

    with completion_server(of_four) as (url, _):
        # There are four blocks of 4 answers, which take 8 calls each: the limit ends the second block.
        plan, config = judged_plan(tmp_path, [endpoint_judge("a", url)], judging={"max_calls": 12})
        write_answers(plan)
        assert told(results(plan, config, tmp_path, play(plan, config))) == []
        plan, config = judged_plan(tmp_path, [endpoint_judge("b", url)], judging={"max_calls": 4})
        assert told(results(plan, config, tmp_path, play(plan, config))) == [("a", 4, 16)]
        plan, config = judged_plan(tmp_path, [endpoint_judge("c", url)])
        comparison = results(plan, config, tmp_path, play(plan, config))
        assert told(comparison) == [("a", 4, 16)]
        assert any(
            one.startswith("Judges of earlier commands that have finished no block: b.")
            for one in comparison["notices"]
        )
        plan, config = judged_plan(tmp_path, [endpoint_judge(name, url) for name in "abc"])
        assert told(results(plan, config, tmp_path, play(plan, config))) == []


def test_empty_answers_have_no_score_where_nobody_was_asked(tmp_path: Path) -> None:
    plan, config = judged_plan(tmp_path, [endpoint_judge("a")])
    write_answers(plan)
    path = Path(plan.blocks[0].records_path)
    first, *others = read_jsonl(path)
    write_jsonl(path, [{**first, "text": ""}, *others])
    loop = play(plan, config)
    table = read_judgements(plan, config, RunDirectory(tmp_path / "p"), loop.over_limit)
    assert table["score"].count() == 0 and set(table["reason"]) == {"judge_failed"}


def test_a_judge_whose_verdicts_cannot_be_read_is_told_and_given_up(tmp_path: Path) -> None:
    with completion_server(lambda number, body: said("Good answer!")) as (url, requests):
        plan, config = judged_plan(tmp_path, [endpoint_judge("a", url)])
        write_answers(plan)
        loop = play(plan, config)
        assert len(plan.judgings) == 4 and len(requests) == LOST_AFTER * 8 * 2  # each is asked for twice
    (failure,) = loop.schedule.failures
    assert "no verdict of judge a could be read at 3 blocks" in failure.error
    comparison = results(plan, config, tmp_path, loop)
    (notice,) = [one for one in comparison["notices"] if one.startswith("Judge a")]
    assert "24 of 24 verdicts on elyza could not be read" in notice and "judging.max_tokens" in notice


@pytest.mark.parametrize(("unreadable", "told"), [(0, False), (5, False), (6, True), (100, True)])
def test_unreadable_verdicts_are_told_unless_they_are_few(unreadable: int, told: bool, tmp_path: Path) -> None:
    plan, _ = judged_plan(tmp_path, [endpoint_judge("a")])
    rows = [
        {
            "judge": "a",
            "benchmark": "elyza",
            "score": None if bad else 4.0,
            "reason": "unreadable_verdict" if bad else None,
        }
        for bad in (number < unreadable for number in range(100))
    ]
    others = [{"judge": "a", "benchmark": "elyza", "score": 1.0, "reason": "empty_answer"}] * 100
    said_of = table_of([*rows, *others], JUDGEMENT_SCHEMA)
    assert [f" {unreadable} of 100 verdicts" in one for one in unreadable_notices(plan, said_of)] == [True] * told


@pytest.mark.parametrize("jury", [["new"], []])
def test_a_judge_that_had_another_name_is_not_compared_with_itself(tmp_path: Path, jury: list[str]) -> None:
    with completion_server(of_four) as (url, requests):
        for name in ("old", "new"):
            judge = replace(endpoint_judge(name), endpoint=Endpoint(url, "model", 2, 10.0, 1))
            plan, config = judged_plan(tmp_path, [judge])
            write_answers(plan)
            play(plan, config)
        assert len(requests) == 32  # both are the same judge
        plan, config = judged_plan(tmp_path, [replace(judge, name=name) for name in jury])
    table = read_judgements(plan, config, RunDirectory(tmp_path / "p"), ())
    assert set(table["judge"]) == {jury[0] if jury else "old"} and table.height == 32


@pytest.mark.parametrize("damage", [b"", b"{}\n", b'{"item_id": 3}\n', b'{"x'])
def test_a_damaged_file_of_judgements_is_made_again(tmp_path: Path, damage: bytes) -> None:
    with completion_server(of_four) as (url, _):
        plan, config = judged_plan(tmp_path, [endpoint_judge("a", url)])
        write_answers(plan)
        play(plan, config)
        broken = plan.judgings[0]
        Path(broken.output_path).write_bytes(damage)
        # An empty file says that its block has no answer to judge.
        assert (broken.unit in find_done(plan)) == (damage == b"")
        play(plan, config)
        assert broken.unit in find_done(plan)
