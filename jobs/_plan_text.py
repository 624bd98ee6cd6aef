"""The plan in words, for `--dry-run` and for the start of a run. No line is wider than a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from actors.orchestrator.done import describe_done
from actors.orchestrator.duration import FIXED_S, Duration, NoDuration, hours_and_minutes
from actors.orchestrator.early_stop import describe_early_stop
from actors.orchestrator.judging_cost import VERDICT_S, judging_costs
from actors.orchestrator.placement import evaluation_bytes, judging_bytes
from actors.orchestrator.plan import Plan, seeds_of
from actors.orchestrator.planning.blocks import LENGTH_SHARE
from actors.orchestrator.pooled_precision import describe_pooled_precision, pooled_precision_of
from actors.orchestrator.precision import describe_precision, precision_of
from actors.orchestrator.room import answer_bytes, quantization_bytes
from conf.schema.pipeline import PipelineConfig
from jobs._placement_text import describe_placement
from reporting.analysis.machine_load import BUSY_SHARE
from reporting.terminal.layout import clean, columns, short_name, wrapped_lines


def describe_plan(plan: Plan, config: PipelineConfig, done: frozenset[str], duration: Duration | NoDuration) -> str:
    """Return the plan: notices, models, calibration texts, arms, benchmarks, what they can show, and the cost.

    Args:
        plan: the plan.
        config: the configuration that it was made from.
        done: units that are done.
        duration: the estimated time, or why there is none.
    """
    sections = [
        [f"Plan of {plan.pipeline_id} (nothing was started)"],
        [f"Notice: {clean(notice)}" for notice in plan.notices],
        ["Models", *_models(plan)],
        _calibration(plan),
        ["Arms", *_arms(plan)],
        ["Benchmarks", *_benchmarks(plan, config)],
        describe_reach(plan, config),
        describe_judging(plan, config, done),
        describe_placement(plan, config),
        [
            *describe_duration(duration, _workers(plan, duration)),
            *_room(plan),
            *_cluster(plan),
            describe_done(plan, done, 0),
        ],
    ]
    return "\n\n".join(wrapped_lines("\n".join(filter(None, lines))) for lines in sections if any(lines))


def describe_reach(plan: Plan, config: PipelineConfig) -> list[str]:
    """Return what the items of a plan can show: which loss they find, and how many would decide.

    Nothing if nothing is compared.
    """
    if not any(arm.reference and not arm.is_aa for arm in plan.arms):
        return []
    return [
        *describe_precision(precision_of(plan, config), config.statistics),
        *describe_pooled_precision(pooled_precision_of(plan, config)),
        *describe_early_stop(plan, config),
    ]


def _models(plan: Plan) -> Iterator[str]:
    for model in plan.models:
        yield (
            f"  {short_name(model.name)}: {model.architecture}, {_count(model.n_parameters)} weights,"
            f" {model.source_type}, {model.size_bytes / 2**20:,.1f} MiB"
        )
        if model.dequantized_from:
            yield f"    its weights are dequantized from {model.dequantized_from}, and so is every arm made here"


def _count(number: int) -> str:
    return f"{number / 1e9:.2f} billion" if number >= 1e9 else f"{number / 1e6:.1f} million"


def _calibration(plan: Plan) -> list[str]:
    """Return the texts of each matrix that is collected; nothing if none is."""
    if not plan.imatrices:
        return []
    lines = ["Calibration texts"]
    for name in dict.fromkeys((one.mix, one.order.texts, one.order.dataset_size) for one in plan.imatrices):
        mix, texts, size = name
        lines.append(f"  {short_name(mix)}: {size:,} tokens")
        lines += [f"    {100 * text.share:.0f}% {_file_name(text.path)}" for text in texts]
    return lines


def _file_name(path: str) -> str:
    """Return the name of a text's file, and which part of it is taken."""
    file, mark, part = path.partition("#")
    return clean(f"{PurePath(file).name}{mark}{part}")


def _arms(plan: Plan) -> list[str]:
    references = {arm.reference for arm in plan.arms}
    rows = []
    for arm in plan.arms:
        compared = f"against {arm.reference}" if arm.reference else "not compared"
        compared = "reference" if arm.name in references else compared
        imatrix = f", imatrix {arm.imatrix}" if arm.imatrix else ""
        size = "an endpoint" if arm.endpoint else f"{arm.predicted_bytes / 2**20:,.1f} MiB"
        rows.append([short_name(arm.name), size, f"{clean(compared)}{clean(imatrix)}"])
    return columns(rows, left=(0, 2), folded=True, indent=2)


