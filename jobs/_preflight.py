"""Everything that is checked and read before Ray starts: models, types, data, the storage, disk.

Gives the `Inputs` of the plan, or raises `BadInput` with all faults that were found. Nothing is written but a
small cache of file hashes in a storage that exists already.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from actors.evaluation import benchmarks
from actors.orchestrator.sources.arms import is_endpoint
from actors.orchestrator.sources.calibration import MATRIX_SUFFIXES
from conf.faults import BadInput, Fault
from conf.hub_ids import parse_hub_id
from conf.mixes import SUFFIX, shipped_mixes
from conf.schema import PipelineConfig


def check_paths_in_job(config: PipelineConfig, config_path: str | None, in_uploaded_copy: bool) -> None:
    """Inside a Ray job the working directory is a temporary copy: what lies outside of it must be named absolutely."""
    if not in_uploaded_copy:
        return
    faults = []
    if not config.storage.is_absolute():
        faults.append(_relative("--storage", str(config.storage)))
    paths = [("--model", model.path) for model in config.models] + [
        ("--arm", arm.path) for arm in config.arms if not is_endpoint(arm.path)
    ]
    paths += [("--data-dir", str(config.data_dir))] if config.data_dir else []
    paths += [
        ("--calibration", text.partition("#")[0]) for text in config.calibration.texts if text not in shipped_mixes()
    ]
    paths += [("--imatrix", entry) for entry in config.imatrix if entry.endswith((*MATRIX_SUFFIXES, SUFFIX))]
    paths += [("--benchmarks", name) for name in config.benchmarks if benchmarks.is_file_name(name)]
    paths += [(f"chat.{name}.template", str(chat.template)) for name, chat in config.chat.items() if chat.template]
    paths += [("--config", config_path)] if config_path else []
    for key, path in paths:
        if (
            parse_hub_id(path) is None
            and not path.startswith("package:")
            and not Path(path).is_absolute()
            and not Path(path).exists()
        ):
            faults.append(_relative(key, path))
    if faults:
        raise BadInput(faults)


def _relative(key: str, path: str) -> Fault:
    return Fault(
        key,
        path,
        "an absolute path",
        "Inside a Ray job the working directory is a temporary copy of what was uploaded.",
    )


def check_pango() -> None:
    """Raise `BadInput` where the library that sets the documents' PDF is missing."""
    # Imported here and nowhere else in the jobs: it loads Pango at once, and only those who write documents need it.
    importlib.import_module("reporting.documents.pdf.scorecard")
