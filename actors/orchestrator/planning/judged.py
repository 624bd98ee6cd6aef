"""What people should know about judged benchmarks before a run: who judges, which verdicts stay open, and what scores
compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def _open_verdicts(config: PipelineConfig, judged: Sequence[str]) -> list[Notice]:
    if judged and not config.judging.judges:
        return [Notice("nobody_judges", benchmarks=list(judged))]
    statistics = config.statistics
    given = statistics.tiers.inform
    deciding = [name for name in judged if name not in given]
    if deciding and statistics.margins.judged is None:
        return [Notice("no_margin_for_judged", benchmarks=deciding)]
    return []
