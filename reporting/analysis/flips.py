"""Right answers that an arm lost, wrong ones that it set right, and how often the reference itself changes its answer.

The arithmetic is in `stats.flips`. This module takes the scores from the records and writes the fields of a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reporting.analysis.fields import Json, interval, number
from reporting.analysis.scored_arms import ScoredArm
from stats.flips import ItemFlips, Rate, flips, is_binary, mcnemar, odds_ratio, rate
from stats.intervals import Floats
from stats.paired import Pairing, difference_interval
from stats.reasons import Reason


def flip_fields(arm: ScoredArm, reference: ScoredArm, pairing: Pairing | Reason, aa_arm: ScoredArm | None) -> Json:
    """Return the fields `flips` (with their noise floor) and `mcnemar` (only if there is one run)."""
    if isinstance(pairing, Reason):
        return _no_flips(pairing)
    if arm.benchmark["metric"] == "nll":
        return _no_flips(Reason.NOT_BINARY)
    seeds = sorted({*arm.seeds, *reference.seeds})
    paired = pairing.paired
    scores, reference_scores = arm.scores(seeds)[paired], reference.scores(seeds)[paired]
    if not (is_binary(scores) and is_binary(reference_scores)):
        return _no_flips(Reason.NOT_BINARY)
    sampled = not arm.benchmark["deterministic"] and pairing.n_runs > 1
    found = flips(scores, reference_scores, different_seeds=sampled)
    known = ~np.isnan(found.lost)
    if not known.any():
        return _no_flips(Reason.NO_PAIRED_ITEMS)
    if sampled:
        floor: ItemFlips | Reason = flips(reference_scores, reference_scores, different_seeds=True)
    elif not arm.benchmark["deterministic"]:
        floor = Reason.ONE_RUN
    else:
        floor = _aa_floor(aa_arm, reference, pairing)
    row = {
        "pairs": "different_seeds" if sampled else "same_seed",
        "n_items": int(known.sum()),
        **_rate_fields("lost", rate(found.lost[known])),
        **_rate_fields("gained", rate(found.gained[known])),
        **_rate_fields("flipped", rate(found.both[known])),
        **_rate_fields("odds_ratio", odds_ratio(found.lost[known], found.gained[known])),
        "noise_floor_source": None if isinstance(floor, Reason) else "reference_seeds" if sampled else "aa_arm",
        **_floor_fields(found, floor),
    }
    one_run = int(known.sum()) if pairing.n_runs == 1 and scores.shape[1] == 1 else 0
    return {"flips": row, "flips_reason": None, **_mcnemar_fields(found, known, one_run)}


def _no_flips(reason: Reason) -> Json:
    return {"flips": None, "flips_reason": reason.value, "mcnemar": None, "mcnemar_reason": reason.value}


def _rate_fields(name: str, found: Rate | Reason) -> Json:
    value, bounds = (found.value, found.interval) if isinstance(found, Rate) else (found, found)
    return {**number(name, value), **interval(f"{name}_ci95", bounds)}


def _aa_floor(aa_arm: ScoredArm | None, reference: ScoredArm, pairing: Pairing) -> ItemFlips | Reason:
    """Return the flips between the reference and its A/A arm, the same model in another batch layout."""
    if aa_arm is None or not aa_arm.items["item_id"].equals(pairing.item_ids):
        return Reason.NO_AA_ARM
    seeds = reference.seeds
    paired = pairing.paired
    return flips(aa_arm.scores(seeds)[paired], reference.scores(seeds)[paired], different_seeds=False)


def _floor_fields(found: ItemFlips, floor: ItemFlips | Reason) -> Json:
    """Return the noise floor's rate and the arm's excess over it.

    The excess is paired by item because some questions flip more easily than others.
    """
    if isinstance(floor, Reason):
        return {**_rate_fields("noise_floor", floor), **_rate_fields("above_floor", floor)}
    known = ~np.isnan(floor.lost)
    both = known & ~np.isnan(found.lost)
    of_floor = rate(floor.both[known]) if known.any() else Reason.NO_PAIRED_ITEMS
    return {**_rate_fields("noise_floor", of_floor), **_rate_fields("above_floor", _excess(found, floor, both))}


def _excess(found: ItemFlips, floor: ItemFlips, both: np.ndarray[Any, np.dtype[np.bool_]]) -> Rate | Reason:
    if not both.any():
        return Reason.NO_PAIRED_ITEMS
    excess: Floats = found.both[both] - floor.both[both]
    return Rate(float(excess.mean()), difference_interval(excess, proportion=True))


def _mcnemar_fields(found: ItemFlips, known: np.ndarray[Any, np.dtype[np.bool_]], n: int) -> Json:
    if n == 0:
        return {"mcnemar": None, "mcnemar_reason": Reason.SEVERAL_RUNS.value}
    test = mcnemar(int(found.lost[known].sum()), int(found.gained[known].sum()), n)
    row = {
        "lost": test.lost,
        "gained": test.gained,
        "p_value": test.p_value,
        "p_value_worse": test.p_value_worse,
        "p_value_mid": test.p_value_mid,
        "ci95": [test.interval.low, test.interval.high],
    }
    return {"mcnemar": row, "mcnemar_reason": None}
