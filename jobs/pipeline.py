"""The main job: importance matrix, quantizations, evaluation, statistics, charts, documents.

    python -m jobs.pipeline --model model.gguf --quantizations bf16,q8_0,q4_k_m --data-dir data

Runs on a local Ray, or inside `ray job submit` on a cluster. The same command goes on where it was stopped, and does
nothing once all is done. Exit codes: 0 done; 1 something failed (the report says what); 2 bad input; 128+n stopped by
signal n.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ray.exceptions import RayError

from actors.errors import NoPlaceError
from actors.orchestrator.early_stop import describe_early_stop
from actors.orchestrator.placement import evaluation_bytes
from actors.orchestrator.plan import Plan, seeds_of
from actors.orchestrator.precision import describe_precision, precision_of
from actors.orchestrator.room import quantization_bytes
from actors.orchestrator.sources.recipes import with_canonical_types
from actors.store import RunDirectory, read_json
from conf.environment import Environment, read_environment
from conf.faults import BadInput
from conf.load import load
from conf.schema import PipelineConfig
from jobs import _arguments as arguments
from jobs._parser import Parser
from jobs._preflight import check_paths_in_job
from jobs._runner import Finished, Request, Stopped, carry_out, new_pipeline_id, prepare
from reporting.terminal.summary import summary_table

UPLOADED_COPY = "working_dir_files"
"""Folder name in the path of the copy that Ray makes of an uploaded working directory."""


def parser() -> argparse.ArgumentParser:
    """The command line of the main job."""
    made = Parser(
        prog="python -m jobs.pipeline",
        description="Quantize a model, evaluate every quantization, and say with intervals what each costs in quality.",
        epilog="Example: python -m jobs.pipeline --model m.gguf --quantizations f16,q8_0,q4_k_m --data-dir data",
    )
    arguments.add_model(made)
    arm_help = (
        "existing GGUF, compared like our own: a file, or hf:owner/name[@REVISION]/file.gguf on the hub; or an "
        "OpenAI-compatible endpoint: http(s)://HOST/v1#MODEL"
    )
    made.add_argument("--arm", action="append", metavar="NAME=GGUF_OR_URL", help=arm_help)
    arguments.add_quantization(made)
    arguments.add_evaluation(made)
    arguments.add_execution(made)
    made.add_argument("--storage", metavar="DIR", help="folder of all pipelines (default ./runs)")
    made.add_argument("--pipeline-id", metavar="ID", help="name of this run (default YYYYmmdd-HHMMSS-<model>)")
    made.add_argument("--dry-run", action="store_true", help="print the plan with sizes and cost, and stop")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; gives back the exit code."""
    made = parser()
    options = made.parse_args(argv)
    environment = read_environment()
    try:
        config = with_canonical_types(load(options.config, arguments.flag_values(options)))
        check_paths_in_job(config, options.config, in_uploaded_copy(environment))
        pipeline_id = config.pipeline_id or new_pipeline_id(config.models[0].name)
        words = sys.argv[1:] if argv is None else list(argv)
        command = shlex.join(["python", "-m", "jobs.pipeline", *words])
        request = Request(config, pipeline_id, environment, command, True, config.storage)
        plan = prepare(request)
        if options.dry_run:
            print(describe_plan(plan, config))
            return arguments.EXIT_DONE
        return run(request, plan)
    except BadInput as error:
        return arguments.fail(error, made.prog)


def in_uploaded_copy(environment: Environment) -> bool:
    """True inside a Ray job whose working directory is Ray's own copy of an upload."""
    return environment.submission_id is not None and UPLOADED_COPY in Path.cwd().parts


def run(request: Request, plan: Plan) -> int:
    """Carry the plan out and say how it ended; gives back the exit code."""
    try:
        finished = carry_out(request, plan, lambda plan, run: print(announcement(request, plan, run), flush=True))
    except Stopped as stopped:
        print(f"Stopped ({stopped}). The same command with --pipeline-id {request.pipeline_id} goes on where it was.")
        return stopped.exit_code
    except (RayError, NoPlaceError) as error:
        print(f"Ray or the orchestrator failed: {error}", file=sys.stderr)
        print(f"What is done is kept: the same command with --pipeline-id {request.pipeline_id} goes on from there.")
        return arguments.EXIT_FAILED
    print(closing(request, finished))
    return arguments.EXIT_FAILED if finished.failures else arguments.EXIT_DONE


