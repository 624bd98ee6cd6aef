"""Which flag of the main job sets which configuration key.

`jobs._arguments` defines the flags and fills the configuration by this table; messages use it to name a setting as the
user gives it on the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FLAGS: Mapping[str, str] = {
    "models": "--model",
    "arms": "--arm",
    "quantizations": "--quantizations",
    "benchmarks": "--benchmarks",
    "imatrix": "--imatrix",
    "reference": "--reference",
    "runs": "--runs",
    "seed": "--seed",
    "limit": "--limit",
    "noise_floor": "--aa",
    "statistics.early_stop": "--early-stop",
    "data_dir": "--data-dir",
    "storage": "--storage",
    "pipeline_id": "--pipeline-id",
    "lang": "--lang",
    "methodology": "--methodology",
    "calibration.texts": "--calibration",
    "calibration.dataset_size": "--dataset-size",
    "calibration.allow_overlap": "--allow-overlap",
    "protection.level": "--protection-level",
    "protection.controls": "--no-controls",
    "protection.target_bpw": "--target-bpw",
    "protection.target_size": "--target-size",
    "judging.judges": "--judge-model",
    "judging.human_scores": "--human-scores",
    "sampling.temperature": "--temperature",
    "sampling.max_tokens": "--max-tokens",
    "layout.threads": "--threads",
    "execution.max_workers": "--max-workers",
}
"""Flag by configuration key."""


def spelled(location: Sequence[int | str]) -> str:
    """Return how a message names the setting at `location` in the configuration: by its flag, else with dots.

    A place inside of a list belongs to the flag that sets the list: ("models", 0, "name") -> "--model".
    """
    keys = [part for part in location if isinstance(part, str)]
    for end in range(len(keys), 0, -1):
        if (flag := FLAGS.get(".".join(keys[:end]))) is not None:
            return flag
    return ".".join(str(part) for part in location)
