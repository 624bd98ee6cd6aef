"""Phase 3 only: evaluate existing GGUFs and write both result files.

    python -m jobs.evaluate --models quantized/ --benchmarks gsm8k,perplexity --runs 5 --output results --data-dir data

The output folder is a run directory (`evaluation_results/`, `records/`, ...), so `jobs.visualize` and `jobs.document`
can continue from `OUTPUT/evaluation_results/quantization_comparison.json`. Exit codes are those of `jobs.pipeline`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.llama.gguf_layout import first_part, part_names
from actors.orchestrator.sources.uploaded_copy import check_paths_in_job
from actors.recipes import match_recipe_at_end
from conf.environment import read_environment
from conf.faults import BadInput, Fault
from conf.hub_ids import parse_hub_id, stem_of
from conf.load import load
from conf.names import spelled_name
from conf.schema.base import PIPELINE_ID
from conf.user_files import is_user_path
from jobs import _arguments as arguments
from jobs import pipeline
from jobs._commands import job_command
from jobs._named_paths import model_name
from jobs._parser import Parser
from jobs._planning import prepare
from jobs._request import Request
from jobs._stopping import NOTHING_STARTED, stoppable
from jobs._terminal import complain_of_disk, say

RENAMED_FLAGS = {"--model": "--models", "--arm": "--models", "--storage": "--output", "--pipeline-id": "--output"}
"""This job's flags, by the flags of the main job that set the same."""


def parser() -> argparse.ArgumentParser:
    """Make the command line parser."""
    made = Parser(
        prog="python -m jobs.evaluate",
        description="Evaluate existing GGUF files of one model with several seeds, and write results with intervals.",
        epilog="An arm is named after the type at the end of its file name (m-Q4_K_M.gguf is q4_k_m), or by NAME=FILE.",
    )
    made.add_argument(
        "--models",
        nargs="+",
        required=True,
        metavar="DIR_OR_FILE",
        help="folder of GGUFs, or files, or NAME=FILE; for a file on the hub: hf:owner/name[@REVISION]/file.gguf",
    )
    made.add_argument("--output", required=True, metavar="DIR", help="folder for records and results")
    arguments.add_evaluation(made)
    arguments.add_execution(made)
    made.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job and return the exit code."""
    made = parser()
    options = made.parse_args(argv)
    environment = read_environment()
    try:
        with stoppable(NOTHING_STARTED):
            arms = find_arms(options.models)
            output = Path(options.output).absolute()
            if not re.fullmatch(PIPELINE_ID, output.name):
                raise BadInput(
                    Fault("--output", options.output, "a folder whose name has only letters, digits and _.+~-")
                )
            values = {
                **arguments.flag_values(options),
                "quantizations": [],
                "imatrix": ["none"],
                "models": [{"name": family_name(arms), "path": next(iter(arms.values()))}],
                "arms": [{"name": name, "path": path} for name, path in arms.items()],
                "reference": options.reference,
                "storage": str(output.parent),
                "pipeline_id": output.name,
            }
            config = load(options.config, values)
            check_paths_in_job(config, options.config, environment)
            words = sys.argv[1:] if argv is None else list(argv)
            command = job_command("evaluate", words)
            request = Request(
                config, output.name, environment, command, False, output, wait_for_mlflow=not options.no_mlflow_wait
            )
            plan = prepare(request)
        if options.dry_run:
            say(pipeline.planned(request, plan))
            return arguments.EXIT_DONE
        return pipeline.run(request, plan)
    except BadInput as error:
        return arguments.fail(error, made, RENAMED_FLAGS)
    except OSError as error:  # before the start: downloads
        complain_of_disk(error)
        return arguments.EXIT_FAILED


def find_arms(specs: Sequence[str]) -> dict[str, str]:
    """Return the path of each arm by its name, in the order given; files of a folder are sorted by size, largest first.

    Raises `BadInput` for a folder without GGUFs and for two arms with the same name.
    """
    arms: dict[str, str] = {}
    for spec in specs:
        name, mark, path = spec.partition("=")
        named = bool(mark) and "/" not in name and not is_user_path(spec)
        files = _files_of(path if named else spec)
        if not files:
            raise BadInput(
                Fault("--models", spec, "a folder with .gguf files", "`python -m jobs.quantize` makes GGUFs.")
            )
        for file in files:
            arm = name if named else arm_name(file)
            if arm in arms:
                allowed = "files that give arms with different names"
                raise BadInput(Fault("--models", f"{arms[arm]} and {file}, both {arm!r}", allowed, "Give NAME=FILE."))
            arms[arm] = file
    return arms


def _files_of(spec: str) -> list[str]:
    """Return the GGUFs of a folder (the first part of each split one), or `spec` itself if it names one file."""
    if parse_hub_id(spec, key="--models") is not None:
        return [spec]
    source = Path(spec).absolute()
    if not source.is_dir():
        return [str(source)]
    files = {first_part(file) for file in source.glob("*.gguf")}
    return [str(file) for file in sorted(files, key=lambda file: (-_size_bytes(file), file.name))]


def _size_bytes(file: Path) -> int:
    """Return the size of a GGUF: of a split one, the sum of all parts that exist."""
    parts = [file.with_name(name) for name in part_names(file.name)]
    return sum(part.stat().st_size for part in parts if part.exists())


def arm_name(file: str) -> str:
    """Return the type or the publisher's recipe name at the end of the file's name, else the name without `.gguf`."""
    stem = stem_of(file)
    ending = match_recipe_at_end(stem)
    return ending[1].lower() if ending else spelled_name(stem)


def family_name(arms: dict[str, str]) -> str:
    """Return the name of the model of these files: that of the first file without its type."""
    return model_name(next(iter(arms.values())))


if __name__ == "__main__":
    sys.exit(main())
