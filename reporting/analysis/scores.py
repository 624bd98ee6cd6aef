"""The scores of multiple choice beside accuracy: the probability and the log-likelihood of the right choice.

Each score is a view of the run: the same arms, items and seeds, with other values and another metric. So all statistics
of accuracy serve for it: a probability gets the intervals of a mean between 0 and 1, a log-likelihood those of a mean
without bounds. `statistics.verdict_score` says which one the verdict on a benchmark goes by; by default it is the
benchmark's own metric. All of them are reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from conf.custom_benchmarks import UNIT_SCALE
from conf.schema.verdicts import Margins, Statistics
from reporting.analysis.comparisons import Comparisons
from reporting.analysis.fields import Json
from reporting.analysis.scored_arms import ScoredArms, scored_arms
from reporting.frames import GOLD_COLUMNS
from stats.reduce import SCORED

SCALES = {"gold_probability": UNIT_SCALE, "gold_loglik": None}
"""The lowest and the highest value of each score; None: it has no bounds."""
_OF_ANSWERS = ("flips", "flips_reason", "mcnemar", "mcnemar_reason")
"""Fields about right and wrong answers, which a comparison keeps if the verdict goes by another score."""


@dataclass(frozen=True)
class Scored:
    """A run described by one score per benchmark, and its arms with the values of that score."""

    run: Mapping[str, Any]
    arms: ScoredArms


def with_verdict_scores(run: Mapping[str, Any], settings: Statistics) -> dict[str, Any]:
    """Return the run's description with the score that the verdict goes by as `verdict_score` of each benchmark."""
    described = [one | {"verdict_score": settings.score_of(one["name"], one["metric"])} for one in run["benchmarks"]]
    return {**run, "benchmarks": described}


def other_scores(run: Mapping[str, Any], values: pl.DataFrame) -> list[Scored]:
    """Return one view per score that some benchmark has beside its own metric.

    The score that a verdict goes by has a view even if no record has a value.

    Args:
        run: the run's description, with `verdict_score`.
        values: the records, with `value`.
    """
    views = []
    for score in GOLD_COLUMNS:
        known = set(values.filter(pl.col(score).is_not_null())["benchmark"].unique())
        benchmarks = [
            benchmark | {"metric": score, "higher_is_better": True, "scale": SCALES[score]}
            for benchmark in run["benchmarks"]
            if benchmark["name"] in known or benchmark["verdict_score"] == score
        ]
        if benchmarks:
            value = pl.when(pl.col("outcome").is_in(SCORED) & pl.col(score).is_finite()).then(pl.col(score))
            described = {**run, "benchmarks": benchmarks}
            views.append(Scored(described, scored_arms(described, values.with_columns(value=value))))
    return views


def by_verdict_score(main: Scored, views: Sequence[Scored]) -> list[Scored]:
    """Return the run by the scores that the verdicts go by, then a view per score with the remaining benchmarks."""
    found = {
        one["name"]: (one, view)
        for view in (main, *views)
        for one in view.run["benchmarks"]
        if one["metric"] == one["verdict_score"]
    }
    names = [str(one["name"]) for one in main.run["benchmarks"]]
    arms = {key: arm for name in names for key, arm in found[name][1].arms.items() if key[1] == name}
    chosen = Scored({**main.run, "benchmarks": [found[name][0] for name in names]}, arms)
    rest = []
    for view in (main, *views):
        left = [one for one in view.run["benchmarks"] if one["metric"] != one["verdict_score"]]
        if left:
            rest.append(Scored({**view.run, "benchmarks": left}, view.arms))
    return [chosen, *rest]


def with_answers(compared: Comparisons, others: Sequence[Comparisons]) -> Comparisons:
    """Return the comparisons by the verdicts' scores, each with the flips of the answers themselves."""
    own = {
        (one.row["arm"], one.row["benchmark"]): one.row
        for rows in others
        for one in rows.rows
        if one.row["flips"] is not None
    }
    for one in compared.rows:
        answers = own.get((one.row["arm"], one.row["benchmark"]))
        if answers is not None:
            one.row.update({name: answers[name] for name in _OF_ANSWERS})
    return compared


def other_rows(others: Sequence[Comparisons], margins: Margins) -> list[Json]:
    """Return the rows of `score_comparisons`: the same differences by the other scores, without a verdict."""
    named = margins.model_dump()
    found = (one.row for rows in others for one in rows.rows)
    return [{**row, "informs_only": True, "margin": named.get(row["metric"], margins.accuracy)} for row in found]
