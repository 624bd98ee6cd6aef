"""Keeps the history of looks in the storage: what was evaluated and looked at, how far, and by which rules.

All pipelines of a storage share it, because they share records. There is one folder per comparison: the records' keys
of the arm and of its reference, which name the benchmark and its data. What only changes the last bits of outputs is
left out of them, so that another number of threads begins no new history. A file stands for one evaluation that was
begun or finished: items, seeds, rules and plan. It is written once and never changed, so two pipelines at once do not
disturb each other, and a restart adds nothing. `reporting.analysis.looks` says what follows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from actors.hashing import content_hash
from actors.orchestrator.may_end_early import may_end_early
from actors.orchestrator.plan import Plan, RecordsDirectory, seeds_of
from actors.store import RunDirectory
from conf.files import exists, read_object, write_json
from conf.schema.pipeline import PipelineConfig
from conf.tiers import TiersOfRun, resolve_tiers
from reporting.analysis.looks import Histories, History, Look
from reporting.analysis.rules import BENCHMARKS, POOL, SCORE, TIER, margin_names, rule_changes
from reporting.notices import Notice


@dataclass(frozen=True)
class KnownLooks:
    """The histories of a plan's comparisons, and notices about files that cannot be read."""

    histories: Histories
    notices: tuple[str, ...]


def read_looks(plan: Plan, config: PipelineConfig, run: RunDirectory) -> KnownLooks:
    """Return the history of each comparison of a plan."""
    histories, notices = {}, []
    for arm, benchmark, comparison, now in _evaluations(plan, config):
        known = []
        for path in run.known_looks(comparison):
            look = _read(path)
            if look is not None:
                known.append(look)
            elif path not in (run.look(comparison, _name(one)) for one in (now, replace(now, finished=True))):
                notices.append(Notice("damaged_look", path=str(path)))
        known.sort(key=lambda look: (look.time, look.finished))
        histories[arm, benchmark] = History(now, tuple(known))
    return KnownLooks(histories, tuple(notices))


def note_begun(plan: Plan, config: PipelineConfig, run: RunDirectory) -> None:
    """Write down that the evaluation begins, with its rules (margins, score, tier, the claim on average).

    They count as fixed before the run from now on.
    """
    for _, _, comparison, now in _evaluations(plan, config):
        _write(run, comparison, now)


