"""What is judged: the answers of each block of a judged benchmark, by each judge of the jury."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actors.evaluation.contract import BenchmarkSpec
from actors.hashing import content_hash
from actors.items import Generate, Item
from actors.judging.cache import judge_identity, rules_identity
from actors.judging.orders import JudgedItem, JudgeModel, JudgeOrder, JudgeRules
from actors.judging.rubrics import n_repeats, rubric_for
from actors.keys import make_key
from actors.orchestrator.plan import Plan, PlannedBlock, PlannedJudging
from actors.orchestrator.planning.blocks import DECODE_WEIGHT, LENGTH_SHARE
from actors.orchestrator.sources.inputs import PlannedBenchmark
from actors.store import RunDirectory
from actors.stored_files import RecordsFolder
from conf.schema.judging import Judging

RUBRIC_TOKENS = 900
"""Tokens of a rubric and of the marks around the texts, as a rule. Used only to estimate."""
CHARS_PER_TOKEN = 2.5
"""Between English (about 4) and Japanese (about 1.5). Used only to estimate."""
VERDICT_TOKENS = 150
"""Tokens of a verdict with its reasons, as a rule. Used only to estimate."""
SECOND_ASK = 2
"""A verdict that cannot be read is asked for once more."""


def judged_items(items: Iterable[Item]) -> tuple[JudgedItem, ...]:
    """Return the items as a judge has to see them: what the user says in each turn, criteria and references."""
    return tuple(_judged_item(item) for item in items)


def _judged_item(item: Item) -> JudgedItem:
    if not isinstance(item.task, Generate):
        raise TypeError(f"{item.item_id}: only generated answers are judged, got {type(item.task).__name__}")
    said = [one.content for one in item.task.messages if one.role == "user" and one.shot is None]
    questions = ("\n".join(said), *item.task.then)
    target: Mapping[str, Any] = item.target
    references = tuple(target.get("references") or ())
    return JudgedItem(
        item_id=item.item_id,
        questions=questions,
        criteria=target.get("criteria"),
        references=(*references, *[None] * (len(questions) - len(references)))[: len(questions)],
        category=target.get("category"),
    )


def rules_for(judging: Judging, spec: BenchmarkSpec) -> JudgeRules:
    """Return how the answers of a judged benchmark are judged."""
    rubric = judging.rubrics.get(spec.name, spec.rubrics[0])
    return JudgeRules(rubric, judging.repeats, judging.temperature, judging.max_tokens)


def judging_key(judge: JudgeModel, rules: JudgeRules, benchmark: str) -> dict[str, Any]:
    """Return what decides what a judge says about the answers of a benchmark."""
    rubric = rubric_for(rules.rubric, benchmark)
    return make_key(
        {
            "kind": "judging",
            "judge": judge_identity(judge),
            "rules": rules_identity(rules, rubric),
            "repeats": n_repeats(rules, rubric),
        }
    )


def plan_judgings(
    judging: Judging,
    run: RunDirectory,
    judges: Sequence[JudgeModel],
    benchmarks: Mapping[str, Sequence[PlannedBenchmark]],
    blocks: Iterable[PlannedBlock],
) -> tuple[PlannedJudging, ...]:
    """Return one unit per judge and block of a judged benchmark, those of the first judge first.

    Args:
        judging: the settings.
        run: directory of the run.
        judges: the jury.
        benchmarks: the benchmarks by model.
        blocks: all blocks of the plan.
    """
    by_name = {(model, one.name): one for model, own in benchmarks.items() for one in own if one.spec.rubrics}
    wanted = [(block, by_name[key]) for block in blocks if (key := (block.model, block.benchmark)) in by_name]
    return tuple(_plan_judging(judging, run, judge, *one) for judge in judges for one in wanted)


def _plan_judging(
    judging: Judging, run: RunDirectory, judge: JudgeModel, block: PlannedBlock, benchmark: PlannedBenchmark
) -> PlannedJudging:
    rules = rules_for(judging, benchmark.spec)
    key_hash = content_hash(judging_key(judge, rules, block.benchmark))
    folder = run.judgements(judge.name, key_hash, RecordsFolder.of(block.records_path))
    answered = benchmark.items[block.first : block.first + block.n_items]
    items = judged_items(answered)
    repeats = len(block.seeds) * n_repeats(rules, rubric_for(rules.rubric, block.benchmark))
    n_calls = repeats * sum(len(item.questions) for item in items)
    longest = [getattr(item.task, "max_tokens", 0) for item in answered]
    read = repeats * sum(map(_tokens_read, items, longest))
    written = n_calls * min(VERDICT_TOKENS, rules.max_tokens)
    return PlannedJudging(
        unit=folder.unit(block.records_path),
        arm=block.arm,
        benchmark=block.benchmark,
        model=block.model,
        block=block.unit,
        judge=judge,
        rules=rules,
        output_path=str(folder.file(block.records_path)),
        cache_dir=str(run.verdicts),
        n_calls=n_calls,
        most_calls=n_calls * SECOND_ASK,
        tokens=read + written,
        generated=written,
        cost=read + written * DECODE_WEIGHT,
    )


def _tokens_read(item: JudgedItem, longest: int) -> int:
    """Return about how many tokens a judge reads for one answer, in all of its turns: each turn sees those before."""
    answer, read, before = longest * LENGTH_SHARE, 0.0, 0.0
    for question, reference in zip(item.questions, item.references, strict=True):
        before += len(question) / CHARS_PER_TOKEN + answer
        read += RUBRIC_TOKENS + len(item.criteria or "") / CHARS_PER_TOKEN + len(reference or "") / CHARS_PER_TOKEN
        read += before
    return round(read)


def judge_order(judging: PlannedJudging, block: PlannedBlock, plan: Plan, calls_left: int | None) -> JudgeOrder:
    """Return what a worker needs to judge the answers of a block.

    `calls_left`: how many calls the judge may get for it. None: no limit.
    """
    benchmark = plan.benchmark(block.model, block.benchmark)
    return JudgeOrder(
        arm=judging.arm,
        benchmark=judging.benchmark,
        judge=judging.judge,
        rules=judging.rules,
        items=judged_items(benchmark.items[block.first : block.first + block.n_items]),
        seeds=block.seeds,
        records_path=block.records_path,
        output_path=judging.output_path,
        cache_dir=judging.cache_dir,
        calls_left=calls_left,
    )
