"""The human scores of a run: which answers people may score, and the scores in the user's file."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from actors.items import Generate
from actors.orchestrator.plan import Plan, seeds_of
from conf.schema.pipeline import PipelineConfig
from reporting.human_scores import Answers, read_human_scores


def human_scores_of(plan: Plan, config: PipelineConfig) -> pl.DataFrame | None:
    """Return the scores in the file that the configuration names; None if it names none.

    Raises:
        BadInput: with every fault of the file.
    """
    path = config.judging.human_scores
    return None if path is None else read_human_scores(path, _answers(plan, config), key="--human-scores")


def _answers(plan: Plan, config: PipelineConfig) -> Mapping[str, Answers]:
    """Return what people may score, by the name of a judged benchmark."""
    found: dict[str, Answers] = {}
    for model, benchmarks in plan.benchmarks.items():
        for one in benchmarks:
            if not one.spec.rubrics or one.spec.scale is None:
                continue
            arms = [arm.name for arm in plan.arms if arm.model == model and not arm.is_aa]
            known = found.get(one.name)
            turns = [1 + len(item.task.then) for item in one.items if isinstance(item.task, Generate)]
            found[one.name] = Answers(
                arms=[*(known.arms if known else ()), *arms],
                item_ids={*(known.item_ids if known else ()), *(item.item_id for item in one.items)},
                seeds=seeds_of(config, one),
                n_turns=max(turns, default=1),
                scale=one.spec.scale,
            )
    return found
