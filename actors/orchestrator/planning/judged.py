"""What people should know about judged benchmarks before a run: who judges, which verdicts stay open, and what scores
compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.judging.blocks import MOST_CHARACTERS
from actors.judging.orders import JudgedItem, JudgeModel
from actors.judging.prompt import TurnToJudge, judge_messages
from actors.judging.rubrics import Rubric, rubric_for
from actors.orchestrator.planning.judgings import CHARS_PER_TOKEN, judged_items, rules_for
from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema.pipeline import PipelineConfig
from reporting.notices import Notice


def judged_notices(config: PipelineConfig, benchmarks: Iterable[PlannedBenchmark]) -> tuple[Notice, ...]:
    """Return one notice if nobody judges or no margin is set, and one for each benchmark with too few items.

    Too few are fewer than published scores rest on.
    """
    judged = [one for one in benchmarks if one.spec.rubrics]
    return (
        *_open_verdicts(config, [one.name for one in judged]),
        *(
            Notice(
                "fewer_than_published",
                benchmark=one.name,
                n_items=len(one.items),
                n_total=one.data.n_items_total,
                n_published=one.spec.n_published,
            )
            for one in judged
            if one.spec.n_published is not None and len(one.items) < one.spec.n_published
        ),
    )


def short_contexts(
    config: PipelineConfig, judges: Sequence[JudgeModel], benchmarks: Iterable[PlannedBenchmark]
) -> tuple[Notice, ...]:
    """Return one notice for each judge that is a GGUF and benchmark whose longest prompts may not fit its context."""
    known = [judge for judge in judges if judge.n_ctx_train]
    judged = [one for one in benchmarks if one.spec.rubrics] if known else []
    needed = [(one.name, _longest_call(config, one)) for one in judged]
    return tuple(
        Notice("judge_context_short", judge=judge.name, benchmark=name, n_ctx=judge.n_ctx_train, n_tokens=n_tokens)
        for judge in known
        for name, n_tokens in needed
        if n_tokens > judge.n_ctx_train
    )


def _longest_call(config: PipelineConfig, benchmark: PlannedBenchmark) -> int:
    """Return about how many tokens the longest prompt of a judge and its verdict take, if answers have full length."""
    rubric = rubric_for(rules_for(config.judging, benchmark.spec).rubric, benchmark.name)
    longest = [getattr(item.task, "max_tokens", 0) for item in benchmark.items]
    prompts = (_longest_prompt(rubric, *one) for one in zip(judged_items(benchmark.items), longest, strict=True))
    return round(max(prompts, default=0.0)) + config.judging.max_tokens


def _longest_prompt(rubric: Rubric, item: JudgedItem, longest_answer: int) -> float:
    """Return about how many tokens a judge reads for the last turn of an item: it sees the turns before it, too."""
    n_turns = len(item.questions)
    turn = TurnToJudge(item.questions, ("",) * n_turns, item.references, item.criteria)
    letters = sum(len(message.content) for message in judge_messages(rubric, turn, order=0, again=True))
    # Of a very long text a judge gets a part.
    return letters / CHARS_PER_TOKEN + n_turns * min(longest_answer, MOST_CHARACTERS / CHARS_PER_TOKEN)


def _open_verdicts(config: PipelineConfig, judged: Sequence[str]) -> list[Notice]:
    if judged and not config.judging.judges:
        return [Notice("nobody_judges", benchmarks=list(judged))]
    statistics = config.statistics
    given = statistics.tiers.inform
    deciding = [name for name in judged if name not in given]
    if deciding and statistics.margins.judged is None:
        return [Notice("no_margin_for_judged", benchmarks=deciding)]
    return []
