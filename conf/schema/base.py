"""What every node of the configuration shares: its base class, patterns of names, and limits."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

MIX_NAME = r"[a-z0-9_-]+"
BENCHMARK_NAME = r"[a-z0-9_]+"
RECIPE_NAME = r"[a-z0-9_-]+"
PIPELINE_ID = r"[A-Za-z0-9][A-Za-z0-9_.+~-]{0,127}"
LONGEST_NAME = 64
"""Characters of the name of a benchmark, a recipe or a mix. Names of folders are put together from several names, and
file systems allow 255 bytes."""


MOST_TEXTS = 1000
"""Most texts of a mix."""
MOST_ARMS = 1000
"""Most entries of a list of models, recipes, arms or benchmarks."""


class Frozen(BaseModel):
    """Base class of every node of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` and `false` as numbers. Pydantic would take them as 1 and 0."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        kinds = {wanted, *get_args(wanted)}
        if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
            raise ValueError("a number")
        return value


Count = Annotated[int, Field(ge=1, lt=2**31)]
"""A number of things, as llama.cpp and JSON readers can hold it."""


def split_names(text: str) -> list[str]:
    """Split at commas, keeping the order and dropping repeated names: `a, b,a` -> [a, b]."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
