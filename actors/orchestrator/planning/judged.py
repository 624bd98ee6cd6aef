"""What people should know about judged benchmarks before a run: who judges, and what scores compare with."""

from __future__ import annotations

from collections.abc import Iterable

from actors.orchestrator.sources.inputs import PlannedBenchmark
from conf.schema import Judging


def judged_notices(judging: Judging, benchmarks: Iterable[PlannedBenchmark]) -> tuple[str, ...]:
    """Return one notice if nobody judges, and one for each benchmark with fewer items than published scores rest on."""
    judged = [one for one in benchmarks if one.spec.rubrics]
    notices = []
    if judged and not judging.judges:
        names = ", ".join(one.name for one in judged)
        notices.append(
            f"NOBODY JUDGES the answers of {names}: they are generated and kept, and have no scores. To score them, "
            "add --judge-url and --judge-model to this command, or give them later to python -m jobs.judge --run DIR."
        )
    notices += [
        f"{one.name} has {len(one.items)} of its {one.spec.n_published} items here, so its scores do not compare with "
        "published ones. The comparison of arms holds."
        for one in judged
        if one.spec.n_published is not None and len(one.items) < one.spec.n_published
    ]
    return tuple(notices)
