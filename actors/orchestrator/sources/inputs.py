"""What a plan is made from besides the configuration: models, arms, matrices and benchmarks, as they were read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.evaluation.contract import BenchmarkData, BenchmarkSpec
from actors.evaluation.kv_cache import Cache
from actors.items import Choose, Item, TemplateUse
from actors.judging.orders import JudgeModel
from actors.llama.devices import DeviceUse
from actors.llama.shape import ModelShape, Weights
from actors.nodes import NodeFacts, build_of
from actors.orchestrator.memory_limits import NO_LIMITS, Loaded, MemoryLimits
from actors.orders import Endpoint
from actors.quantization_orders import CalibrationText, ChunkRules
from actors.recipes import Recipe


@dataclass(frozen=True)
class SourceModel:
    """A model that the user gave, as its header describes it."""

    name: str
    path: str
    sha256: str
    architecture: str
    n_parameters: int
    size_bytes: int
    kv_bytes_per_cell: int
    """Size of the KV cache per token, in f16."""
    source_type: str
    """Type of the file, such as `Q4_1`."""
    dequantized_from: str | None
    """The quantized type that the weights had at some time, such as `Q4_1`. None if they were never quantized."""
    chat: Mapping[str, Any] | None = None
    """Its chat settings: `system` (the prompt), `template` (`configuration`, `model` or `none`), `template_sha256`; and
    `example` (a prompt, as the template in its file makes it)."""
    origin: Mapping[str, Any] | None = None
    """Where it came from: repository, commit and file, converter and checkpoint. None for a local GGUF."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """Licence, languages, repository, name and author, as far as its header names them. For people to read."""
    stage: str | None = None
    """Stage of the training that it is a checkpoint of. None: the configuration names none."""


@dataclass(frozen=True)
class SourceArm:
    """An existing GGUF that is compared like the arms that the pipeline makes, or an endpoint.

    Nothing is known of an endpoint's file, so those fields are None.
    """

    name: str
    path: str
    sha256: str | None = None
    size_bytes: int | None = None
    bits_per_weight: float | None = None
    recipe: str | None = None
    imatrix: str | None = None
    dequantized_from: str | None = None
    fallbacks: Mapping[str, Any] | None = None
    """Tensors whose type is not the recipe's, from the manifest. None if this project did not make the file."""
    endpoint: Endpoint | None = None
    types: Mapping[str, int] = field(default_factory=dict)
    """Number of tensors per type, in lower case."""
    origin: Mapping[str, Any] | None = None
    """See `SourceModel.origin`."""
    model: str | None = None
    """Name of the model that it is a form of. None: the first one."""


@dataclass(frozen=True)
class SourceImatrix:
    """What one entry of `--imatrix` stands for: an existing file, texts to collect from, or no matrix."""

    name: str
    path: str | None = None
    sha256: str | None = None
    texts: tuple[CalibrationText, ...] = ()
    rules: ChunkRules = field(default_factory=ChunkRules)
    size: float = 1.0
    """How many times `calibration.dataset_size` tokens are taken from the texts."""

    def tokens(self, dataset_size: int) -> int:
        """Return how many tokens are taken, given `calibration.dataset_size`."""
        return round(self.size * dataset_size)


@dataclass(frozen=True)
class TemplateUses:
    """How chat templates are used. Names that are missing use the template in their GGUF as it is."""

    models: Mapping[str, TemplateUse] = field(default_factory=dict)
    """By the name of a model, for the model and the arms that are made of it."""
    arms: Mapping[str, TemplateUse] = field(default_factory=dict)
    """By the name of an existing arm."""

    def of_files(self, model: str, arms: Iterable[SourceArm]) -> list[TemplateUse | None]:
        """Return how the template is used for a model and for these existing GGUFs, each way once."""
        files = [self.arms.get(arm.name) for arm in arms if arm.endpoint is None]
        return list(dict.fromkeys([self.models.get(model), *files]))


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
    smaller_caches: Mapping[Loaded, Cache] = field(default_factory=dict)
    """The KV caches of the arms and passes for which memory was short when they were loaded."""

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

    def cache_of(self, loaded: Loaded) -> Cache:
        """Return the KV cache with which an arm is decoded, alone or in a pass."""
        return self.smaller_caches.get(loaded, self.cache)

    @property
    def chance(self) -> float:
        """Share of right answers that guessing gives: the mean of 1 / number of choices, 0 for free answers."""
        shares = [_guessed(item) for item in self.items]
        return sum(shares) / len(shares) if shares else 0.0


def _guessed(item: Item) -> float:
    n_choices = len(item.task.choices) if isinstance(item.task, Choose) else item.n_letters
    return 1 / n_choices if n_choices else 0.0


@dataclass(frozen=True)
class KnownWeights:
    """The weights of all files, from headers and predictions: what the memory on devices is computed from."""

    shapes: Mapping[str, ModelShape] = field(default_factory=dict)
    """By model."""
    made: Mapping[tuple[str, str, bool], Weights] = field(default_factory=dict)
    """By model, recipe with suffix, and whether an importance matrix is used."""
    given: Mapping[str, Weights] = field(default_factory=dict)
    """By existing arm. An endpoint has none."""
    judges: Mapping[str, ModelShape] = field(default_factory=dict)
    """By judge. One behind an endpoint has none."""


@dataclass(frozen=True)
class Inputs:
    """Everything that `make_plan` reads besides the configuration."""

    models: tuple[SourceModel, ...]
    arms: tuple[SourceArm, ...]
    imatrices: tuple[SourceImatrix, ...]
    recipes: Mapping[str, tuple[Recipe, ...]]
    """What is made for each name in the configuration's `quantizations`: the recipe, then its control if any."""
    benchmarks: Mapping[str, tuple[PlannedBenchmark, ...]]
    """For each model name, its benchmarks. They differ between models: chunks of text depend on the tokenizer."""
    predicted_bytes: Mapping[tuple[str, str, bool], int]
    """Size of each file in bytes, by model, recipe with suffix, and whether an importance matrix is used. llama.cpp
    chooses some types differently with a matrix."""
    nodes: tuple[NodeFacts, ...]
    """The machines that may do the work."""
    known: KnownWeights = field(default_factory=KnownWeights)
    notices: tuple[str, ...] = ()
    """Things that people should know but that stop nothing."""
    template_uses: TemplateUses = field(default_factory=TemplateUses)
    judges: tuple[JudgeModel, ...] = ()
    """Who judges the answers of judged benchmarks."""
    limits: MemoryLimits = NO_LIMITS
    """How much memory the plan may fill."""
    human_scores_sha256: str | None = None
    """Hash of the file with human scores. None: there is none."""

    def build_for(self, devices: DeviceUse | None) -> dict[str, str]:
        """Return the builds of llama.cpp on the machines that may do a piece of work, for its key.

        Args:
            devices: what it decodes on. None: the CPU of any machine.
        """
        return build_of(self.nodes, devices.kind if devices else None)
