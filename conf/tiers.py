"""Tiers: what the verdict of an arm asks of each benchmark.

Each benchmark of the tier `each` must be no worse by itself. Those of the tier `pooled` must be no worse on average.
Those of the tier `inform` are shown, and no verdict depends on them. A benchmark may be in `each` and `pooled`. Both
claims are then made, the stronger one decides, and the claim on average stands beside it.

`resolve_tiers` applies the settings to the benchmarks of a run. Plan, analysis and documents ask it, and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conf.faults import BadInput, Fault, Faults, near_names
from conf.schema.verdicts import Statistics, Tiers

GROUPS: Mapping[str, tuple[str, ...]] = {"perplexity": ("perplexity_wikitext2", "perplexity_ja_wiki")}
"""Names that stand for several benchmarks."""
POOLED_METRIC = "accuracy"
_KEY = "statistics.tiers"
_SET_MARGIN = "Set statistics.margins.judged (the largest loss that is still small, in points of its scale)"


@dataclass(frozen=True)
class TiersOfRun:
    """The tiers of the benchmarks of one run, in the run's order."""

    each: tuple[str, ...]
    pooled: Mapping[str, float] = field(default_factory=dict)
    """Weight by benchmark, with a sum of 1. Empty: no claim on average is made."""
    inform: tuple[str, ...] = ()

    @property
    def pooled_only(self) -> tuple[str, ...]:
        """Benchmarks that only the claim on average depends on. If there are any, the verdict of an arm needs it."""
        return tuple(name for name in self.pooled if name not in self.each)


def resolve_tiers(settings: Statistics, benchmarks: Sequence[Mapping[str, Any]]) -> TiersOfRun:
    """Return the tiers of a run.

    Unless the configuration says otherwise, every benchmark must be no worse by itself, and all with right or wrong
    answers are pooled. A Python function is not pooled unless it is named: it may return one number without any items.
    With early stopping nothing is pooled by default. A benchmark whose verdict goes by another score than accuracy is
    not pooled either. A judged benchmark only informs while no margin is set for it, unless all benchmarks are judged:
    it would keep every arm undecided.

    Args:
        settings: the tiers, the margins, and whether benchmarks may end early.
        benchmarks: `name`, `kind`, `metric`, `higher_is_better` and `rubrics` of the run's benchmarks. Results of older
            versions have no `rubrics`.

    Raises:
        BadInput: with every fault found.
    """
    benchmarks = [{**one, "metric": settings.score_of(one["name"], one["metric"])} for one in benchmarks]
    tiers, names = settings.tiers, [str(one["name"]) for one in benchmarks]
    named = {tier: _expanded(given) for tier, given in _given(tiers).items()}
    faults = Faults()
    for tier, given in named.items():
        faults.add(*_unknown(tier, given, names))
    inform = {name for name in named.get("inform", ()) if name in names}
    if tiers.each is None and settings.margins.judged is None:
        inform |= _without_margin(benchmarks, inform)
    for tier in ("each", "pooled"):
        faults.add(*(_twice(tier, name) for name in named.get(tier, ()) if name in inform))
    if settings.margins.judged is None:
        judged = {str(one["name"]) for one in benchmarks if one.get("rubrics")}
        faults.add(*(_no_margin(name) for name in named.get("each", ()) if name in judged))
    faults.gather(_check_pool, settings, [one for one in benchmarks if one["name"] in named.get("pooled", ())])
    faults.stop_if_any()
    weights = _weights(tiers, benchmarks, inform)
    each = tuple(name for name in names if name in named.get("each", names) and name not in inform)
    resolved = TiersOfRun(each, weights, tuple(name for name in names if name in inform))
    _check_complete(resolved, names)
    if settings.early_stop and resolved.pooled_only:
        raise BadInput(_no_early_stop(list(resolved.pooled_only)))
    return replace(resolved, pooled={}) if settings.early_stop else resolved


def _without_margin(benchmarks: Sequence[Mapping[str, Any]], inform: set[str]) -> set[str]:
    """Return the judged benchmarks that cannot decide because no margin is set; none if nothing else decides."""
    judged = {str(one["name"]) for one in benchmarks if one.get("rubrics")}
    return judged if {str(one["name"]) for one in benchmarks} - inform - judged else set()


