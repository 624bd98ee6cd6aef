"""How far judges can be trusted: the section `judging` of `statistical_analysis.json`.

One entry per judged benchmark. It has every judge that has said something, also judges of earlier commands, side by
side: what each gives an arm, the difference from the reference, how far its repeats agree, what share of the
uncertainty it adds itself, how its scores go with the length of the answers, and, with human scores, the corrected
means and differences. Estimand of every mean: the mean over questions of the benchmark's kind, where an item's value is
its mean over seeds, turns and repeats.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.cells import findings_of
from reporting.analysis.comparisons import Compared, compare
from reporting.analysis.draws import SEED
from reporting.analysis.fields import Json, interval, method, number
from reporting.analysis.human_correction import (
    corrected_arm,
    corrected_difference,
    judge_beside_people,
    label_counts,
    labelled_items,
    labels_of,
    raters_side_by_side,
)
from reporting.analysis.judge_views import JudgeView, judge_views, turns_by_judge, turns_by_repeat
from reporting.analysis.looks import Histories
from reporting.analysis.scored_arms import ScoredArm
from reporting.frames import HUMAN_SCORE_SCHEMA, answer_tokens
from stats.agreement import Agreement, agreement, krippendorff_alpha
from stats.intervals import Floats, scaled_mean_interval
from stats.leaning import Leaning, leaning
from stats.paired import Pairing
from stats.reasons import Reason
from stats.variance import VarianceShares, variance_shares

TOKENS = 100
"""Leaning to length is given in points per this many tokens."""
Lengths = pl.DataFrame


def judging_rows(
    run: Mapping[str, Any],
    records: pl.DataFrame,
    judgements: pl.DataFrame | None,
    human_scores: pl.DataFrame | None,
    histories: Histories,
) -> list[Json]:
    """Return one entry per judged benchmark that a judge has said something about.

    Args:
        run: the run's description. Judged benchmarks have `judges`, the jury of this command.
        records: the records, with the scores of the jury.
        judgements: what all judges said (`reporting.frames.JUDGEMENT_SCHEMA`). None: nothing.
        human_scores: scores by people (`reporting.frames.HUMAN_SCORE_SCHEMA`). None: there are none.
        histories: the looks at each comparison before this one. What any judge says of the same answers allows for
            them, so that a difference has one interval wherever it is shown.
    """
    if judgements is None or judgements.height == 0:
        return []
    people = pl.DataFrame(schema=HUMAN_SCORE_SCHEMA) if human_scores is None else human_scores
    rows = []
    for benchmark in run["benchmarks"]:
        if "judges" in benchmark:
            views = judge_views(run, benchmark, records, judgements)
            if views:
                own = records.filter(pl.col("benchmark") == benchmark["name"])
                rows.append(_entry(benchmark, views, own, people, histories))
    return rows


def _entry(
    benchmark: Mapping[str, Any],
    views: Sequence[JudgeView],
    records: pl.DataFrame,
    people: pl.DataFrame,
    histories: Histories,
) -> Json:
    name = str(benchmark["name"])
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode()), 2])
    labels = labels_of(people, name, _turns(records))
    given = people.filter(pl.col("benchmark") == name)
    single = [view for view in views if view.judge is not None]
    jury = [view for view in single if view.in_jury]
    compared = jury if len(jury) > 1 else single
    between: Agreement | Reason = Reason.ONE_JUDGE
    if len(compared) > 1:
        between = agreement(*turns_by_judge(compared), rng)
    raters = agreement(*raters_side_by_side(labels), rng) if labels.height else Reason.NOTHING_REPEATED
    lengths = _lengths(records)
    return {
        "benchmark": name,
        "scale": list(views[0].scale),
        "judges": [_judge(view, labels, rng) for view in views],
        "agreement_between": [view.judge for view in compared] if len(compared) > 1 else [],
        **_agreement_fields("agreement", between),
        "human_scores": {**label_counts(given, labels), **_agreement_fields("agreement", raters)}
        if given.height
        else None,
        "rows": [row for view in views for row in _rows(view, labelled_items(view, labels), lengths, histories)],
    }


def _turns(records: pl.DataFrame) -> pl.DataFrame:
    turns = pl.col("earlier_texts").list.len().fill_null(0).cast(pl.Int64) + 1
    return records.select(pl.col("arm").cast(pl.String), "item_id", "seed", turns.alias("n_turns"))


def _judge(view: JudgeView, labels: pl.DataFrame, rng: np.random.Generator) -> Json:
    """Return what holds for a judge over all arms."""
    repeats = agreement(*turns_by_repeat(view), rng) if view.asked.height else Reason.NOTHING_REPEATED
    with_people: Agreement | Reason = Reason.TOO_FEW_LABELS
    if labels.height and (beside := judge_beside_people(view, labels))[0].size:
        with_people = agreement(*beside, rng)
    return {
        "judge": view.judge,
        "in_jury": view.in_jury,
        "n_verdicts": view.verdicts["score"].count(),
        "n_without_verdict": view.verdicts["score"].null_count(),
        **_agreement_fields("repeats", repeats),
        **_agreement_fields("with_people", with_people),
    }


def _agreement_fields(name: str, found: Agreement | Reason) -> Json:
    if isinstance(found, Reason):
        return {name: None, f"{name}_reason": found.value}
    row = {
        "alpha": found.ordinal,
        **interval("ci95", found.ci95),
        "alpha_interval_level": found.interval_level,
        "n_units": found.n_units,
        "n_items": found.n_items,
    }
    return {name: row, f"{name}_reason": None}


# --- one judge, one arm ---------------------------------------------------------------------------


def _rows(view: JudgeView, labelled: pl.DataFrame, lengths: Lengths, histories: Histories) -> list[Json]:
    by_arm = {one.arm.name: one for one in compare(view.run, view.arms, {}, histories).rows}
    rows = []
    for arm in view.judged_arms():
        with findings_of(arm.name, str(view.benchmark["name"])):
            one = by_arm.get(arm.name)
            comparison = None if one is None else _comparison(view, one, labelled, lengths)
            rows.append({**_arm_fields(view, arm, labelled), "comparison": comparison})
    return rows


def _arm_fields(view: JudgeView, arm: ScoredArm, labelled: pl.DataFrame) -> Json:
    means = arm.scored_items["mean"].to_numpy()
    found = scaled_mean_interval(means, view.scale) if means.size else Reason.NO_SCORED_ITEMS
    unscored = arm.records.filter(pl.col("value").is_null())
    reasons = unscored["reason"].cast(pl.String).fill_null(Reason.NO_SCORED_ITEMS.value).value_counts().sort("reason")
    own = view.asked.filter(pl.col("arm") == arm.name)
    repeats = krippendorff_alpha(turns_by_repeat(_only(view, arm))[0], "ordinal") if own.height else None
    return {
        "judge": view.judge,
        "arm": arm.name,
        "n_answers": arm.records.height,
        "n_unscored": unscored.height,
        "unscored_reasons": dict(reasons.iter_rows()),
        "n_items": int(means.size),
        **number("mean", float(means.mean()) if means.size else Reason.NO_SCORED_ITEMS),
        **interval("ci95", found),
        "ci_method": method(found),
        **number("repeats_alpha", Reason.NOTHING_REPEATED if repeats is None else repeats),
        **_share_fields(view.cube(arm)),
        **corrected_arm(view, arm, labelled),
    }


def _only(view: JudgeView, arm: ScoredArm) -> JudgeView:
    own = view.verdicts.filter(pl.col("arm") == arm.name)
    return JudgeView(view.judge, view.in_jury, view.benchmark, view.run, view.arms, own)


def _share_fields(cube: Floats) -> Json:
    """Return the shares of items, sampling and judge in the uncertainty of an arm's mean.

    With one seed, sampling is part of the items.
    """
    one_seed = cube.shape[1] == 1
    if cube.shape[2] < 2:
        return {"variance_shares": None, "variance_shares_reason": Reason.NOTHING_REPEATED.value}
    found = variance_shares(cube[:, 0, :] if one_seed else cube)
    if not isinstance(found, VarianceShares):
        return {"variance_shares": None, "variance_shares_reason": found.value}
    judge = found.share_sampling if one_seed else found.share_judge
    shares = {"items": found.share_items, "sampling": None if one_seed else found.share_sampling, "judge": judge}
    return {"variance_shares": shares, "variance_shares_reason": None}


def _comparison(view: JudgeView, one: Compared, labelled: pl.DataFrame, lengths: Lengths) -> Json:
    kept = ("reference", "difference", "ci95", "ci_method", "p_value", "test", "cohens_d", "n_items")
    row = {name: one.row[name] for kept_name in kept for name in (kept_name, f"{kept_name}_reason") if name in one.row}
    return {
        **row,
        **_leaning_fields(_leaning(one, lengths)),
        **corrected_difference(view, one.arm.name, one.reference.name, one.pairing, labelled),
    }


# --- length ---------------------------------------------------------------------------------------


def _lengths(records: pl.DataFrame) -> Lengths:
    """Return the length of each answer in tokens, without its thoughts: `arm`, `item_id`, `seed`, `tokens`."""
    return records.select(
        pl.col("arm").cast(pl.String), "item_id", "seed", answer_tokens().cast(pl.Float64).alias("tokens")
    )


def _leaning(one: Compared, lengths: Lengths) -> Leaning | Reason:
    if not isinstance(one.pairing, Pairing):
        return one.pairing
    ours, theirs = (_mean_lengths(arm, lengths) for arm in (one.arm, one.reference))
    paired = pl.DataFrame({"item_id": one.pairing.item_ids, "d": one.pairing.arm_means - one.pairing.reference_means})
    both = paired.join(ours, on="item_id").join(theirs, on="item_id", suffix="_reference").sort("item_id")
    both = both.filter(pl.col("d").is_not_nan()).drop_nulls()
    if both.height == 0:
        return Reason.NO_LENGTHS
    more = (both["tokens"] - both["tokens_reference"]).to_numpy()
    return leaning(both["d"].to_numpy(), more / TOKENS)


def _mean_lengths(arm: ScoredArm, lengths: Lengths) -> Lengths:
    """Return the mean length of an arm's scored answers to each item."""
    scored = arm.records.filter(pl.col("value").is_not_null()).select("item_id", "seed")
    own = lengths.filter(pl.col("arm") == arm.name).join(scored, on=["item_id", "seed"], how="semi")
    return own.group_by("item_id").agg(pl.col("tokens").mean())


def _leaning_fields(found: Leaning | Reason) -> Json:
    if isinstance(found, Reason):
        return {"length": None, "length_reason": found.value}
    row = {
        "points_per_100_tokens": found.slope,
        "points_per_100_tokens_ci95": [found.slope_interval.low, found.slope_interval.high],
        "adjusted_difference": found.adjusted,
        "adjusted_difference_ci95": [found.adjusted_interval.low, found.adjusted_interval.high],
        "n_items": found.n_items,
    }
    return {"length": row, "length_reason": None}
