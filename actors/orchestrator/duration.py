"""Estimates before a run how long it will take, from the speeds of its models where they will work. Pure.

The work is known: the tokens to read, the answers to generate (as long as the plan assumes them, and at most as long as
their limit), the texts to measure, the weights to quantize. What is not known is assumed and said: a quantized file
works as fast as its source, and the work divides evenly among the workers that can do it side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from actors.orchestrator.judging_cost import judging_costs, judging_seconds
from actors.orchestrator.plan import Plan, PlannedArm, PlannedBlock
from actors.orchestrator.planning.checks import CHECK_ITEMS
from actors.orchestrator.sources.speeds import Timed, tensor_kind

FIXED_S = 60.0
"""Seconds for starting Ray and the workers, and for the statistics, charts and documents, as a rule."""
CHECK_TOKENS = 12 * CHECK_ITEMS
"""Tokens that an arm's self-check generates one by one."""
PERFORMANCE_TOKENS = 300
"""Tokens that measuring an arm's speed reads and generates, beside its shorter work with many sequences."""


@dataclass(frozen=True)
class Duration:
    """The time of what is left to do, in seconds."""

    phases: Mapping[str, float]
    """By phase, in the order of the work."""
    longest: float
    """The whole time if every answer runs to its token limit."""
    workers: int
    busy: float
    """Largest share of the processors that other programs used during a measurement."""
    unknown: tuple[str, ...]
    """Arms and judges whose time is not in the estimate: endpoints, and files that could not be measured."""

    @property
    def seconds(self) -> float:
        """The whole time."""
        return sum(self.phases.values())


@dataclass(frozen=True)
class NoDuration:
    """There is no estimate."""

    reason: str


def duration_of(
    plan: Plan,
    done: Iterable[str],
    timed: Mapping[str, Timed],
    workers: int,
    of_units: Mapping[str, int] | None = None,
) -> Duration | None:
    """Return the time of what is left of a plan; None if no model was measured.

    Args:
        plan: the plan.
        done: units that are done.
        timed: the measured speed of each source, by path.
        workers: how many workers work side by side.
        of_units: the same for units whose workers take other places, by unit.
    """
    if not timed:
        return None
    finished = set(done)
    sources = {arm.name: _source(plan, arm) for arm in plan.arms}
    known = {name: timed[path] for name, path in sources.items() if path in timed}
    blocks = [one for one in plan.blocks if one.unit not in finished and one.arm in known]
    arms = [arm for arm in plan.arms if arm.unit and arm.unit not in finished and arm.name in known]
    shared = _Shared(of_units or {}, workers)
    of_blocks = shared.sum((one.unit, _seconds(known[one.arm], one, one.generated)) for one in blocks)
    beside = shared.sum(_references_beside(plan, blocks, known))
    phases = {
        "importance matrix": shared.sum(_matrices(plan, finished, timed)),
        "quantizing": shared.sum((str(arm.unit), _quantizing(plan, arm, known[arm.name])) for arm in arms),
        "evaluating": of_blocks + beside + shared.sum(_once(plan, finished, known)),
    }
    if plan.judgings:
        side = min(shared.of(one.unit) for one in plan.judgings)
        phases["judging"] = judging_seconds(judging_costs(plan, finished, timed), side)
    phases["everything else"] = FIXED_S
    longer = shared.sum((one.unit, _seconds(known[one.arm], one, one.most_generated)) for one in blocks) - of_blocks
    return Duration(
        phases,
        sum(phases.values()) + longer,
        workers,
        max(one.busy for one in timed.values()),
        (
            *(arm.name for arm in plan.arms if arm.name not in known),
            *(one.judge.name for one in judging_costs(plan, finished, timed) if one.seconds is None),
        ),
    )


@dataclass(frozen=True)
class _Shared:
    """Divides the time of units among the workers that work on such units side by side."""

    of_units: Mapping[str, int]
    workers: int

    def of(self, unit: str) -> int:
        return self.of_units.get(unit, self.workers)

    def sum(self, seconds: Iterable[tuple[str, float]]) -> float:
        return sum(one / self.of(unit) for unit, one in seconds)


def _source(plan: Plan, arm: PlannedArm) -> str:
    """Return the path of the file that an arm's speed is measured on."""
    file = plan.arm(arm.reference) if arm.is_aa and arm.reference else arm
    return file.order.model_path if file.order else file.gguf_path


def _seconds(timed: Timed, block: PlannedBlock, generated: int) -> float:
    """Return the time of one block with this many generated tokens."""
    speed = timed.speed
    read = block.tokens - block.generated
    return (read / speed.text if block.reference else read / speed.prompt) + generated / speed.answer


def _references_beside(
    plan: Plan, blocks: Iterable[PlannedBlock], known: Mapping[str, Timed]
) -> Iterable[tuple[str, float]]:
    """Yield the time in which a reference is decoded again, beside the arms of a pass that its own block is not in."""
    passes: dict[str, list[PlannedBlock]] = {}
    for block in blocks:
        if block.shared_pass:
            passes.setdefault(block.shared_pass, []).append(block)
    for together in passes.values():
        reference = plan.arm(together[0].arm).reference
        if reference is not None and reference in known and reference not in [block.arm for block in together]:
            yield together[0].unit, together[0].tokens / known[reference].speed.text


def _matrices(plan: Plan, finished: set[str], timed: Mapping[str, Timed]) -> Iterable[tuple[str, float]]:
    """Yield the time of each group of a matrix that is not collected. It is read on the reference, or on the model."""
    paths = {model.name: model.path for model in plan.models}
    for one in plan.imatrices:
        if one.unit in finished or paths[one.model] not in timed:
            continue
        rate = timed[paths[one.model]].speed.prompt
        groups = zip(one.group_units, one.order.group_tokens, strict=True)
        yield from ((unit, n / rate) for unit, n in groups if unit not in finished)


def _quantizing(plan: Plan, arm: PlannedArm, timed: Timed) -> float:
    assert arm.order is not None
    kind = tensor_kind(arm.order.recipe.method)
    rate = timed.speed.quantized.get(kind or "")
    weights = next(model.n_parameters for model in plan.models if model.name == arm.model)
    placed = plan.placed.get(str(arm.unit))
    return weights / (rate * (placed.cpus if placed else arm.order.threads)) if rate else 0.0


def _once(plan: Plan, finished: set[str], known: Mapping[str, Timed]) -> Iterable[tuple[str, float]]:
    """Yield the time of what is measured once per arm: the self-check and the speed."""
    for check in plan.checks:
        if check.unit not in finished and check.order.arm in known:
            speed = known[check.order.arm].speed
            yield check.unit, CHECK_TOKENS * speed.sequences / speed.answer
    for one in plan.performances:
        if one.unit not in finished and one.order.arm in known:
            yield one.unit, PERFORMANCE_TOKENS / known[one.order.arm].speed.prompt


def hours_and_minutes(seconds: float) -> str:
    """Return a time for people: `3 h 20 min`, `12 min`, `45 s`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
