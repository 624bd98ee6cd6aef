"""Reads from headers what placement counts with: the weights of files by layer, and the shapes of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actors.judging.orders import JudgeModel
from actors.llama.gguf_file import read_header
from actors.llama.shape import ModelShape, shape_of
from actors.orchestrator.sources.inputs import KnownWeights, SourceArm, SourceModel
from actors.orchestrator.sources.recipes import PredictedFile


def known_weights(
    models: Iterable[SourceModel],
    arms: Iterable[SourceArm],
    judges: Iterable[JudgeModel],
    files: Mapping[tuple[str, str, bool], PredictedFile],
) -> KnownWeights:
    """Return the weights of everything that may be loaded. All files were read and checked before."""
    return KnownWeights(
        shapes={model.name: read_shape(model.path) for model in models},
        made={made: file.weights for made, file in files.items()},
        given={arm.name: read_shape(arm.path).weights for arm in arms if arm.endpoint is None},
        judges={judge.name: read_shape(judge.gguf_path) for judge in judges if judge.gguf_path is not None},
    )


def read_shape(path: str) -> ModelShape:
    """Return the shape of the model in a file."""
    return shape_of(read_header(path))
