"""The rules that a verdict goes by, and how they were changed after the evaluation had begun.

The rules are the margins, the score of each verdict, the tier of each benchmark, the benchmarks of the claim on average
with their weights, and the benchmarks of the run. Somebody who changes them after seeing results can reach any verdict,
so every change is told for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from reporting.analysis.fields import Json
from reporting.analysis.looks import History, Look
from reporting.frames import GOLD_COLUMNS

SCORE, TIER, POOL, BENCHMARKS = "verdict_score", "tier", "pool", "benchmarks"
"""Names of the rules that are no margins."""
_POOLED = "pooled"
"""Name of the margin of the claim on average."""

Rule = str | float | None
"""What a rule says: a margin, the name of a score (None: the benchmark's own metric), the name of a tier, or benchmarks
(with their shares of the mean)."""


def margin_names(metric: str, proportion: bool) -> tuple[str, ...]:
    """Return the names of the margins that a comparison goes by.

    Args:
        metric: the score of the verdict.
        proportion: True if it lies in [0, 1]. A share of it must then be kept, too.
    """
    if metric == "nll":
        return ("ln_ppl",)
    if metric == "gold_loglik":
        return (metric,)
    if metric in GOLD_COLUMNS:
        return metric, "relative"
    return ("accuracy", "relative") if proportion else ("judged",)


def rule_changes(histories: Iterable[tuple[str, Sequence[str], History]]) -> list[Json]:
    """Return the changes of rules after the evaluation had begun, in the order of time.

    Args:
        histories: benchmark, names of its margins and history of each comparison.
    """
    found: dict[tuple[str, Rule, Rule], Json] = {}
    for benchmark, margins, history in histories:
        for change in (*_changes(margins, history), *_left_out(history)):
            key = change["rule"], change["before"], change["now"]
            same = found.setdefault(key, {**change, "benchmarks": []})
            same["time"] = min(same["time"], change["time"])
            same["n_looks_before"] = max(same["n_looks_before"], change["n_looks_before"])
            if benchmark not in same["benchmarks"]:
                same["benchmarks"].append(benchmark)
    return sorted(found.values(), key=lambda change: str(change["time"]))


def _changes(margins: Sequence[str], history: History) -> list[Json]:
    every: Sequence[Look] = (*history.known, history.now)
    changes: list[Json] = []
    for place, (before, after) in enumerate(pairwise(every), 1):
        n_looks = _n_looks(every[:place])
        for rule in (*margins, SCORE, TIER, *_average_rules(before, after)):
            then, now = _value(before, rule), _value(after, rule)
            if then != now:
                change = {"rule": rule, "before": then, "now": now, "time": after.time, "n_looks_before": n_looks}
                changes.append(change)
    return changes


def _average_rules(before: Look, after: Look) -> tuple[str, ...]:
    """Return the rules of the claim on average that may have changed. To make the claim for the first time is none.

    A benchmark that only left the run is told as such (`_left_out`).
    """
    if not before.pool:
        return ()
    if not after.pool:
        return () if set(before.benchmarks) - set(after.benchmarks) else (POOL,)
    return POOL, _POOLED


def _left_out(history: History) -> list[Json]:
    """Return the benchmarks that were looked at beside this one, and are not part of the run that is going on."""
    now = history.now.benchmarks
    looked_at = dict.fromkeys(name for look in history.known if look.finished for name in look.benchmarks)
    left_out = [name for name in looked_at if name not in now]
    if not left_out or not now:
        return []
    place = next((at for at, look in enumerate(history.known) if look.benchmarks == now), len(history.known))
    time = (*history.known, history.now)[place].time
    n_looks = max(1, _n_looks(history.known[:place]))
    values = {"before": ", ".join(left_out), "now": ", ".join(now)}
    return [{"rule": BENCHMARKS, **values, "time": time, "n_looks_before": n_looks}]


def _n_looks(looks: Sequence[Look]) -> int:
    return len({look.data for look in looks if look.finished})


def _value(look: Look, rule: str) -> Rule:
    if rule == POOL:
        return ", ".join(f"{name} {weight:.3g}" for name, weight in sorted(look.pool.items())) or None
    if rule == SCORE:
        return look.score
    return look.tier if rule == TIER else look.margins.get(rule)
