"""A judged benchmark as each judge sees it, and as the jury does.

Judges are never mixed: each has a view of its own, with the scores that it alone gave. The jury, if it has several
judges, has one more, with their mean. A view has the arms in the form that all other statistics take, and the verdicts
themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.judged import with_judgements
from reporting.analysis.scored_arms import ScoredArm, scored_arms, within_scales
from reporting.frames import RECORD_SCHEMA
from reporting.judging_reasons import JUDGED, NO_JUDGE, WITHOUT_JUDGE
from stats.clusters import Labels
from stats.intervals import Floats
from stats.reduce import with_value

_ANSWER = ["arm", "item_id", "seed"]
_TURN = [*_ANSWER, "turn"]


@dataclass(frozen=True)
class JudgeView:
    """One judge on one benchmark, or the jury."""

    judge: str | None
    """None: the mean over the jury."""
    in_jury: bool
    benchmark: Mapping[str, Any]
    run: Mapping[str, Any]
    """The run's description, with this benchmark alone."""
    arms: Mapping[tuple[str, str], ScoredArm]
    verdicts: pl.DataFrame
    """Columns `arm`, `item_id`, `seed`, `turn`, `repeat`, `score`, `reason`. One row per verdict; of a jury, one per
    repeat that all its judges have."""

    @property
    def scale(self) -> tuple[float, float]:
        low, high = self.benchmark["scale"]
        return float(low), float(high)

    @cached_property
    def answers(self) -> pl.DataFrame:
        """The scored answers of all arms: `arm`, `item_id`, `seed`, `value`."""
        return pl.concat(
            arm.records.select(pl.lit(arm.name).alias("arm"), "item_id", "seed", "value").drop_nulls("value")
            for arm in self.arms.values()
        )

    @property
    def asked(self) -> pl.DataFrame:
        """The verdicts that were asked for. An empty answer gets the lowest score without asking, so its repeats agree
        whatever the judge is like."""
        return self.verdicts.filter(pl.col("score").is_not_null() & pl.col("reason").is_null())

    def judged_arms(self) -> list[ScoredArm]:
        """Return the arms that have a scored answer; of the jury's judges, also those that should have one."""
        return [arm for arm in self.arms.values() if arm.scored_items.height or (self.in_jury and arm.records.height)]

    def cube(self, arm: ScoredArm) -> Floats:
        """Return the scores of each repeat, a mean over turns; shape (items, seeds, repeats), NaN where missing."""
        own = self.verdicts.filter(pl.col("arm") == arm.name)
        n_turns = max(1, own["turn"].n_unique())
        scores = own.drop_nulls("score").group_by([*_ANSWER, "repeat"]).agg(pl.col("score").mean(), n=pl.len())
        scores = scores.filter(pl.col("n") == n_turns)
        repeats = sorted(scores["repeat"].unique())
        items = {item: place for place, item in enumerate(arm.items["item_id"])}
        found = np.full((len(items), len(arm.seeds), len(repeats)), np.nan)
        for item, seed, repeat, score in scores.select("item_id", "seed", "repeat", "score").iter_rows():
            if item in items and seed in arm.seeds:
                found[items[item], arm.seeds.index(seed), repeats.index(repeat)] = score
        return found


def judge_views(
    run: Mapping[str, Any], benchmark: Mapping[str, Any], records: pl.DataFrame, judgements: pl.DataFrame
) -> list[JudgeView]:
    """Return the views of a benchmark: the jury's mean (if there are several judges), its judges, then other judges.

    Args:
        run: the run's description.
        benchmark: the benchmark, with `judges`: the jury of this command.
        records: the records, with the scores of the jury.
        judgements: what all judges said (`reporting.frames.JUDGEMENT_SCHEMA`).
    """
    name = str(benchmark["name"])
    described = {**run, "benchmarks": [benchmark]}
    own = records.filter(pl.col("benchmark") == name)
    said = judgements.filter(pl.col("benchmark") == name).with_columns(
        pl.col(column).cast(pl.String) for column in ("judge", "arm", "benchmark", "reason")
    )
    jury = [str(one["name"]) for one in benchmark.get("judges") or ()]
    others = sorted(set(said["judge"].drop_nulls()) - set(jury))

    def view(judge: str | None, values: pl.DataFrame, verdicts: pl.DataFrame) -> JudgeView:
        arms = scored_arms(described, within_scales(described, with_value(values)))
        return JudgeView(judge, judge is None or judge in jury, benchmark, described, arms, verdicts)

    waiting = _waiting_again(own)
    views = [view(None, own, _verdicts_of_jury(said, jury))] if len(jury) > 1 else []
    for judge in (*jury, *others):
        verdicts = said.filter(pl.col("judge") == judge).select(*_TURN, "repeat", "score", "reason")
        views.append(view(judge, with_judgements(waiting, said, {name: [judge]}), verdicts))
    return [one for one in views if one.answers.height]


def _waiting_again(records: pl.DataFrame) -> pl.DataFrame:
    """Return the records as they were before any judge: all answers that a judge may score wait for one."""
    waits = (pl.col("outcome") == JUDGED) | pl.col("reason").cast(pl.String).is_in(WITHOUT_JUDGE).fill_null(False)
    before = {"outcome": "unscored", "reason": NO_JUDGE, "score": None}
    return records.with_columns(
        pl.when(waits).then(pl.lit(value, RECORD_SCHEMA[column])).otherwise(column).alias(column)
        for column, value in before.items()
    )


def _verdicts_of_jury(said: pl.DataFrame, jury: Sequence[str]) -> pl.DataFrame:
    """Return the mean over the jury of each repeat that all its judges have."""
    return (
        said.filter(pl.col("judge").is_in(list(jury)) & pl.col("score").is_not_null())
        .group_by([*_TURN, "repeat"])
        .agg(pl.col("score").mean(), pl.col("reason").drop_nulls().first(), n=pl.col("judge").n_unique())
        .filter(pl.col("n") == len(jury))
        .drop("n")
        .sort([*_TURN, "repeat"])
    )


def by_rater(values: pl.DataFrame, rater: str, unit: Sequence[str]) -> tuple[Floats, Labels]:
    """Return a table of who gave which score, for `stats.agreement`: shape (units, raters), and the item of each unit.

    Args:
        values: columns of the unit, `item_id`, `score` and the rater.
        rater: name of the column that tells raters apart.
        unit: names of the columns that tell units apart.
    """
    # A rater may have the name of a column.
    named = values.with_columns(pl.format("by {}", rater).alias("rater"))
    means = named.group_by([*unit, "rater"]).agg(pl.col("score").mean())
    wide = means.pivot("rater", index=list(unit), values="score").sort(list(unit))
    scores = wide.drop(list(unit)).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return scores, wide["item_id"].cast(pl.String).to_numpy()


def turns_by_repeat(view: JudgeView) -> tuple[Floats, Labels]:
    """Return the asked verdicts of one judge, repeats side by side."""
    return by_rater(view.asked, "repeat", _TURN)


def turns_by_judge(views: Sequence[JudgeView]) -> tuple[Floats, Labels]:
    """Return the mean verdicts of several judges, side by side."""
    tables = [view.asked.with_columns(pl.lit(view.judge).alias("judge")) for view in views]
    return by_rater(pl.concat(tables), "judge", _TURN)
