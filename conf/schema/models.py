"""The models of a pipeline, and existing GGUFs and endpoints that are arms."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from conf.names import composed
from conf.schema.base import LONGEST_NAME, MOST_ARMS, Frozen, split_names

LONGEST_ARM_NAME = 120
"""Bytes of the name of a model or an arm."""


def _short(name: str) -> str:
    if len(name.encode()) > LONGEST_ARM_NAME:
        raise ValueError(f"a name of at most {LONGEST_ARM_NAME} bytes: NAME=PATH gives a shorter one")
    return name


ArmName = Annotated[str, Field(min_length=1), AfterValidator(composed), AfterValidator(_short)]
"""Name of a model or an arm."""


class NamedPath(Frozen):
    """`[NAME=]MODEL`: a model, or an existing GGUF that is an arm."""

    name: ArmName
    """Short name. Default on the command line: the name of the file or repository without the type at its end."""
    path: str
    """One of these:

    - a GGUF file (any part of a split one)
    - for a model: the folder of a Hugging Face checkpoint, or a repository on the hub, `owner/name[@REVISION]`
    - a GGUF on the hub: `hf:owner/name[@REVISION]/path/file.gguf` (see `conf.hub_ids`)
    - `package:NAME/FILE`: a file of an installed package
    - for an arm: an endpoint, `http(s)://HOST/v1#MODEL`
    """


class ModelEntry(NamedPath):
    """One model of a pipeline, with what is special about it if the pipeline has several."""

    quantizations: Annotated[tuple[str, ...], Field(max_length=MOST_ARMS)] | None = None
    """What is made of this model. None: the pipeline's `quantizations`. Empty: nothing, and the given file itself is an
    arm, named after its type. So a model has one side only if only that side fits or exists."""
    reference: ArmName | None = None
    """The arm that this model's others are compared with, with or without `NAME~` in front. None: the pipeline's
    `reference`, else the first of f32, bf16 and f16 that is planned for it."""
    stage: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    """Stage of the training that this checkpoint is of, such as `sft`. Tables and charts show it, and keep the order of
    the models if each of them has a stage."""

    @field_validator("quantizations", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Take one text with commas as a list, as the flags do."""
        return split_names(value) if isinstance(value, str) else value


class ArmEntry(NamedPath):
    """An existing GGUF or an endpoint that is an arm."""

    model: ArmName | None = None
    """Name of the model that it is a form of. None: the one whose name stands in front of its own name
    (`MODEL~NAME`), else the first model."""
