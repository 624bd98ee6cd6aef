"""The whole plan: models, recipes, matrices, benchmarks and seeds multiplied out into units of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from actors.orchestrator.plan import Cell, Plan, PlannedBlock, RecordsDirectory, seeds_of
from actors.orchestrator.planning.arms import plan_arms, recipes_of, weighs_tokens, with_aa
from actors.orchestrator.planning.blocks import plan_blocks
from actors.orchestrator.planning.checks import plan_checks, plan_performances
from actors.orchestrator.planning.matrices import plan_imatrix
from actors.orchestrator.planning.passes import measured_beside, shared_passes
from actors.orchestrator.sources.inputs import Inputs
from actors.recipes import uses_imatrix
from actors.store import RunDirectory, content_hash
from conf.schema import PipelineConfig


def make_plan(
    config: PipelineConfig,
    pipeline_id: str,
    run: RunDirectory,
    inputs: Inputs,
    known_seed_groups: Mapping[str, Sequence[Sequence[int]]],
) -> Plan:
    """Multiply models, recipes, matrices, benchmarks and seeds out into units of work.

    Args:
        config: the configuration.
        pipeline_id: name of the run.
        run: where its files lie; only names are made from it.
        inputs: what was read about models, arms and benchmarks.
        known_seed_groups: by records directory, the seed groups that an earlier run there has used.
    """
    imatrices = tuple(
        plan_imatrix(config, run, inputs, model, source, weighted=weighted)
        for model in inputs.models
        for source in inputs.imatrices
        if source.texts
        for weighted in sorted(
            {weighs_tokens(config, recipe) for recipe in recipes_of(config, inputs) if uses_imatrix(recipe)}
        )
    )
    arms = with_aa(config, plan_arms(config, run, inputs, imatrices))
    passes = shared_passes(arms)
    directories: list[RecordsDirectory] = []
    blocks: list[PlannedBlock] = []
    cells: list[Cell] = []
    for arm in arms:
        for benchmark in inputs.benchmarks[arm.model]:
            if arm.is_aa and benchmark.sampled:
                continue  # its noise floor is how much the reference's own seeds differ
            measured = measured_beside(config, inputs, arms, arm, benchmark)
            directory, own_blocks = plan_blocks(config, run, inputs, arm, benchmark, known_seed_groups, measured)
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
                    arm.name,
                    benchmark.name,
                    seed,
                    directory.path,
                    tuple(block.unit for block in own_blocks if seed in block.seeds),
                )
                for seed in seeds_of(config, benchmark)
            )
    named = {
        "arms": [[arm.name, arm.key_hash, arm.reference] for arm in arms],
        "blocks": [[block.unit, block.seeds] for block in blocks],
        "runs": config.runs,
        "seed": config.seed,
        "lang": config.lang,
        "margins": config.statistics.margins.model_dump(),
        **({"early_stop": True} if config.statistics.early_stop else {}),
    }
    return Plan(
        pipeline_id,
        inputs.models,
        imatrices,
        arms,
        inputs.benchmarks,
        tuple(directories),
        tuple(blocks),
        tuple(cells),
        content_hash(named),
        inputs.notices,
        inputs.chat_templates,
        plan_performances(run, arms, blocks),
        plan_checks(config, run, arms, inputs, blocks),
    )
