"""The main job: importance matrix, quantizations, evaluation, statistics, charts, documents.

    python -m jobs.pipeline --model model.gguf --quantizations bf16,q8_0,q4_k_m --data-dir data

It runs on a local Ray, or on a cluster by `ray job submit`. If it was stopped, the same command continues from there;
if everything is done, it does nothing. Exit codes: 0 done; 1 something failed (the report says what); 2 bad input;
128+n stopped by signal n.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence

from ray.exceptions import RayError

from actors.errors import NoPlaceError, RayNotStarted
from actors.orchestrator.done import find_done
from actors.orchestrator.plan import Plan
from actors.orchestrator.room import disk_bytes
from actors.orchestrator.sources.recipes import with_canonical_types
from actors.orchestrator.sources.uploaded_copy import check_paths_in_job
from actors.store import RunDirectory, is_of_mlflow, mlflow_database_path
from conf.environment import read_environment
from conf.faults import BadInput, Fault
from conf.files import exists, read_json
from conf.load import load
from jobs import _arguments as arguments
from jobs._commands import job_command, logs_command, mlflow_command, show_command
from jobs._estimate import estimate
from jobs._parser import Parser
from jobs._plan_text import describe_plan, describe_reach
from jobs._planning import prepare
from jobs._ray import Stopped
from jobs._request import Finished, Request, new_pipeline_id
from jobs._result import print_result
from jobs._runner import carry_out
from jobs._stopping import NOTHING_STARTED, stoppable
from jobs._terminal import complain, complain_of_disk, say
from reporting.escape import hanging, one_line
from reporting.file_names import in_languages
from reporting.terminal.box import verdict_text
from reporting.terminal.layout import wrapped_lines
from reporting.terminal.summary import summary_table

ARM_HELP = (
    "existing GGUF to compare with the quantizations made here: a file, or hf:owner/name[@REVISION]/file.gguf on the "
    "hub; or an OpenAI-compatible endpoint: http(s)://HOST/v1#MODEL; with several models, MODEL~NAME says whose it is; "
    "repeat the option for more"
)


def parser() -> argparse.ArgumentParser:
    """Make the command line parser."""
    made = Parser(
        prog="python -m jobs.pipeline",
        description="Quantize a model, evaluate every quantization, and report its cost in quality, with intervals.",
        epilog="Example: python -m jobs.pipeline --model m.gguf --quantizations f16,q8_0,q4_k_m --data-dir data",
    )
    arguments.add_model(made)
    made.add_argument("--arm", action="append", metavar="NAME=GGUF_OR_URL", help=ARM_HELP)
    arguments.add_quantization(made)
    arguments.add_evaluation(made)
    arguments.add_execution(made)
    methodology_help = "your own text for the documents, in place of the standard methodology"
    made.add_argument("--methodology", metavar="FILE.md", help=methodology_help)
    made.add_argument("--storage", metavar="DIR", help="folder of all pipelines (default ./runs)")
    made.add_argument("--pipeline-id", metavar="ID", help="name of this pipeline (default YYYYmmdd-HHMMSS-<model>)")
    made.add_argument("--dry-run", action="store_true", help="print the plan with sizes and time, and stop")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job and return the exit code."""
    made = parser()
    options = made.parse_args(argv)
    environment = read_environment()
    try:
        with stoppable(NOTHING_STARTED):
            config = with_canonical_types(load(options.config, arguments.flag_values(options)))
            check_paths_in_job(config, options.config, environment)
            pipeline_id = config.pipeline_id or new_pipeline_id(config.models[0].name)
            if is_of_mlflow(config.storage / pipeline_id):
                allowed = "a name that no file of the MLflow store has, which stands in the same folder"
                raise BadInput(Fault("--pipeline-id", pipeline_id, allowed))
            words = sys.argv[1:] if argv is None else list(argv)
            command = job_command("pipeline", words)
            wait = not options.no_mlflow_wait
            request = Request(config, pipeline_id, environment, command, True, config.storage, wait_for_mlflow=wait)
            plan = prepare(request)
        if options.dry_run:
            say(planned(request, plan))
            return arguments.EXIT_DONE
        return run(request, plan)
    except BadInput as error:
        return arguments.fail(error, made)
    except OSError as error:  # before the start: downloads, and models that are converted
        complain_of_disk(error)
        return arguments.EXIT_FAILED


def run(request: Request, plan: Plan) -> int:
    """Carry out the plan, print how it ended, and return the exit code."""
    ended: list[Finished] = []

    def conclude(finished: Finished) -> None:
        ended.append(finished)
        say(closing(request, finished))

    try:
        mirrored = carry_out(request, plan, lambda *begun: say(announcement(request, *begun)), conclude)
    except Stopped as stopped:
        say(f"Stopped ({stopped}). To continue, {_same_command(request)}.")
        return stopped.exit_code
    except KeyboardInterrupt:  # while Ray starts or ends; in between, `Stopped` is raised
        say(f"Stopped (SIGINT). To continue, {_same_command(request)}.")
        return arguments.EXIT_INTERRUPTED
    except (RayError, NoPlaceError, RayNotStarted) as error:
        what = "" if isinstance(error, RayNotStarted) else "Ray or the orchestrator failed: "
        complain(f"{what}{hanging(str(error))}")
        say(f"Finished work is kept. To continue, {_same_command(request)}.")
        return arguments.EXIT_FAILED
    except OSError as error:
        complain_of_disk(error)
        say(f"Finished work is kept. {_missing_space(request, plan)}To continue, {_same_command(request)}.")
        return arguments.EXIT_FAILED
    if mirrored.missing:
        say(_mirror_later(request, mirrored.missing))
    elif mirrored.address:
        say(f"MLflow is up to date: {mirrored.address}")
    print_result(request, ended[0])
    failed = ended[0].failures or (mirrored.missing and request.wait_for_mlflow)
    return arguments.EXIT_FAILED if failed else arguments.EXIT_DONE


