"""Inside a Ray job the working directory is Ray's temporary copy of what was uploaded: check that paths work there."""

from __future__ import annotations

from pathlib import Path

from actors.evaluation import benchmarks
from actors.orchestrator.sources.addresses import is_endpoint
from actors.orchestrator.sources.calibration import MATRIX_SUFFIXES
from conf.environment import Environment
from conf.faults import Fault, Faults
from conf.hub_ids import parse_hub_id
from conf.load import PACKAGE_SCHEME
from conf.mixes import SUFFIX, shipped_mixes
from conf.schema.pipeline import PipelineConfig

UPLOADED_COPY = "working_dir_files"
"""Name of a folder in the path of every such copy."""


def in_uploaded_copy(environment: Environment) -> bool:
    """Return True in a Ray job whose working directory is Ray's copy of an upload."""
    return environment.submission_id is not None and UPLOADED_COPY in Path.cwd().parts


def check_paths_in_job(config: PipelineConfig, config_path: str | None, environment: Environment) -> None:
    """Raise `BadInput` for relative paths in such a copy, unless the upload holds them.

    The storage must be absolute in any case, because the copy is deleted.
    """
    if not in_uploaded_copy(environment):
        return
    faults = Faults()
    if not config.storage.is_absolute():
        faults.add(_relative("--storage", str(config.storage)))
    for key, path in _named_paths(config, config_path):
        stands_alone = parse_hub_id(path) is not None or path.startswith(PACKAGE_SCHEME) or Path(path).is_absolute()
        if not stands_alone and not Path(path).exists():
            faults.add(_relative(key, path))
    faults.stop_if_any()


def paths_of_workers(config: PipelineConfig, environment: Environment) -> list[str]:
    """Return the absolute paths that the user named and that workers read, on whichever machine they run.

    Files of an upload are left out: Ray brings them to each machine.
    """
    read = {"--model", "--arm", "--judge-model", "--data-dir", "--calibration", "--imatrix"}
    paths = [path for key, path in _named_paths(config, None) if key in read and parse_hub_id(path) is None]
    own = [Path(path) for path in paths if not path.startswith(PACKAGE_SCHEME)]
    if in_uploaded_copy(environment):
        own = [path for path in own if path.is_absolute() and UPLOADED_COPY not in path.parts]
    return list(dict.fromkeys(str(path.absolute()) for path in own))


def _named_paths(config: PipelineConfig, config_path: str | None) -> list[tuple[str, str]]:
    """Return every path that the user named, with the setting that names it."""
    paths = [("--model", model.path) for model in config.models]
    paths += [("--arm", arm.path) for arm in config.arms if not is_endpoint(arm.path)]
    paths += [("--judge-model", one.model) for one in config.judging.judges if one.url is None and one.model]
    paths += [("--human-scores", str(scores))] if (scores := config.judging.human_scores) else []
    paths += [("--data-dir", str(config.data_dir))] if config.data_dir else []
    paths += [
        ("--calibration", text.partition("#")[0]) for text in config.calibration.texts if text not in shipped_mixes()
    ]
    paths += [("--imatrix", entry) for entry in config.imatrix if entry.endswith((*MATRIX_SUFFIXES, SUFFIX))]
    paths += [("--benchmarks", name) for name in config.benchmarks if benchmarks.is_file_name(name)]
    paths += [(f"chat.{name}.template", str(chat.template)) for name, chat in config.chat.items() if chat.template]
    paths += [("--methodology", str(config.methodology))] if config.methodology else []
    paths += [("--config", config_path)] if config_path else []
    return paths


def _relative(key: str, path: str) -> Fault:
    step = "Inside a Ray job the working directory is a temporary copy of what was uploaded."
    return Fault(key, path, "an absolute path", step)
