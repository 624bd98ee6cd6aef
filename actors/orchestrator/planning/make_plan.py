"""The whole plan: every combination of model, recipe, matrix, benchmark and seed, as units of work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from actors.hashing import content_hash
from actors.orchestrator.plan import (
    Cell,
    Plan,
    PlannedArm,
    PlannedBlock,
    PlannedImatrix,
    PlannedJudging,
    RecordsDirectory,
    seeds_of,
)
from actors.orchestrator.planning.arms import plan_arms, recipes_of, weighs_tokens, with_aa
from actors.orchestrator.planning.blocks import plan_blocks
from actors.orchestrator.planning.checks import plan_checks, plan_performances
from actors.orchestrator.planning.device_places import layout_of, place_arms
from actors.orchestrator.planning.judged import judged_notices, short_contexts
from actors.orchestrator.planning.judgings import plan_judgings
from actors.orchestrator.planning.limits import check_limits
from actors.orchestrator.planning.matrices import plan_imatrix
from actors.orchestrator.planning.passes import Decoding, measuring_reference, shared_passes
from actors.orchestrator.planning.unit_places import unit_places
from actors.orchestrator.sources.inputs import Inputs
from actors.recipes import LOSSLESS_TYPES, uses_imatrix
from actors.store import RunDirectory
from conf.schema.pipeline import PipelineConfig
from conf.schema.verdicts import Tiers
from reporting.notices import Notice


def make_plan(
    config: PipelineConfig,
    pipeline_id: str,
    run: RunDirectory,
    inputs: Inputs,
    known_seed_groups: Mapping[str, Sequence[Sequence[int]]],
) -> Plan:
    """Return the plan of a pipeline.

    Args:
        config: the configuration.
        pipeline_id: name of the run.
        run: directory of the run. Only paths are made from it; nothing is read.
        inputs: what was read about models, arms and benchmarks.
        known_seed_groups: for each records directory, the seed groups that an earlier run used there.

    Raises:
        BadInput: names of arms are too long or not unique, or there is too much work.
    """
    imatrices = _plan_imatrices(config, run, inputs)
    arms = with_aa(config, plan_arms(config, run, inputs, imatrices))
    check_limits(config, inputs, arms)
    places = place_arms(config, inputs, arms)
    passes = shared_passes(arms, places)
    directories: list[RecordsDirectory] = []
    blocks: list[PlannedBlock] = []
    cells: list[Cell] = []
    for arm in arms:
        for benchmark in inputs.benchmarks[arm.model]:
            if arm.is_aa and benchmark.sampled:
                continue  # The noise floor of a sampled benchmark is the spread over the reference's own seeds.
            measured = measuring_reference(config, places, arms, arm, benchmark)
            layout = layout_of(config, places, arm, benchmark, arm.name if measured else None)
            decoding = Decoding(layout, measured)
            directory, own_blocks = plan_blocks(config, run, inputs, arm, benchmark, known_seed_groups, decoding)
            if measured:
                own_blocks = [
                    replace(
                        block,
                        reference=measured.model,
                        shared_pass=f"{passes[arm.name]}/{benchmark.name}/{block.first}",
                    )
                    for block in own_blocks
                ]
            directories.append(directory)
            blocks.extend(own_blocks)
            cells.extend(
                Cell(
                    arm=arm.name,
                    benchmark=benchmark.name,
                    seed=seed,
                    records_dir=directory.path,
                    blocks=tuple(block.unit for block in own_blocks if seed in block.seeds),
                )
                for seed in seeds_of(config, benchmark)
            )
    judgings = plan_judgings(config.judging, run, inputs.judges, inputs.benchmarks, blocks)
    plan = Plan(
        pipeline_id=pipeline_id,
        models=inputs.models,
        imatrices=imatrices,
        arms=arms,
        benchmarks=inputs.benchmarks,
        directories=tuple(directories),
        blocks=tuple(blocks),
        cells=_with_judgings(cells, judgings),
        plan_hash=_plan_hash(config, inputs, arms, blocks, judgings),
        notices=(
            *_uncompared(config, arms),
            *judged_notices(config, inputs.benchmarks[inputs.models[0].name]),
            *short_contexts(config, inputs.judges, inputs.benchmarks[inputs.models[0].name]),
            *places.notices,
            *inputs.notices,
        ),
        performances=plan_performances(config, run, arms, inputs, blocks, places),
        checks=plan_checks(config, run, arms, inputs, blocks, places),
        judges=inputs.judges,
        judgings=judgings,
    )
    return replace(plan, placed=unit_places(config, inputs, places, plan))


def _with_judgings(cells: Sequence[Cell], judgings: Sequence[PlannedJudging]) -> tuple[Cell, ...]:
    """Return the cells with the units that judge their records."""
    of_block: defaultdict[str, list[str]] = defaultdict(list)
    for one in judgings:
        of_block[one.block].append(one.unit)
    if not of_block:
        return tuple(cells)
    return tuple(
        replace(cell, judgings=tuple(unit for block in cell.blocks for unit in of_block[block])) for cell in cells
    )


def _uncompared(config: PipelineConfig, arms: Sequence[PlannedArm]) -> list[Notice]:
    """Return a notice for each model of which nothing is compared: it has no reference, or nothing beside it."""
    found = []
    for model in dict.fromkeys(arm.model for arm in arms):
        own = [arm for arm in arms if arm.model == model]
        if any(arm.reference and not arm.is_aa for arm in own):
            continue
        entry = config.entry(model)
        if entry.quantizations is not None and not entry.reference:
            found.append(Notice("one_side_only", model=model, arms=[arm.name for arm in own]))
            continue
        if entry.reference or config.reference or any(arm.recipe in LOSSLESS_TYPES for arm in own):
            step = Notice("add_an_arm")
        else:
            step = Notice("add_a_reference", types=list(LOSSLESS_TYPES))
        found.append(Notice("nothing_compared", model=model, step=step))
    return found


def _plan_imatrices(config: PipelineConfig, run: RunDirectory, inputs: Inputs) -> tuple[PlannedImatrix, ...]:
    """Plan the matrices that the recipes use, each with and without token weights, as the recipes need."""
    return tuple(
        plan_imatrix(config, run, inputs, model, source, weighted=weighted)
        for model in inputs.models
        for source in inputs.imatrices
        if source.texts
        for weighted in sorted(
            {weighs_tokens(config, recipe) for recipe in recipes_of(config, inputs, model) if uses_imatrix(recipe)}
        )
    )


def _plan_hash(
    config: PipelineConfig,
    inputs: Inputs,
    arms: Sequence[PlannedArm],
    blocks: Sequence[PlannedBlock],
    judgings: Sequence[PlannedJudging],
) -> str:
    """Return the hash that tells whether a finished run was a run of this plan."""
    named = {
        "arms": [[arm.name, arm.key_hash, arm.reference] for arm in arms],
        "blocks": [[block.unit, block.seeds] for block in blocks],
        "runs": config.runs,
        "seed": config.seed,
        "lang": config.lang,
        "margins": config.statistics.margins.model_dump(),
        **({"planned_items": planned} if (planned := config.statistics.planned_items) else {}),
        **({"verdict_score": dict(config.statistics.verdict_score)} if config.statistics.verdict_score else {}),
        **({"early_stop": True} if config.statistics.early_stop else {}),
        **({"judgings": [one.unit for one in judgings]} if judgings else {}),
        **({"human_scores": inputs.human_scores_sha256} if inputs.human_scores_sha256 else {}),
        **({"tiers": config.statistics.tiers.model_dump()} if config.statistics.tiers != Tiers() else {}),
    }
    return content_hash(named)
