"""Human scores beside a judge's: how far they agree, and the means and differences that they correct.

An answer counts as labelled if a person scored it as a whole, or each of its turns. The scores of several people are
averaged. An item is labelled for an arm if one of the arm's answers to it is; the judge's score is then taken from the
same answers, and the labelled items must be a random sample of the benchmark's (`stats.prediction_powered`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.fields import Json, interval, method
from reporting.analysis.judge_views import JudgeView, by_rater
from reporting.analysis.scored_arms import ScoredArm
from stats.intervals import Floats
from stats.paired import Pairing
from stats.prediction_powered import Corrected, corrected_mean
from stats.reasons import Reason

_ANSWER = ["arm", "item_id", "seed"]


def labels_of(human_scores: pl.DataFrame, benchmark: str, n_turns: pl.DataFrame) -> pl.DataFrame:
    """Return one row per labelled answer and rater: `arm`, `item_id`, `seed`, `rater`, `score`.

    Args:
        human_scores: all human scores (`reporting.frames.HUMAN_SCORE_SCHEMA`).
        benchmark: the name of the benchmark.
        n_turns: the answers of the run, with `n_turns`. Scores of other answers are left out.
    """
    own = human_scores.filter(pl.col("benchmark") == benchmark).with_columns(pl.col("rater").fill_null(""))
    of_turns = pl.col("turn").is_not_null()
    joined = (
        own.group_by([*_ANSWER, "rater"])
        .agg(
            pl.col("score").filter(~of_turns).mean().alias("whole"),
            pl.col("score").filter(of_turns).mean().alias("turns"),
            pl.col("turn").drop_nulls().n_unique().alias("n_scored"),
        )
        .join(n_turns, on=_ANSWER)
    )
    complete = pl.when(pl.col("n_scored") >= pl.col("n_turns")).then("turns")
    return (
        joined.select(*_ANSWER, "rater", pl.coalesce("whole", complete).alias("score"))
        .drop_nulls("score")
        .sort([*_ANSWER, "rater"])
    )


def label_counts(given: pl.DataFrame, labels: pl.DataFrame) -> Json:
    """Return how many human scores there are, and what they are scores of."""
    return {
        "n_scores": given.height,
        "n_answers": labels.select(_ANSWER).n_unique() if labels.height else 0,
        "n_items": labels["item_id"].n_unique(),
        "n_raters": labels["rater"].n_unique(),
    }


def raters_side_by_side(labels: pl.DataFrame) -> tuple[Floats, Any]:
    """Return the scores of several people, for `stats.agreement`."""
    return by_rater(labels, "rater", _ANSWER)


def judge_beside_people(view: JudgeView, labels: pl.DataFrame) -> tuple[Floats, Any]:
    """Return the scores of a judge and the mean of people's on the same answers, for `stats.agreement`."""
    both = _both(view, labels)
    return both.select("judged", "human").to_numpy(), both["item_id"].to_numpy()


def _both(view: JudgeView, labels: pl.DataFrame) -> pl.DataFrame:
    """Return the answers that both scored: `arm`, `item_id`, `seed`, `human`, `judged`."""
    human = labels.group_by(_ANSWER).agg(pl.col("score").mean().alias("human"))
    answers = view.answers.with_columns(pl.col("arm").cast(pl.String)).rename({"value": "judged"})
    return human.join(answers, on=_ANSWER).sort(_ANSWER)


def labelled_items(view: JudgeView, labels: pl.DataFrame) -> pl.DataFrame:
    """Return one row per arm and labelled item: `arm`, `item_id`, `human`, `judged`, both over the same answers."""
    return _both(view, labels).group_by("arm", "item_id").agg(pl.col("human").mean(), pl.col("judged").mean())


def corrected_arm(view: JudgeView, arm: ScoredArm, labelled: pl.DataFrame) -> Json:
    """Return the fields of one arm's corrected mean."""
    own = labelled.filter(pl.col("arm") == arm.name).sort("item_id")
    rest = arm.scored_items.join(own, on="item_id", how="anti")["mean"].to_numpy()
    found = corrected_mean(own["human"].to_numpy(), own["judged"].to_numpy(), rest, view.scale)
    return _fields(found, own.height)


def corrected_difference(
    view: JudgeView, arm: str, reference: str, pairing: Pairing | Reason, labelled: pl.DataFrame
) -> Json:
    """Return the fields of a corrected difference: over items that are labelled in both arms, and the other pairs."""
    if isinstance(pairing, Reason):
        return _fields(pairing, 0)
    ours, theirs = (labelled.filter(pl.col("arm") == name).drop("arm") for name in (arm, reference))
    both = ours.join(theirs, on="item_id", suffix="_reference").sort("item_id")
    both = both.filter(pl.col("item_id").is_in(pairing.item_ids.filter(pl.Series(pairing.paired)).to_list()))
    human = (both["human"] - both["human_reference"]).to_numpy()
    judged = (both["judged"] - both["judged_reference"]).to_numpy()
    others = pairing.paired & ~pairing.item_ids.is_in(both["item_id"].to_list()).to_numpy()
    rest = (pairing.arm_means - pairing.reference_means)[others]
    span = view.scale[1] - view.scale[0]
    return _fields(corrected_mean(human, judged, rest.astype(np.float64), (-span, span)), both.height)


def _fields(found: Corrected | Reason, n_labelled: int) -> Json:
    if isinstance(found, Reason):
        return {"corrected": None, "corrected_reason": found.value, "n_labelled": n_labelled}
    row = {
        "value": found.mean,
        **interval("ci95", found.interval),
        "ci_method": method(found.interval),
        "weight": found.weight,
        "human_mean": found.human_mean,
        "bias": found.bias,
        **interval("bias_ci95", found.bias_interval),
        "n_unlabelled": found.n_unlabelled,
    }
    return {"corrected": row, "corrected_reason": None, "n_labelled": n_labelled}