def note_looks(plan: Plan, config: PipelineConfig, run: RunDirectory, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write down that the results are looked at, with the verdicts. Where nothing has a score, nobody has seen any.

    `rows`: the rows of the comparisons.
    """
    verdicts = {(row["arm"], row["benchmark"]): row["verdict"] for row in rows if row["n_items"]}
    for arm, benchmark, comparison, now in _evaluations(plan, config):
        if (arm, benchmark) in verdicts:
            _write(run, comparison, replace(now, finished=True, verdict=verdicts[arm, benchmark]))


def history_notices(plan: Plan, config: PipelineConfig, run: RunDirectory) -> tuple[str, ...]:
    """Return what people should know of the history before the work begins."""
    known = read_looks(plan, config, run)
    names = _margin_names(plan, config)
    changes = rule_changes((name, names[name], history) for (_, name), history in known.histories.items())
    informs = {name for (_, name), history in known.histories.items() if history.now.tier == "inform"}
    notices = [_told(one, informs) for one in changes]
    if any(look.early_stop and not one.now.early_stop for one in known.histories.values() for look in one.known):
        notices.append(Notice("early_stop_before"))
    return (*known.notices, *notices)


def _told(change: Mapping[str, Any], informs: Collection[str]) -> Notice:
    """Return a change of the rules as a notice. `informs`: the benchmarks on which no verdict depends."""
    rule, before, now = change["rule"], change["before"], change["now"]
    if rule == BENCHMARKS:
        deciding = [name for name in str(now).split(", ") if name not in informs]
        return Notice("benchmarks_left_out", before=str(before), now=deciding or Notice("none"))
    count = change["n_looks_before"]
    when = {
        "day": change["time"][:16],
        "looks": Notice("one_look") if count == 1 else Notice("several_looks", n=count),
        "benchmarks": list(change["benchmarks"]),
    }
    if rule == SCORE:
        own = Notice("own_metric")
        return Notice("score_changed", before=before or own, now=now or own, **when)
    name = Notice({TIER: "tier", POOL: "mean_over_benchmarks"}[rule]) if rule in (TIER, POOL) else None
    then, today = (Notice("none") if one is None else str(one) for one in (before, now))
    return Notice("rule_changed", rule=name or Notice("margin_of", name=rule), before=then, now=today, **when)


def _margin_names(plan: Plan, config: PipelineConfig) -> dict[str, tuple[str, ...]]:
    """Return the margins that may apply to each benchmark. Whether scores are shares is known only from the records."""
    found: dict[str, tuple[str, ...]] = {}
    for benchmark in (one for benchmarks in plan.benchmarks.values() for one in benchmarks):
        bounded = benchmark.spec.kind in ("generate", "choose")
        score = config.statistics.score_of(benchmark.name, benchmark.spec.metric)
        scales = (True,) if bounded else (True, False)
        names = (name for proportion in scales for name in margin_names(score, proportion))
        found[benchmark.name] = tuple(dict.fromkeys(names))
    return found


def _evaluations(plan: Plan, config: PipelineConfig) -> Iterator[tuple[str, str, str, Look]]:
    """Yield arm, benchmark, hash of the comparison, and the evaluation as it begins now."""
    directories = {(one.arm, one.benchmark): one for one in plan.directories}
    time = datetime.now(UTC).isoformat()
    tiers = resolve_tiers(config.statistics, [asdict(one.spec) for one in plan.benchmarks[plan.models[0].name]])
    for directory in plan.directories:
        arm = plan.arm(directory.arm)
        reference = directories.get((arm.reference or "", directory.benchmark))
        if reference is not None:
            yield (
                directory.arm,
                directory.benchmark,
                content_hash({"arm": _question(directory), "reference": _question(reference)}),
                _evaluation(plan, config, directory, time, tiers),
            )


def _question(directory: RecordsDirectory) -> dict[str, Any]:
    """Return what the records of a folder answer: their key without what only changes the last bits of outputs.

    Another number of threads makes other records, but asks the same question again.
    """
    return {name: value for name, value in directory.key.items() if name not in _ENGINE}


def _evaluation(plan: Plan, config: PipelineConfig, directory: RecordsDirectory, time: str, tiers: TiersOfRun) -> Look:
    benchmark = plan.benchmark(plan.arm(directory.arm).model, directory.benchmark)
    total = benchmark.data.n_items_total
    settings = config.statistics
    return Look(
        n_items=len(directory.item_ids),
        items_hash=content_hash(list(directory.item_ids)),
        seeds=seeds_of(config, benchmark),
        planned_items=max(1, min(settings.planned_items or total, total)),
        margins=settings.margins.model_dump(),
        early_stop=settings.early_stop and may_end_early(benchmark, settings),
        time=time,
        pipeline_id=plan.pipeline_id,
        finished=False,
        score=settings.score_of(benchmark.name, "") or None,
        tier=_tier(directory.benchmark, tiers),
        pool=dict(tiers.pooled) if directory.benchmark in tiers.pooled else {},
        benchmarks=tuple(one.name for one in plan.benchmarks[plan.models[0].name]),
        engine=content_hash({name: directory.key.get(name) for name in _ENGINE}),
    )


_ENGINE = ("build", "layout", "block_items")
"""The parts of a records' key that change no more than the last bits of outputs."""


def _tier(name: str, tiers: TiersOfRun) -> str:
    """Return the tier of a benchmark. If it is in two, it is the stronger one, which decides."""
    return "each" if name in tiers.each else "pooled" if name in tiers.pooled else "inform"


def _name(look: Look) -> str:
    """Return the name of a look's file. When and by which pipeline it was made first does not matter."""
    identity = {**asdict(look), "time": None, "pipeline_id": None, "verdict": None}
    return content_hash(identity)


def _write(run: RunDirectory, comparison: str, look: Look) -> None:
    path = run.look(comparison, _name(look))
    if not exists(path) or _read(path) is None:
        write_json(path, asdict(look))


_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "n_items": int,
    "items_hash": str,
    "seeds": list,
    "planned_items": int,
    "margins": dict,
    "early_stop": bool,
    "time": str,
    "pipeline_id": str,
    "finished": bool,
    "verdict": (str, type(None)),
    "score": (str, type(None)),
    "tier": str,
    "pool": dict,
    "benchmarks": list,
    "engine": str,
}


def _read(path: Path) -> Look | None:
    """Return the look in a file; None if the file is damaged."""
    found = read_object(path)
    if found is None or found.keys() != _FIELDS.keys():
        return None
    whole = all(isinstance(found[name], kind) for name, kind in _FIELDS.items()) and found["planned_items"] > 0
    margins_known = all(value is None or isinstance(value, (int, float)) for value in found["margins"].values())
    if not whole or not margins_known or not all(isinstance(seed, int) for seed in found["seeds"]):
        return None
    return Look(**{**found, "seeds": tuple(found["seeds"]), "benchmarks": tuple(found["benchmarks"])})
