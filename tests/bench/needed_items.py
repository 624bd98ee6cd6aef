"""Items that the verdict "no worse" takes, simulated from recorded results, before and after a change of method.

    python -m tests.bench.needed_items --before RUN --after RUN [--data-dir DIR] [--simulations 1000]

Both are run directories with the same model and arms. From `before`, each benchmark is claimed alone, by its accuracy.
From `after`, so is each by its accuracy and (choices) by the probability of the right one, and all on average.

An arm that loses nothing is made from a recorded one: each item that is drawn swaps arm and reference with a chance of
one half, which keeps the flips. A simulated run draws from the recorded items with replacement and is judged as the
product does it. Bisection finds the number of items at which 80% of the runs say "no worse": by the margin alone, and
with the guards (share to keep, floor and ceiling), which no number passes if the reference hardly beats guessing.
Tokens are those of one arm: per item the prompt once, with its examples, and the answers under all seeds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from actors.evaluation.benchmarks import BENCHMARKS
from actors.evaluation.contract import LoaderInputs
from actors.items import Item
from actors.json_lines import read_jsonl
from actors.llama.model import Model
from actors.orchestrator.choice_scores import choice_scores
from actors.orchestrator.records import table_of
from actors.store import RunDirectory
from conf.files import read_object
from conf.schema.answers import Sampling
from conf.schema.verdicts import Margins
from reporting.frames import RECORD_SCHEMA
from stats.guards import kept_interval, kept_values, level_of
from stats.intervals import Floats, Interval, wilson
from stats.needed import items_without_loss
from stats.paired import Pairing, difference_interval, pair_items
from stats.pooled import Stratum, pooled_difference, pooled_interval
from stats.power import POWER
from stats.reasons import Reason
from stats.reduce import per_item, with_value
from stats.verdict import Evidence, Verdict, judge

MARGINS = Margins()
TITLES = "arm | claim | benchmark | score | recorded items | variance | items | tokens per arm | items with the guards"
FEW, NOTE = 100, " (too few: a rough guess)"  # with fewer recorded items, this is said of them
MOST = 200_000  # more items of a benchmark than this are not simulated


@dataclass(frozen=True)
class Recorded:
    """An arm and its reference on one benchmark by one score: the means of the paired items, shape (items,)."""

    benchmark: str
    arm_name: str
    score: str
    chance: float
    arm: Floats
    reference: Floats
    tokens: float  # per item and arm

    @property
    def variance(self) -> float:
        """Variance of an item's difference if nothing is lost."""
        return float(np.mean((self.arm - self.reference) ** 2))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return `n` items of an arm that loses nothing, and of its reference."""
        picked, swapped = rng.integers(self.arm.size, size=n), rng.random(n) < 0.5
        arm, reference = self.arm[picked], self.reference[picked]
        return np.where(swapped, reference, arm), np.where(swapped, arm, reference)


def read_run(path: Path, data_dir: Path | None) -> Iterator[Recorded]:
    """Yield each arm that has a reference on each built-in benchmark with right and wrong answers, by each score."""
    plan = read_object(RunDirectory(path).plan)
    if plan is None:
        raise SystemExit(f"{path} is not a run directory: it has no plan.json")
    items, rows = dict[str, dict[str, Item]](), list[dict[str, Any]]()
    for block in [one for one in plan["blocks"] if one["benchmark"] in BENCHMARKS]:
        name = block["benchmark"]
        for record in read_jsonl(path / block["file"]):
            if record["choice_logliks"] and name not in items:
                with Model(plan["models"][0]["path"], vocab_only=True) as model:
                    loaded = BENCHMARKS[name].load(LoaderInputs(data_dir, Sampling(), model)).raw_items
                items[name] = {raw.item_id: Item(raw.item_id, raw.task, raw.target, "") for raw in loaded}
            scores = choice_scores(record, items.get(name, {}).get(record["item_id"]))
            chance = 1 / len(record["choice_logliks"]) if record["choice_logliks"] else 0.0
            rows.append({"arm": block["arm"], "benchmark": name, "chance": chance, **record, **scores})
    values = with_value(table_of(rows, {**RECORD_SCHEMA, "chance": pl.Float64}))
    for own in values.filter(pl.col("outcome") != "measured").partition_by("benchmark", maintain_order=True):
        for made in [one for one in plan["artifacts"] if one["reference"] is not None]:
            for score in ("accuracy", "gold_probability") if own["chance"].sum() else ("accuracy",):
                yield from _recorded(own, made["arm"], made["reference"], score)


def _recorded(values: pl.DataFrame, arm: str, reference: str, score: str) -> Iterator[Recorded]:
    own = values if score == "accuracy" else values.with_columns(value=pl.col(score))
    pairing = pair_items(*(per_item(own.filter(arm=name)) for name in (arm, reference)))
    if not isinstance(pairing, Pairing) or not pairing.paired.any():
        return
    both = own.filter(pl.col("arm").is_in([arm, reference])).group_by("arm", "item_id")
    costs = both.agg(pl.col("prompt_tokens").max() + pl.col("completion_tokens").sum())
    chance, tokens = (float(np.mean(column.to_numpy())) for column in (own["chance"], costs["prompt_tokens"]))
    means = (pairing.arm_means[pairing.paired], pairing.reference_means[pairing.paired])
    yield Recorded(own["benchmark"][0], arm, score, chance, *means, tokens)


def no_worse(parts: Sequence[Recorded], drawn: Sequence[tuple[Floats, Floats]], *, guards: bool) -> bool:
    """Return whether a run is "no worse": on its only benchmark, or on average. What only "worse" needs is left out."""
    margin = MARGINS.pooled if len(parts) > 1 else getattr(MARGINS, parts[0].score)
    found = (difference_interval(arm - reference, proportion=True) for arm, reference in drawn)
    alone = [one for one in found if isinstance(one, Interval)]  # all of them: a proportion has an interval
    interval = alone[0] if len(parts) == 1 else pooled_difference(_strata(drawn)).interval
    none, share = Reason.NO_P_VALUE, MARGINS.relative
    evidence = Evidence(none, interval, margin, none, none, none)
    if guards:
        keeps, means, levels = [], [], []
        for part, one, (arm, reference) in zip(parts, alone, drawn, strict=True):
            keeps.append(kept_interval(one, arm, reference, share, part.chance))
            means.append(kept_values(arm, reference, share, part.chance).mean())
            levels.append(level_of(wilson(float(reference.mean()), arm.size), margin, part.chance))
        evidence = replace(evidence, kept=_mean(means, keeps, drawn), level=next(filter(None, levels), None))
    return judge(evidence).verdict is Verdict.NO_WORSE


def _mean(means: Sequence[float], intervals: Sequence[Interval], drawn: Sequence[tuple[Floats, Floats]]) -> Interval:
    """Return the interval of the mean over benchmarks, none of which share sources."""
    return intervals[0] if len(intervals) == 1 else pooled_interval(means, intervals, _strata(drawn))


def _strata(drawn: Sequence[tuple[Floats, Floats]]) -> list[Stratum]:
    sources = np.arange(len(drawn) * drawn[0][0].size).reshape(len(drawn), -1)
    return [Stratum(1 / len(drawn), arm - ref, own) for (arm, ref), own in zip(drawn, sources, strict=True)]


def needed(parts: Sequence[Recorded], simulations: int, *, guards: bool, least: int = 0) -> int | None:
    """Return the items of each benchmark at which 80% of the runs are "no worse": `least` at least, or None."""

    def decides(n: int) -> bool:
        rng = np.random.default_rng(0)
        runs = ([part.draw(n, rng) for part in parts] for _ in range(simulations))
        return sum(no_worse(parts, drawn, guards=guards) for drawn in runs) >= POWER * simulations

    variance = float(np.mean([part.variance for part in parts])) / len(parts)
    low, high = least - 1, least or items_without_loss(variance, MARGINS.accuracy, proportion=True)
    while not decides(high):
        low, high = high, high * 2
        if high > MOST:
            return None
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def claims(before: Sequence[Recorded], after: Sequence[Recorded]) -> Iterator[tuple[str, list[Recorded]]]:
    """Yield each claim with its benchmarks. Of several that ask the same questions, the mean takes the largest."""
    yield from (("before, alone", [one]) for one in before if one.score == "accuracy")
    yield from (("after, alone", [one]) for one in after)
    for arm in dict.fromkeys(one.arm_name for one in after):
        own = sorted((one for one in after if (one.arm_name, one.score) == (arm, "accuracy")), key=lambda a: a.arm.size)
        pooled = {BENCHMARKS[one.benchmark].spec.questions or one.benchmark: one for one in own}
        if len(pooled) > 1:
            yield "after, on average", list(pooled.values())


def row(claim: str, parts: Sequence[Recorded], simulations: int) -> str:
    """Return the line of the table for one claim about one arm."""
    plain = needed(parts, simulations, guards=False)
    guarded = plain and needed(parts, simulations, guards=True, least=plain)
    each = [(one.benchmark, f"{one.arm.size:,}{NOTE * (one.arm.size < FEW)}", f"{one.variance:.2g}") for one in parts]
    items, kept = (_number(n and n * len(parts)) for n in (plain, guarded))
    tokens = _number(plain and plain * sum(part.tokens for part in parts))
    names, *more = map(", ".join, zip(*each, strict=True))
    return f"| {' | '.join((parts[0].arm_name, claim, names, parts[0].score, *more, items, tokens, kept))} |"


def _number(value: float | None) -> str:  # two significant figures: more would be noise
    return "out of reach" if value is None else f"{round(value, 1 - math.floor(math.log10(value))):,.0f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, metavar="RUN", help="run directory")
    parser.add_argument("--after", type=Path, required=True, metavar="RUN", help="run directory")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of data sets (default: from the hub)")
    parser.add_argument("--simulations", type=int, default=1000, metavar="N", help="runs per number (default 1000)")
    options = parser.parse_args(argv)
    before, after = (list(read_run(path, options.data_dir)) for path in (options.before, options.after))
    print(f"| {TITLES} |\n|{'---|' * 6}{'--:|' * 3}")
    for claim, parts in claims(before, after):
        print(row(claim, parts, options.simulations), flush=True)


if __name__ == "__main__":
    main()
