"""What a plan may not exceed: names that file systems can hold, and work that somebody can wait for."""

from __future__ import annotations

from collections.abc import Sequence

from actors.orchestrator.plan import PlannedArm
from actors.orchestrator.sources.inputs import Inputs
from conf.faults import BadInput, Fault, Faults
from conf.schema.models import LONGEST_ARM_NAME
from conf.schema.pipeline import PipelineConfig

MOST_ANSWERS = 10_000_000
"""Most records of a plan. Statistics hold all of them in memory."""
MOST_CELLS = 100_000
"""Most cells of a plan. Each is a run of MLflow."""


def check_limits(config: PipelineConfig, inputs: Inputs, arms: Sequence[PlannedArm]) -> None:
    """Raise `BadInput` for names of arms that are too long or not unique, and for a plan with too much work."""
    faults = Faults()
    if not arms:
        faults.add(Fault("--quantizations", "", "at least one quantization, or an --arm: there is nothing to evaluate"))
    names = [arm.name for arm in arms]
    for name in sorted({name for name in names if names.count(name) > 1}):
        step = "Give the --arm another name, or leave out one of the quantizations."
        faults.add(Fault("--arm", name, "arms whose names differ, with those that are made here", step))
    too_long = max(names, key=lambda name: len(name.encode()), default="")
    if len(too_long.encode()) > LONGEST_ARM_NAME:
        allowed = f"names of arms of at most {LONGEST_ARM_NAME} bytes"
        step = "The names of model, recipe and calibration mix are parts of it: shorten one, such as --model NAME=PATH."
        faults.add(Fault("--model", too_long, allowed, step))
    faults.gather(_check_work, config, inputs, arms)
    faults.stop_if_any()


def _check_work(config: PipelineConfig, inputs: Inputs, arms: Sequence[PlannedArm]) -> None:
    planned = [
        (len(benchmark.items), config.runs if benchmark.sampled else 1)
        for arm in arms
        for benchmark in inputs.benchmarks[arm.model]
    ]
    cells = sum(runs for _, runs in planned)
    answers = sum(items * runs for items, runs in planned)
    if cells > MOST_CELLS or answers > MOST_ANSWERS:
        got = f"{config.runs} ({len(arms)} arms would give {answers:,} answers in {cells:,} cells)"
        allowed = f"at most {MOST_ANSWERS:,} answers in {MOST_CELLS:,} cells"
        raise BadInput(Fault("--runs", got, allowed, "Take fewer runs or arms, or a smaller --limit."))
