"""What a plan is made from beside the configuration: models, arms, matrices and benchmarks, as they were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.evaluation.contract import BenchmarkData, BenchmarkSpec
from actors.evaluation.kv_cache import Cache
from actors.orders import CalibrationText, ChunkRules, Endpoint, Item
from actors.recipes import Recipe


@dataclass(frozen=True)
class SourceModel:
    """A model that the user gave, as read from its header."""

    name: str
    path: str
    sha256: str
    architecture: str
    n_parameters: int
    size_bytes: int
    kv_bytes_per_cell: int
    """KV cache of one token, in f16."""
    source_type: str
    """The file's own type, `Q4_1`, say."""
    dequantized_from: str | None
    """`Q4_1` where the file is quantized so, or was dequantized from such a one; else None."""
    chat: Mapping[str, Any] | None = None
    """Of its chats: `system` (prompt), `template` (from configuration, model or none), `template_sha256`."""
    origin: Mapping[str, Any] | None = None
    """Where it came from: repository, commit and file, converter and checkpoint. None for a file that was given."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """Of its file, for people: licence, languages, repository; those that are there."""


@dataclass(frozen=True)
class SourceArm:
    """An existing GGUF that is compared like our own, or an endpoint, of which no file is known."""

    name: str
    path: str
    sha256: str | None
    size_bytes: int | None
    bits_per_weight: float | None
    recipe: str | None
    imatrix: str | None
    dequantized_from: str | None
    fallbacks: Mapping[str, Any] | None = None
    """From its manifest, where it is one of ours: tensors that got another type than the recipe's."""
    endpoint: Endpoint | None = None
    types: Mapping[str, int] = field(default_factory=dict)
    """Tensors by type, lower case."""
    origin: Mapping[str, Any] | None = None
    """As a model's."""


@dataclass(frozen=True)
class SourceImatrix:
    """What one entry of `--imatrix` stands for: a file that is there, or texts to collect from."""

    name: str
    path: str | None
    sha256: str | None
    texts: tuple[CalibrationText, ...]
    rules: ChunkRules = field(default_factory=ChunkRules)
    size: float = 1.0
    """How many times `calibration.dataset_size` is taken of the texts."""

    def tokens(self, dataset_size: int) -> int:
        """Tokens in all."""
        return round(self.size * dataset_size)


@dataclass(frozen=True)
class PlannedBenchmark:
    """A benchmark as this pipeline runs it for one model."""

    data: BenchmarkData
    """Its items are cut to the pipeline's limit."""
    sampled: bool
    """False: the output does not depend on the seed, so there is one cell per arm."""
    cache: Cache
    """The KV cache of its blocks. It has fewer sequences than the configuration says if memory is short."""
    share_prefixes: bool

    @property
    def spec(self) -> BenchmarkSpec:
        """What the benchmark declares about itself."""
        return self.data.spec

    @property
    def name(self) -> str:
        """The benchmark's name."""
        return self.data.spec.name

    @property
    def items(self) -> tuple[Item, ...]:
        """The items that this pipeline evaluates, in their fixed order."""
        return self.data.items


@dataclass(frozen=True)
class Inputs:
    """All that `make_plan` looks at beside the configuration."""

    models: tuple[SourceModel, ...]
    arms: tuple[SourceArm, ...]
    imatrices: tuple[SourceImatrix, ...]
    recipes: Mapping[str, tuple[Recipe, ...]]
    """By their names in the configuration's `quantizations`: what is made of each, a control after what it controls."""
    benchmarks: Mapping[str, tuple[PlannedBenchmark, ...]]
    """By model name: perplexity's items depend on the model's tokenizer."""
    predicted_bytes: Mapping[tuple[str, str, bool], int]
    """By (model, recipe and suffix, made with an importance matrix): llama.cpp chooses some types by whether there is
    one."""
    build: Mapping[str, str]
    use_gpu: bool
    notices: tuple[str, ...] = ()
    """What was found that people should know, and that stops nothing."""
    chat_templates: Mapping[str, str] = field(default_factory=dict)
    """By model name, where the configuration has one in place of the GGUF's."""
