"""The rules that a verdict goes by, and how they were changed after the evaluation had begun.

The rules are the margins, the score of each verdict and the tier of each benchmark. Somebody who changes them after
seeing results can reach any verdict, so every change is told for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from reporting.analysis.fields import Json
from reporting.analysis.looks import History, Look
from reporting.frames import GOLD_COLUMNS

SCORE, TIER = "verdict_score", "tier"
"""Names of the rules that are no margins."""

Rule = str | float | None
"""What a rule says: a margin, the name of a score (None: the benchmark's own metric), or the name of a tier."""


def margin_name(metric: str, proportion: bool) -> str:
    """Return the name of the margin that a comparison goes by."""
    if metric == "nll":
        return "ln_ppl"
    if metric in GOLD_COLUMNS:
        return metric
    return "accuracy" if proportion else "judged"


def rule_changes(histories: Iterable[tuple[str, Sequence[str], History]]) -> list[Json]:
    """Return the changes of rules after the evaluation had begun, in the order of time.

    Args:
        histories: benchmark, names of its margins and history of each comparison.
    """
    found: dict[tuple[str, Rule, Rule], Json] = {}
    for benchmark, margins, history in histories:
        for change in _changes([*margins, SCORE, TIER], history):
            key = change["rule"], change["before"], change["now"]
            same = found.setdefault(key, {**change, "benchmarks": []})
            same["time"] = min(same["time"], change["time"])
            same["n_looks_before"] = max(same["n_looks_before"], change["n_looks_before"])
            if benchmark not in same["benchmarks"]:
                same["benchmarks"].append(benchmark)
    return sorted(found.values(), key=lambda change: str(change["time"]))


def _changes(rules: Sequence[str], history: History) -> list[Json]:
    every: Sequence[Look] = (*history.known, history.now)
    changes: list[Json] = []
    for place, (before, after) in enumerate(pairwise(every), 1):
        n_looks = len({look.data for look in every[:place] if look.finished})
        for rule in rules:
            then, now = _value(before, rule), _value(after, rule)
            if then != now:
                change = {"rule": rule, "before": then, "now": now, "time": after.time, "n_looks_before": n_looks}
                changes.append(change)
    return changes


def _value(look: Look, rule: str) -> Rule:
    if rule == SCORE:
        return look.score
    return look.tier if rule == TIER else look.margins.get(rule)