def question_set(name: str, questions: str | None, source: Mapping[str, Any]) -> str:
    """Return what the ids of a benchmark's items are unique within. Equal ids in equal sets are the same question.

    Args:
        name: the benchmark's name.
        questions: the set of questions that it declares. None: that of every benchmark that reads the same file.
        source: where its data come from, with `files`.
    """
    files = source.get("files") or ()
    return questions or (str(files[0]["sha256"]) if files else name)


def _given(tiers: Tiers) -> dict[str, tuple[str, ...]]:
    """Return the names in each tier that the configuration sets."""
    found = {"each": tiers.each, "pooled": tiers.pooled, "inform": tiers.inform}
    return {tier: tuple(names) for tier, names in found.items() if names is not None}


def _expanded(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for name in names for one in GROUPS.get(name, (name,))))


def _unknown(tier: str, given: Iterable[str], names: Sequence[str]) -> list[Fault]:
    allowed = f"benchmarks of this run ({', '.join(names)})"
    return [Fault(f"{_KEY}.{tier}", name, allowed, near_names(name, names)) for name in given if name not in names]


def _twice(tier: str, name: str) -> Fault:
    step = f"Take it out of `inform` or out of `{tier}`."
    return Fault(f"{_KEY}.{tier}", name, "a benchmark that is not in `inform`, where no verdict depends on it", step)


def _no_margin(name: str) -> Fault:
    allowed = "a judged benchmark here only with a margin: without one its verdict stays open, whatever the scores"
    return Fault(f"{_KEY}.each", name, allowed, f"{_SET_MARGIN}, or put it into `inform`.")


def _check_pool(settings: Statistics, pooled: Sequence[Mapping[str, Any]]) -> None:
    """Raise `BadInput` if the named benchmarks have no common mean."""
    given = settings.tiers.pooled
    if not given:
        return
    key, faults = f"{_KEY}.pooled", Faults()
    for one in pooled:
        if not _is_poolable(one):
            direction = "" if one["higher_is_better"] else ", lower is better"
            allowed = f"benchmarks with the metric {POOLED_METRIC}: only losses of one kind have a mean"
            only_informs = one.get("rubrics") and settings.margins.judged is None
            step = f"Put it into `inform`, or into `each` if you {_SET_MARGIN[0].lower()}{_SET_MARGIN[1:]}."
            step = step if only_informs else "Put it into `each` or `inform`."
            faults.add(Fault(key, f"{one['name']} (metric {one['metric']}{direction})", allowed, step))
    if len(_expanded(given)) < 2:
        step = "An empty list makes no claim on average."
        faults.add(Fault(key, list(given), "at least two benchmarks, because one alone has its own verdict", step))
    if settings.early_stop:
        faults.add(_no_early_stop(list(given)))
    faults.stop_if_any()


def _no_early_stop(names: list[str]) -> Fault:
    allowed = "no claim on average together with --early-stop: a benchmark that ended because of its results"
    return Fault(f"{_KEY}.pooled", names, f"{allowed} has no interval to combine", "Leave out one of the two.")


def _is_poolable(benchmark: Mapping[str, Any]) -> bool:
    return benchmark["metric"] == POOLED_METRIC and bool(benchmark["higher_is_better"])


def _weights(tiers: Tiers, benchmarks: Sequence[Mapping[str, Any]], inform: set[str]) -> dict[str, float]:
    if tiers.pooled is None:
        chosen = [one for one in benchmarks if _is_poolable(one) and one["kind"] != "function"]
        names = [str(one["name"]) for one in chosen if one["name"] not in inform]
        return {name: 1 / len(names) for name in names} if len(names) > 1 else {}
    given = {one: weight for name, weight in tiers.pooled.items() for one in _expanded((name,))}
    total = sum(given.values())
    return {str(one["name"]): given[one["name"]] / total for one in benchmarks if one["name"] in given}


def _check_complete(resolved: TiersOfRun, names: Sequence[str]) -> None:
    """Raise `BadInput` if a benchmark is in no tier, or if nothing decides."""
    known = {*resolved.each, *resolved.pooled, *resolved.inform}
    missing = [name for name in names if name not in known]
    if missing:
        step = "Add it to one, to `inform` if no verdict should depend on it."
        raise BadInput([Fault(f"{_KEY}.each", name, "every benchmark in a tier", step) for name in missing])
    if not resolved.each and not resolved.pooled:
        allowed = "a benchmark in `each`, or at least two in `pooled`: a verdict needs one"
        raise BadInput(Fault(f"{_KEY}.inform", list(resolved.inform), allowed))