def _benchmarks(plan: Plan, config: PipelineConfig) -> list[str]:
    rows = []
    for benchmark in plan.benchmarks[plan.models[0].name]:
        seeds = len(seeds_of(config, benchmark))
        n_blocks = sum(block.benchmark == benchmark.name for block in plan.blocks)
        sampling = f"{seeds} seeds" if seeds > 1 else "1 seed" if benchmark.sampled else "no sampling"
        items = f"{len(benchmark.items):,} of {benchmark.data.n_items_total:,} items"
        blocks = f"{n_blocks} block{'' if n_blocks == 1 else 's'} in all arms"
        rows.append([short_name(benchmark.name), items, f"{sampling}, {blocks}"])
    return columns(rows, left=(0, 2), folded=True, indent=2)


def describe_judging(plan: Plan, config: PipelineConfig, done: frozenset[str]) -> list[str]:
    """Return what the judges cost; nothing if nothing is left to judge."""
    costs = judging_costs(plan, done, {})
    if not costs:
        return []
    rows = []
    for one in costs:
        where = "a GGUF, decoded here" if one.judge.endpoint is None else f"asked at {one.judge.endpoint.url}"
        tokens = f"about {one.read + one.written:,} tokens, {one.written:,} of them written"
        rows.append([short_name(one.judge.name), f"{one.calls:,} calls", f"{tokens}; {', '.join(one.rubrics)}"])
        rows.append(["", "", clean(where)])
    limit = config.judging.max_calls
    at_most = f"at most {limit:,} calls in one run (judging.max_calls)" if limit else "no limit (judging.max_calls)"
    return [
        "Judging",
        *columns(rows, left=(0, 2), folded=True, indent=2),
        f"  Calls if every verdict can be read at once and none is known; {at_most}",
    ]


def _workers(plan: Plan, duration: Duration | NoDuration) -> str:
    """Return which workers do the work, and where."""
    where = "on the cluster" if any(node.node_id for node in plan.nodes.usable) else "on this machine"
    if plan.placed or isinstance(duration, NoDuration):
        shares = any(0 < placed.gpus < 1 for placed in plan.placed.values())
        counted = " (those that share a GPU count as one)" if shares else ""
        return f"the workers above side by side{counted}, {where}"
    return f"{duration.workers} worker{'s' if duration.workers > 1 else ''} {where}"


def describe_duration(duration: Duration | NoDuration, workers: str) -> list[str]:
    """Return how long the rest of the plan takes, and what the estimate rests on.

    Args:
        duration: the estimate.
        workers: which workers do the work, and where.
    """
    if isinstance(duration, NoDuration):
        return [f"Time    unknown: {clean(duration.reason)}"]
    phases = ", ".join(
        f"{name} {hours_and_minutes(seconds)}" for name, seconds in duration.phases.items() if seconds >= 0.5
    )
    about, longest = hours_and_minutes(duration.seconds), hours_and_minutes(duration.longest)
    most = "" if about == longest else f"; {longest} if every answer runs to its token limit"
    lines = [
        f"Time    about {about} with {workers} if it is idle{most}",
        f"        ({phases})",
        "        Measured: seconds of reading, answering and quantizing with each source, in the plan's layout."
        f" Assumed: answers take {100 * LENGTH_SHARE:.0f}% of their limit, arms are as fast as their source,"
        f" {hours_and_minutes(FIXED_S)} for Ray, charts and documents"
        + (f", {VERDICT_S:g} s for a verdict from a server" if "judging" in duration.phases else ""),
    ]
    if duration.busy >= BUSY_SHARE:
        lines.append(
            f"        This is for an idle machine, and other programs used {100 * duration.busy:.0f}% of its processors"
            " during the measurement: it takes longer beside them"
        )
    if duration.unknown:
        lines.append(f"        Not in it: {', '.join(map(short_name, duration.unknown))}")
    return lines


def _cluster(plan: Plan) -> Iterator[str]:
    """Yield how many nodes do the work, if it is not done by this machine alone."""
    number = sum(bool(node.node_id) for node in plan.nodes.usable)
    if number:
        yield f"Nodes   {number} of the cluster. One that joins later gets no work until the command is started again"


def _room(plan: Plan) -> Sequence[str]:
    ggufs = sum(arm.predicted_bytes for arm in plan.arms if arm.order)
    disk = f"Disk    {ggufs / 2**30:.2f} GiB of GGUFs, about {answer_bytes(plan) / 2**30:.2f} GiB of answers"
    if plan.placed:  # the memory of each worker is shown above
        return (disk,)
    return (
        disk,
        f"Memory  about {quantization_bytes(plan) / 2**30:.2f} GiB per quantization worker,"
        f" {evaluation_bytes(plan) / 2**30:.2f} GiB per evaluation worker"
        + (f", {needed / 2**30:.2f} GiB per judging worker" if (needed := judging_bytes(plan)) else ""),
    )
