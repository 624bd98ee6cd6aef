"""Judge the answers of a run that exist, and compute its results again.

    python -m jobs.judge --run runs/my-run --judge-url http://localhost:8000/v1

Nothing is made and nothing is evaluated. Judges that are given here replace those of the run: results go by them, and
what other judges said stays beside. A verdict that is known is not asked for again, so a second start asks nothing.
Exit codes are those of `jobs.pipeline`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.orchestrator.done import find_done
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.recipes import with_canonical_types
from actors.orchestrator.sources.uploaded_copy import check_paths_in_job
from actors.store import RunDirectory, mlflow_database_path
from conf.environment import read_environment
from conf.faults import BadInput, Fault, near_names
from conf.files import exists
from conf.load import load
from conf.schema.judging import Judging
from conf.schema.pipeline import PipelineConfig
from conf.yaml_files import read_yaml
from jobs import _arguments as arguments
from jobs import pipeline
from jobs._commands import job_command
from jobs._parser import Parser
from jobs._planning import prepare
from jobs._request import Request
from jobs._stopping import NOTHING_STARTED, stoppable
from jobs._terminal import complain_of_disk, say
from reporting.file_names import in_languages

SECTIONS = frozenset(PipelineConfig.model_fields)
"""Sections of a configuration. This job reads `judging` and leaves the others to the run's own."""
RENAMED_FLAGS = {"--storage": "--run", "--pipeline-id": "--run"}
"""This job's flags, by the flags of the main job that set the same."""


def parser() -> argparse.ArgumentParser:
    """Make the command line parser."""
    made = Parser(
        prog="python -m jobs.judge",
        description="Judge the answers of a run that exist (elyza, mt_bench), and compute its results again.",
        epilog="Example: python -m jobs.judge --run runs/my-run --judge-url http://localhost:8000/v1",
    )
    made.add_argument("--run", required=True, metavar="DIR", help="run directory: <storage>/<pipeline id>")
    arguments.add_judging(made)
    made.add_argument(
        "--config",
        metavar="FILE.yaml",
        help="file whose section `judging` overrides what earlier commands of the run have set, key by key; flags "
        "override it",
    )
    made.add_argument(
        "--no-mlflow-wait", action="store_true", help="start even if MLflow does not answer; bring it up to date later"
    )
    made.add_argument("--dry-run", action="store_true", help="print the plan with calls and tokens, and stop")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job and return the exit code."""
    made = parser()
    options = made.parse_args(argv)
    environment = read_environment()
    try:
        with stoppable(NOTHING_STARTED):
            run = RunDirectory(Path(options.run).absolute())
            given = _given(options)
            config = _config(options, run, given)
            check_paths_in_job(config, options.config, environment)
            own_mlflow = exists(mlflow_database_path(run.root))
            request = Request(
                config,
                run.root.name,
                environment,
                job_command("judge", sys.argv[1:] if argv is None else list(argv)),
                make_documents=_has_documents(run, config),
                mlflow_home=run.root if own_mlflow else config.storage,
                only_judging=True,
                wait_for_mlflow=not options.no_mlflow_wait,
            )
            plan = prepare(request)
            _check_answers(plan, options.run)
        if given and (kept := kept_settings(config.judging, given)):
            say(kept)
        if options.dry_run:
            say(pipeline.planned(request, plan))
            return arguments.EXIT_DONE
        return pipeline.run(request, plan)
    except BadInput as error:
        return arguments.fail(error, made, RENAMED_FLAGS)
    except OSError as error:  # before the start: downloads
        complain_of_disk(error)
        return arguments.EXIT_FAILED


def _given(options: argparse.Namespace) -> Mapping[str, Any]:
    """Return the settings of the judging that this command names."""
    given: Mapping[str, Any] = arguments.flag_values(options).get("judging", {})
    if not options.config:
        return given
    sections = read_yaml(Path(options.config), key="--config")
    faults = [
        Fault(name, f"a section of {options.config}", "a section that there is", near_names(name, SECTIONS))
        for name in sections
        if name not in SECTIONS
    ]
    of_file = sections.get("judging", {})
    if not isinstance(of_file, Mapping):
        faults.append(Fault("judging", of_file, "keys with values, such as max_calls: 100"))
    if faults:
        raise BadInput(faults)
    return {**of_file, **given}


def kept_settings(judging: Judging, given: Container[str]) -> str:
    """Return a line with the settings that the run has from earlier commands, without those that are given now.

    It is empty if all others have their default: nobody has to be told of those.
    """
    plain, has = Judging().model_dump(mode="json"), judging.model_dump(mode="json")
    has["judges"], plain["judges"] = [one.name for one in judging.judges], []
    kept = [f"judging.{name} {json.dumps(has[name])}" for name in has if name not in given and has[name] != plain[name]]
    if not kept:
        return ""
    return f"Kept from earlier commands of this run: {', '.join(kept)}. The section `judging` of --config changes them."


def _config(options: argparse.Namespace, run: RunDirectory, judging: Mapping[str, Any]) -> PipelineConfig:
    """Return the configuration of the run, with the judging that is given here."""
    if not exists(run.config):
        allowed = f"the directory of a run (there is no {run.config.name} in it)"
        raise BadInput(Fault("--run", options.run, allowed, "It is <storage>/<pipeline id>, such as runs/my-run."))
    values = {"judging": judging, "storage": str(run.root.parent), "pipeline_id": run.root.name}
    return with_canonical_types(load(run.config, values))


def _has_documents(run: RunDirectory, config: PipelineConfig) -> bool:
    """Return whether the run has documents, or no results yet. `jobs.evaluate` makes results without documents."""
    return not exists(run.comparison) or any(map(exists, in_languages(run.scorecard, config.lang)))


def _check_answers(plan: Plan, run: str) -> None:
    """Raise `BadInput` if there is nothing to judge, or nobody who judges."""
    judged = [one.name for own in plan.benchmarks.values() for one in own if one.spec.rubrics]
    if not judged:
        step = "Evaluate one of them first: --benchmarks elyza."
        raise BadInput(Fault("--run", run, "a run with answers that are judged (elyza, mt_bench, mt_bench_ja)", step))
    if not plan.judgings:
        step = "Name one with --judge-url and --judge-model, or a GGUF with --judge-model alone."
        raise BadInput(Fault("--judge-model", None, "at least one judge (the run has none)", step))
    done = find_done(plan)
    if not any(one.block in done for one in plan.judgings):
        allowed = f"a run that has answers of {', '.join(dict.fromkeys(judged))}"
        step = (
            "Run the command that made it again: it makes what is missing. If the answers are there, this machine "
            "would make others (another llama.cpp, or other memory): judge them where they were made."
        )
        raise BadInput(Fault("--run", run, allowed, step))


if __name__ == "__main__":
    sys.exit(main())