def announcement(request: Request, plan: Plan, run: RunDirectory) -> str:
    """What is printed at the start: the id, what will be done, and how to watch it."""
    lines = [
        f"Quant Assay: pipeline {request.pipeline_id}",
        f"  {len(plan.arms)} arms, {len(plan.cells)} cells, {len(plan.blocks)} blocks; results in {run.root}",
    ]
    lines += [
        f"  {model.name} is quantized already ({model.source_type}): its reference is dequantized from that"
        for model in plan.models
        if model.dequantized_from
    ]
    lines += _indented(describe_precision(precision_of(plan, request.config), request.config.statistics))
    lines += _indented(describe_early_stop(plan, request.config))
    lines.append("Watch it:")
    if request.environment.submission_id:
        lines.append(f"  ray job logs --follow {request.environment.submission_id}")
    lines.append(f"  cat {run.progress}")
    lines.append(f"  {mlflow_command(request)}")
    return "\n".join(lines)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def mlflow_command(request: Request) -> str:
    """How to browse the runs."""
    if request.environment.mlflow_tracking_uri:
        return "MLflow: the server of MLFLOW_TRACKING_URI"
    return f"mlflow ui --host 127.0.0.1 --backend-store-uri sqlite:///{request.mlflow_home.absolute() / 'mlflow.db'}"


def closing(request: Request, finished: Finished) -> str:
    """What is printed at the end: the table, what failed, and where to look."""
    run = finished.run
    lines = []
    if finished.nothing_to_do:
        lines.append(f"Nothing to do: pipeline {request.pipeline_id} is finished, and all of its files are there.")
    if run.comparison.exists():
        lines += ["", summary_table(read_json(run.comparison), read_json(run.analysis)), ""]
    lines += [f"Notice: {notice}" for notice in finished.notices]
    lines += [f"FAILED {failure['unit']}: {failure['error']}" for failure in finished.failures]
    lines.append("Where to look:")
    for path in (run.scorecard, run.report, run.methodology, run.charts, run.comparison):
        if path.exists():
            lines.append(f"  {path}")
    lines.append(f"  {mlflow_command(request)}")
    if finished.failures:
        lines.append("The same command tries what failed again and leaves the rest as it is.")
    return "\n".join(lines)


def describe_plan(plan: Plan, config: PipelineConfig) -> str:
    """The plan for `--dry-run`: arms with their predicted sizes, benchmarks with their items and tokens."""
    lines = [f"Plan of {plan.pipeline_id} (nothing was started)", "", "Arms"]
    for arm in plan.arms:
        compared = f"against {arm.reference}" if arm.reference else "reference" if arm.order else "not compared"
        imatrix = f", imatrix {arm.imatrix}" if arm.imatrix else ""
        size = "  an endpoint " if arm.endpoint else f"{arm.predicted_bytes / 2**20:10,.1f} MiB"
        lines.append(f"  {arm.name:24} {size}  {compared}{imatrix}")
    lines += ["", "Benchmarks"]
    for benchmark in plan.benchmarks[plan.models[0].name]:
        seeds = len(seeds_of(config, benchmark))
        blocks = [block for block in plan.blocks if block.benchmark == benchmark.name]
        lines.append(
            f"  {benchmark.name:24} {len(benchmark.items):6,} of {benchmark.data.n_items_total:,} items x "
            f"{seeds} seed{'s' if seeds > 1 else ' (no sampling)'}, {len(blocks)} blocks"
        )
    precision = describe_precision(precision_of(plan, config), config.statistics)
    lines += ["", *precision] if precision else []
    lines += describe_early_stop(plan, config)
    cost = sum(block.cost for block in plan.blocks)
    disk = sum(arm.predicted_bytes for arm in plan.arms if arm.order)
    lines += [
        "",
        f"Work    about {cost:,.0f} tokens' worth of reading (a generated token counts as several)",
        f"Disk    {disk / 2**30:.2f} GiB of GGUFs",
        f"Memory  about {quantization_bytes(plan) / 2**30:.2f} GiB a worker that quantizes, "
        f"{evaluation_bytes(plan) / 2**30:.2f} GiB one that evaluates",
    ]
    lines += [f"Notice: {notice}" for notice in plan.notices]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
