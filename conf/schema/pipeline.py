"""The configuration of a pipeline: the root of the tree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from conf.schema.answers import Chat, Sampling
from conf.schema.base import LONGEST_NAME, MOST_ARMS, PIPELINE_ID, RECIPE_NAME, Count, Frozen, split_names
from conf.schema.execution import Endpoints, Execution, Layout, Tracking
from conf.schema.judging import Judging
from conf.schema.models import ArmEntry, ArmName, ModelEntry
from conf.schema.protection import Protection
from conf.schema.recipes import Calibration, RecipeSettings
from conf.schema.verdicts import Statistics

Language = Literal["ja", "en", "both"]
"""Language of charts and documents."""


class PipelineConfig(Frozen):
    """All settings of one pipeline."""

    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1, max_length=MOST_ARMS)]
    """Several models are evaluated on the same benchmarks. Each has its own reference and its own conclusion."""
    quantizations: Annotated[tuple[str, ...], Field(max_length=MOST_ARMS)] = ("bf16", "q8_0", "q4_k_m")
    """llama.cpp types and recipes, in the order in which they are shown."""
    recipes: Mapping[Annotated[str, Field(pattern=rf"^{RECIPE_NAME}$", max_length=LONGEST_NAME)], RecipeSettings] = {}
    """Custom recipes by name; `quantizations` says which of them are made."""
    arms: Annotated[tuple[ArmEntry, ...], Field(max_length=MOST_ARMS)] = ()
    """Existing GGUFs and endpoints (`http(s)://HOST/v1#MODEL`), compared like the quantizations made here. The key of
    an endpoint is read from OPENAI_API_KEY, on the machine that sends the requests."""
    endpoints: Endpoints = Endpoints()
    judging: Judging = Judging()
    reference: ArmName | None = None
    """The arm that the others are compared with. None: the first of f32, bf16 and f16 that is planned. A model may name
    its own (`models`)."""
    benchmarks: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_ARMS)] = (
        "gsm8k",
        "math",
        "arc_challenge",
        "elyza",
    )
    """Names of benchmarks, or files of custom benchmarks: `.yaml` (see `conf.custom_benchmarks`) or `.py`."""
    runs: Count = 5
    """Repeats of every sampled benchmark, one seed each."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """First seed; run r (from 0) uses seed + r."""
    noise_floor: bool = False
    """True: evaluate each reference again in another batch layout, for benchmarks whose output does not depend on the
    seed. Differences of that size mean nothing. For sampled benchmarks, the reference's own seeds show the same."""
    limit: Count | None = None
    """Most items per benchmark; None: all."""
    data_dir: Path | None = None
    """Folder of data sets, with one folder per benchmark. None: from the hub."""
    imatrix: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_ARMS)] = ("default",)
    """Each entry is `none`, `default` (see `calibration`), a mix (its name or its .yaml file) or an imatrix file
    (.gguf, .dat). The first entry is the default, which arm names leave out. Each further entry makes every lossy
    quantization again."""
    calibration: Calibration = Calibration()
    chat: Mapping[ArmName, Chat] = {}
    """Chat settings by the name of a model or of an existing arm (`arms`). An arm has those of its model too, but its
    own win."""
    protection: Protection = Protection()
    sampling: Sampling = Sampling()
    layout: Layout = Layout()
    execution: Execution = Execution()
    tracking: Tracking = Tracking()
    statistics: Statistics = Statistics()
    storage: Path = Path("runs")
    """Folder of all pipelines: a local one, or one that all machines of a cluster share."""
    pipeline_id: Annotated[str, Field(pattern=rf"^{PIPELINE_ID}$")] | None = None
    """Name of this pipeline. None: `YYYYmmdd-HHMMSS-<model>`."""
    lang: Language = "both"
    """Language of charts and documents. `both`: each is written once per language, with `_ja` or `_en` in its name."""
    methodology: Path | None = None
    """Markdown file that replaces the methodology in the documents. None: the methodology that comes with the
    project."""

    @field_validator("quantizations", "benchmarks", "imatrix", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Take one text with commas as a list, as the flags do."""
        return split_names(value) if isinstance(value, str) else value

    def entry(self, model: str) -> ModelEntry:
        """Return what the configuration says about a model, by its name."""
        return next(one for one in self.models if one.name == model)

    def quantizations_of(self, model: str) -> tuple[str, ...]:
        """Return what is made of a model, by its name."""
        own = self.entry(model).quantizations
        return self.quantizations if own is None else own

    def is_taken_as_given(self, model: str) -> bool:
        """Return whether nothing is made of a model, and its file itself is an arm."""
        return self.entry(model).quantizations == ()

    @property
    def all_quantizations(self) -> tuple[str, ...]:
        """What is made of any of the models."""
        made = (name for model in self.models for name in self.quantizations_of(model.name))
        return tuple(dict.fromkeys(made))
