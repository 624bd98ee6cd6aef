"""The settings of a pipeline that its plan and results publish."""

from __future__ import annotations

from collections.abc import Mapping

from conf.schema import PipelineConfig


def settings_of(config: PipelineConfig) -> Mapping[str, object]:
    """Return the settings that results and plan publish."""
    dumped = config.model_dump(mode="json")
    wanted = (
        "runs",
        "seed",
        "limit",
        "sampling",
        "layout",
        "calibration",
        "lang",
        "execution",
        "imatrix",
        "statistics",
        "protection",
        "recipes",
    )
    return {key: dumped[key] for key in wanted}
