"""The verdict on each arm over its benchmarks, and the arm to take.

The rule for the verdict is in `stats.verdict`, the rule for the choice in `stats.selection`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from conf.tiers import TiersOfRun
from reporting.analysis.fields import Json
from reporting.analysis.pooled import Pooled
from reporting.analysis.scored_arms import AA_SUFFIX
from stats.selection import Sized, fixed_sequence
from stats.verdict import CARRIED, Ground, Judgement, Verdict, judge_overall


def arm_rows(
    run: Mapping[str, Any],
    comparisons: Sequence[Json],
    judged: Sequence[Judgement],
    pooled: Mapping[str, Pooled],
    tiers: TiersOfRun,
) -> list[Json]:
    """Return one row per arm that has a reference: its verdict over the benchmarks that its tiers ask for.

    Args:
        run: the run's description.
        comparisons: the rows of all comparisons.
        judged: the verdict of each of them.
        pooled: the claims on average, by arm.
        tiers: what the verdict asks of each benchmark.
    """
    rows = []
    for arm in run["arms"]:
        if arm["reference"] is None:
            continue
        of_arm = [(row, one) for row, one in zip(comparisons, judged, strict=True) if row["arm"] == arm["name"]]
        own = [(row, one) for row, one in of_arm if row["benchmark"] in tiers.each]
        counted = [(row, one) for row, one in of_arm if not row["informs_only"]]
        on_average = pooled.get(arm["name"])
        needed = [on_average.judgement] if on_average is not None and tiers.pooled_only else []
        overall = judge_overall([*(one for _, one in own), *needed])
        rows.append(
            {
                "arm": arm["name"],
                "reference": arm["reference"],
                "verdict": overall.verdict.value,
                "grounds": [ground.value for ground in overall.grounds],
                "worse_on": [row["benchmark"] for row, one in own if one.verdict is Verdict.WORSE],
                "undecided_on": [row["benchmark"] for row, one in own if one.verdict is Verdict.UNDECIDED],
                "no_worse_on": [row["benchmark"] for row, one in own if one.verdict is Verdict.NO_WORSE],
                "measurably_worse_on": [
                    row["benchmark"]
                    for row, one in own
                    if one.verdict is Verdict.WORSE
                    or not {Ground.MEASURABLY_WORSE, Ground.LOSS_SHOWN}.isdisjoint(one.grounds)
                ],
                **{f"{ground.value}_on": _named(own, ground) for ground in CARRIED},
                "on_average": None if on_average is None else on_average.judgement.verdict.value,
                "n_records": sum(row["n_records"] for row, _ in counted),
                "n_unscored": sum(row["n_unscored"] for row, _ in counted),
                "n_unscored_reference": sum(row["n_unscored_reference"] for row, _ in counted),
            }
        )
    return rows


def _named(own: Sequence[tuple[Json, Judgement]], ground: Ground) -> list[str]:
    """Return the benchmarks whose verdict has this ground."""
    return [row["benchmark"] for row, one in own if ground in one.grounds]


def selections(run: Mapping[str, Any], arm_rows: Sequence[Json], pooled: Mapping[str, Pooled]) -> list[Json]:
    """Return one row per reference: the arms that the fixed sequence tested, and the one that it chose.

    Beside it stands the same sequence for the claim on average.

    Arms that were not made, arms without a size, controls and A/A arms are left out.
    """
    of_arm = {row["arm"]: row for row in arm_rows}
    dequantized = {arm["name"]: arm["dequantized_from"] for arm in run["arms"]}
    sequences: dict[str, list[Sized]] = {}
    left_out: dict[str, list[str]] = {}
    for arm in run["arms"]:
        if arm["name"] not in of_arm:
            continue
        reference = arm["reference"]
        sequence, rest = sequences.setdefault(reference, []), left_out.setdefault(reference, [])
        is_control = (arm.get("budget") or {}).get("control") or arm["name"].endswith(AA_SUFFIX)
        if arm["failed"] or arm["size_bytes"] is None or is_control:
            rest.append(arm["name"])
        else:
            sequence.append(Sized(arm["name"], arm["size_bytes"], Verdict(of_arm[arm["name"]]["verdict"])))
    rows = []
    for reference, sequence in sequences.items():
        found = fixed_sequence(sequence)
        chosen = of_arm.get(found.smallest_no_worse or "", {})
        rows.append(
            {
                "reference": reference,
                "reference_dequantized_from": dequantized[reference],
                "tested": list(found.tested),
                "smallest_no_worse": found.smallest_no_worse,
                "n_records": chosen.get("n_records"),
                "n_unscored": chosen.get("n_unscored"),
                "stopped_at": found.stopped_at,
                "not_reached": list(found.not_reached),
                "left_out": left_out[reference],
                "on_average": _on_average(sequence, pooled),
            }
        )
    return rows


def _on_average(arms: Sequence[Sized], pooled: Mapping[str, Pooled]) -> Json | None:
    """Return the course of the fixed sequence for the claim on average; None if nothing is pooled."""
    if not pooled:
        return None
    found = fixed_sequence([replace(arm, verdict=pooled[arm.name].judgement.verdict) for arm in arms])
    return {
        "tested": list(found.tested),
        "smallest_no_worse": found.smallest_no_worse,
        "stopped_at": found.stopped_at,
        "not_reached": list(found.not_reached),
    }
