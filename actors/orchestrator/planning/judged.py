"""What people should know about judged benchmarks before a run: who judges, which verdicts stay open, and what scores
compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema import PipelineConfig


def judged_notices(config: PipelineConfig, benchmarks: Iterable[PlannedBenchmark]) -> tuple[str, ...]:
    """Return one notice if nobody judges or no margin is set, and one for each benchmark with too few items.

    Too few are fewer than published scores rest on.
    """
    judged = [one for one in benchmarks if one.spec.rubrics]
    return (
        *_open_verdicts(config, [one.name for one in judged]),
        *(
            f"{one.name} has {len(one.items)} of its {one.spec.n_published} items here, so its scores do not compare "
            "with published ones. The comparison of arms holds."
            for one in judged
            if one.spec.n_published is not None and len(one.items) < one.spec.n_published
        ),
    )


def _open_verdicts(config: PipelineConfig, judged: Sequence[str]) -> list[str]:
    names = ", ".join(judged)
    if judged and not config.judging.judges:
        return [
            f"NOBODY JUDGES the answers of {names}: they are generated and kept, and have no scores. To score them, "
            "add --judge-url and --judge-model to this command, or give them later to python -m jobs.judge --run DIR."
        ]
    statistics = config.statistics
    given = statistics.tiers.inform
    deciding = [name for name in judged if name not in given]
    if deciding and statistics.margins.judged is None:
        return [
            f"No verdict depends on {', '.join(deciding)}: scores and differences are shown. To have verdicts depend "
            "on them, set statistics.margins.judged before the run (the largest loss that is still small, in points of "
            "the scale)."
        ]
    return []