def _missing_space(request: Request, plan: Plan) -> str:
    """Say how much space the rest of the plan misses; nothing if there is enough."""
    needed, free = disk_bytes(request.config, plan, find_done(plan))
    where = request.config.storage.absolute()
    missing_mib = math.ceil((needed - free) / 2**20)
    return f"Free at least {missing_mib:,} MiB on the disk of {where}. " if needed > free else ""


def _mirror_later(request: Request, reason: str) -> str:
    """Say that MLflow is not up to date, and how to change that."""
    given = request.config.pipeline_id is not None
    command = request.command if given else f"{request.command} --pipeline-id {request.pipeline_id}"
    return (
        f"MLflow is not up to date: {one_line(reason, 300)}\n"
        "The results above are complete. The same command brings MLflow up to date, and repeats no finished work:\n"
        f"  {command}"
    )


def _same_command(request: Request) -> str:
    """Say how to continue the pipeline. The id is needed only if the command did not give it."""
    given = request.config.pipeline_id is not None
    return "run the same command" if given else f"run the same command with --pipeline-id {request.pipeline_id}"


def planned(request: Request, plan: Plan) -> str:
    """Return the plan for `--dry-run`, with the time that it takes where its work will run."""
    done = find_done(plan)
    with stoppable(NOTHING_STARTED):
        duration = estimate(request, plan, done)
    return describe_plan(plan, request.config, done, duration)


def announcement(request: Request, plan: Plan, run: RunDirectory, reused: str) -> str:
    """Return what is printed at the start: the id, what will be done, what need not be, and how to watch it."""
    lines = [
        f"Quant Assay: pipeline {request.pipeline_id}",
        f"  {len(plan.arms)} arms, {len(plan.cells)} cells, {len(plan.blocks)} blocks; results in {run.root}",
        f"  {reused}" if reused else "",
    ]
    lines += [
        f"  {model.name} is already quantized ({model.source_type}): its reference is dequantized from it"
        for model in plan.models
        if model.dequantized_from
    ]
    lines += [f"  {line}" for line in describe_reach(plan, request.config)]
    watch = [logs_command(request.environment.submission_id)] if request.environment.submission_id else []
    watch += [show_command(run.progress), _where_mlflow_is(request)]
    # Commands are not folded, so that they can be copied.
    return "\n".join([wrapped_lines("\n".join(filter(None, lines))), "Watch it:", *(f"  {line}" for line in watch)])


def _where_mlflow_is(request: Request) -> str:
    """Return the command that shows the runs in a browser, or which server has them."""
    if request.environment.mlflow_tracking_uri:
        return "MLflow: the server of MLFLOW_TRACKING_URI"
    return mlflow_command(mlflow_database_path(request.mlflow_home.absolute()))


def closing(request: Request, finished: Finished) -> str:
    """Return what is printed at the end: the tables, what failed, the verdict, and where the files are.

    The verdict comes last, because a terminal shows the last lines of a job.
    """
    run = finished.run
    results = (read_json(run.comparison), read_json(run.analysis)) if exists(run.comparison) else None
    parts = [summary_table(*results)] if results else []
    lines = [f"Notice: {hanging(notice)}" for notice in finished.notices]
    lines += [f"FAILED {hanging(failure['unit'])}: {hanging(failure['error'])}" for failure in finished.failures]
    if finished.failures:
        lines.append("Run the same command to try again what failed; everything else stays as it is.")
    if finished.nothing_to_do:
        lines.append(f"Nothing to do: pipeline {request.pipeline_id} is finished, and all of its files exist.")
    parts.append("\n".join(map(wrapped_lines, lines)))
    verdict = verdict_text(*results) if results else ""
    parts.append("\n".join(filter(None, [verdict, *_where_to_look(request, run)])))
    return "\n\n".join(filter(None, parts))


def _where_to_look(request: Request, run: RunDirectory) -> list[str]:
    """Return the paths of what was made, and where MLflow is."""
    documents = (run.report.with_suffix(".html"), run.side_by_side, run.scorecard, run.report, run.methodology)
    made = [path for one in documents for path in in_languages(one, request.config.lang)]
    made += [run.charts, run.comparison]
    shown = [f"  {path.relative_to(run.root)}" for path in made if exists(path)]
    return [f"Where to look: {run.root if shown else ''}".rstrip(), *shown, f"  {_where_mlflow_is(request)}"]


if __name__ == "__main__":
    sys.exit(main())
