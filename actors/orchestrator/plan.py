"""The plan of a pipeline: which artifacts are made once an arm, which blocks are evaluated, under which keys.

Pure: a function from the configuration and what was read about models and benchmarks to a `Plan`. Nothing is
looked up on disk here, so the same input gives the same plan on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePath
from typing import Any, Literal

from actors.store import KEY_RULE, RunDirectory, content_hash
from actors.token_classes import class_rules, weights_key
from actors.work import (
    GENERATION_VERSION,
    GROUP_CHUNKS,
    CalibrationText,
    Call,
    CheckOrder,
    CheckPart,
    Choose,
    ChunkRules,
    Endpoint,
    EngineLayout,
    ImatrixOrder,
    Item,
    Measure,
    PerformanceOrder,
    QuantizeOrder,
    Recipe,
    ReferenceModel,
    Scorer,
)
from conf.schema import PipelineConfig

PLAN_SCHEMA_VERSION = 1
LOSSLESS_TYPES = ("f32", "bf16", "f16")
"""Types that can be a reference, the most exact first."""
IMATRIX_IGNORED = (*LOSSLESS_TYPES, "q8_0")
"""Types whose quantizer never looks at the importance matrix (ggml's `quantize_q8_0` leaves its weights unused)."""
AA = "~aa"
"""What the name of a reference's second arm ends with: the same file in another batch layout."""
LEAST_UBATCH = 16
CHECK_ITEMS = 2
"""Items a kind of an arm's self-check."""
CHUNKS_SHARE = 4
"""By how much blocks of perplexity have fewer items than others."""
DECODE_WEIGHT = 4
"""Cost of a generated token against one that is only read, for the estimate of the time left."""
FUNCTION_TOKENS = 10_000
"""Cost of a call to a function of the user's, for the same estimate: nobody can know."""


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
    """A benchmark as this pipeline runs it for one model: its items in their fixed order, cut to the limit."""

    name: str
    version: int
    kind: Literal["generate", "choose", "measure", "function"]
    metric: str
    higher_is_better: bool
    items: tuple[Item, ...] = field(repr=False)
    n_items_total: int
    data_hash: str
    scorer: Scorer
    shots: int
    title: Mapping[str, str]
    source: Mapping[str, Any]
    sampled: bool
    """False: the output does not depend on the seed, so there is one cell an arm."""
    n_ctx: int
    """KV cells that a block needs at most."""
    sequences: int
    """Decoded side by side: as the configuration says, fewer where memory is short."""
    kv_unified: bool
    share_prefixes: bool
    category: str | None = None


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


@dataclass(frozen=True)
class PlannedImatrix:
    """An importance matrix to collect."""

    unit: str
    needs: tuple[str, ...]
    model: str
    mix: str
    """Name of the mix, or `weighted_mix` of it."""
    file: str
    order: ImatrixOrder

    @property
    def group_units(self) -> tuple[str, ...]:
        """The units of its groups, in their order; `unit` adds them up."""
        return tuple(f"{self.unit}/group-{number:05d}" for number in range(len(self.order.group_tokens)))


@dataclass(frozen=True)
class PlannedArm:
    """One thing that is compared; `order` is None for a GGUF that exists."""

    name: str
    model: str
    reference: str | None
    recipe: str | None
    imatrix: str | None
    dequantized_from: str | None
    key_hash: str
    gguf_path: str
    predicted_bytes: int
    unit: str | None
    needs: tuple[str, ...]
    order: QuantizeOrder | None
    existing: SourceArm | None = None

    @property
    def is_aa(self) -> bool:
        """Its reference's file once more, in another batch layout."""
        return self.name.endswith(AA)

    @property
    def made_by(self) -> tuple[str, ...]:
        """Units that must be done before its GGUF is there."""
        return (self.unit,) if self.unit else self.needs

    @property
    def endpoint(self) -> Endpoint | None:
        return self.existing.endpoint if self.existing else None


@dataclass(frozen=True)
class PlannedBlock:
    """A block: the unit of scheduling, batching and redoing."""

    unit: str
    arm: str
    benchmark: str
    model: str
    first: int
    n_items: int
    seeds: tuple[int, ...]
    records_path: str
    layout: EngineLayout
    tokens: int
    """About how many tokens will be reported while it works."""
    cost: float
    """The same, with generated ones at their weight."""
    reference: ReferenceModel | None = None
    """What the arm's text is decoded beside; itself, where the arm is the reference."""
    shared_pass: str | None = None
    """Blocks of one name are decoded side by side, with one pass of their reference."""


@dataclass(frozen=True)
class PlannedPerformance:
    """Speed and memory of an arm, measured once."""

    unit: str
    order: PerformanceOrder


@dataclass(frozen=True)
class PlannedCheck:
    """The comparison of the batched engine with one sequence at a time, before an arm's first block."""

    unit: str
    needs: tuple[str, ...]
    order: CheckOrder


@dataclass(frozen=True)
class RecordsDirectory:
    """All blocks of one arm and benchmark, under one key."""

    path: str
    arm: str
    benchmark: str
    key: Mapping[str, Any]
    item_ids: tuple[str, ...]
    seed_groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Cell:
    """arm x benchmark x seed: the unit of an MLflow run and of progress."""

    arm: str
    benchmark: str
    seed: int
    records_dir: str
    blocks: tuple[str, ...]
    """Units of the blocks that hold its records."""


@dataclass(frozen=True)
class Plan:
    """The whole pipeline, multiplied out."""

    pipeline_id: str
    models: tuple[SourceModel, ...]
    imatrices: tuple[PlannedImatrix, ...]
    arms: tuple[PlannedArm, ...]
    benchmarks: Mapping[str, tuple[PlannedBenchmark, ...]]
    directories: tuple[RecordsDirectory, ...]
    blocks: tuple[PlannedBlock, ...]
    cells: tuple[Cell, ...]
    plan_hash: str
    notices: tuple[str, ...] = ()
    chat_templates: Mapping[str, str] = field(default_factory=dict)
    performances: tuple[PlannedPerformance, ...] = ()
    """One an arm that is a file."""
    checks: tuple[PlannedCheck, ...] = ()
    """One an arm; none where the configuration switches them off."""

    def arm(self, name: str) -> PlannedArm:
        return next(arm for arm in self.arms if arm.name == name)

    def benchmark(self, model: str, name: str) -> PlannedBenchmark:
        return next(benchmark for benchmark in self.benchmarks[model] if benchmark.name == name)


def seeds_of(config: PipelineConfig, benchmark: PlannedBenchmark) -> tuple[int, ...]:
    """The seeds of a benchmark: one a run, or the base seed alone where nothing is sampled."""
    runs = config.runs if benchmark.sampled else 1
    return tuple(range(config.seed, config.seed + runs))


def seed_groups(known: Sequence[Sequence[int]], seeds: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Seeds in groups: known groups keep their places, for files are named by them; missing seeds form one more."""
    missing = tuple(sorted(set(seeds) - {seed for group in known for seed in group}))
    groups = [tuple(group) for group in known]
    return (*groups, missing) if missing else tuple(groups)


def make_plan(
    config: PipelineConfig,
    pipeline_id: str,
    run: RunDirectory,
    inputs: Inputs,
    known_seed_groups: Mapping[str, Sequence[Sequence[int]]],
) -> Plan:
    """Multiply models, recipes, matrices, benchmarks and seeds out into units of work.

    Args:
        config: the configuration.
        pipeline_id: name of the run.
        run: where its files lie; only names are made from it.
        inputs: what was read about models, arms and benchmarks.
        known_seed_groups: by records directory, the seed groups that an earlier run there has used.
    """
    imatrices = tuple(
        _plan_imatrix(config, run, inputs, model, source, weighted=weighted)
        for model in inputs.models
        for source in inputs.imatrices
        if source.texts
        for weighted in sorted({_weighs(config, recipe) for recipe in _recipes(config, inputs) if uses_imatrix(recipe)})
    )
    arms = _with_aa(config, _plan_arms(config, run, inputs, imatrices))
    passes = _shared_passes(arms)
    directories: list[RecordsDirectory] = []
    blocks: list[PlannedBlock] = []
    cells: list[Cell] = []
    for arm in arms:
        for benchmark in inputs.benchmarks[arm.model]:
            if arm.is_aa and benchmark.sampled:
                continue  # its noise floor is how much the reference's own seeds differ
            measured = _measured_beside(config, inputs, arms, arm, benchmark)
            directory, own_blocks = _plan_blocks(config, run, inputs, arm, benchmark, known_seed_groups, measured)
            if measured:
                own_blocks = [
                    replace(
                        block,
                        reference=measured.model,
                        shared_pass=f"{passes[arm.name]}/{benchmark.name}/{block.first}",
                    )
                    for block in own_blocks
                ]
            directories.append(directory)
            blocks.extend(own_blocks)
            cells.extend(
                Cell(
                    arm.name,
                    benchmark.name,
                    seed,
                    directory.path,
                    tuple(block.unit for block in own_blocks if seed in block.seeds),
                )
                for seed in seeds_of(config, benchmark)
            )
    named = {
        "arms": [[arm.name, arm.key_hash, arm.reference] for arm in arms],
        "blocks": [[block.unit, block.seeds] for block in blocks],
        "runs": config.runs,
        "seed": config.seed,
        "lang": config.lang,
        "margins": config.statistics.margins.model_dump(),
        **({"early_stop": True} if config.statistics.early_stop else {}),
    }
    return Plan(
        pipeline_id,
        inputs.models,
        imatrices,
        arms,
        inputs.benchmarks,
        tuple(directories),
        tuple(blocks),
        tuple(cells),
        content_hash(named),
        inputs.notices,
        inputs.chat_templates,
        plan_performances(run, arms, blocks),
        plan_checks(config, run, arms, inputs, blocks),
    )


def uses_imatrix(recipe: Recipe) -> bool:
    """True where the importance matrix changes what is written. Bytes are shared out by it."""
    return recipe.budget is not None or any(
        kind not in IMATRIX_IGNORED for kind in (recipe.method, *recipe.overrides.types)
    )


def _recipes(config: PipelineConfig, inputs: Inputs) -> tuple[Recipe, ...]:
    return tuple(recipe for name in config.quantizations for recipe in inputs.recipes[name])


def _weighs(config: PipelineConfig, recipe: Recipe) -> bool:
    """True where the matrix is one in which tokens count by their class: for protected arms, and not their controls."""
    weights = config.protection.token_weights
    return recipe.budget is not None and not recipe.budget.control and len(set(weights.model_dump().values())) > 1


def _gpu_layers(inputs: Inputs) -> int:
    return -1 if inputs.use_gpu else 0


def weighted_mix(mix: str) -> str:
    """Name of the matrix of the same mix in which tokens count by their class; no mix of a user's has such a name."""
    return f"{mix}+weighted"


def _plan_imatrix(
    config: PipelineConfig,
    run: RunDirectory,
    inputs: Inputs,
    model: SourceModel,
    source: SourceImatrix,
    *,
    weighted: bool = False,
) -> PlannedImatrix:
    """Collected on the model itself; of a quantized one on its dequantized reference, where that is made anyway.

    The weights are the same then, but products with quantized weights round the activations that are to be measured.
    `weighted`: tokens count by `protection.token_weights`.
    """
    mix = weighted_mix(source.name) if weighted else source.name
    token_weights = config.protection.token_weights if weighted else None
    reference = _dequantized_reference(config, run, inputs, model)
    key: dict[str, Any] = {
        "rule": KEY_RULE,
        "kind": "imatrix",
        "model": reference.key_hash if reference else model.sha256,
        "texts": [[text.sha256, text.share] for text in source.texts],
        "dataset_size": source.tokens(config.calibration.dataset_size),
        "ctx": config.calibration.ctx,
        "rules": asdict(source.rules),
        "group_chunks": GROUP_CHUNKS,
        "threads": config.layout.threads,
        "gpu_layers": _gpu_layers(inputs),
        "build": dict(inputs.build),
        **weights_key(token_weights),
    }
    path = run.imatrix(mix, content_hash(key))
    order = ImatrixOrder(
        model_path=reference.gguf_path if reference else model.path,
        mix=mix,
        texts=source.texts,
        dataset_size=source.tokens(config.calibration.dataset_size),
        ctx=config.calibration.ctx,
        threads=config.layout.threads,
        gpu_layers=_gpu_layers(inputs),
        output_path=str(path),
        key=key,
        rules=source.rules,
        token_weights=token_weights,
    )
    needs = (reference.unit,) if reference and reference.unit else ()
    return PlannedImatrix(f"imatrix/{path.stem}", needs, model.name, mix, str(path), order)


def _dequantized_reference(
    config: PipelineConfig, run: RunDirectory, inputs: Inputs, model: SourceModel
) -> PlannedArm | None:
    kinds = [kind for kind in LOSSLESS_TYPES if kind in config.quantizations]
    if model.source_type.lower() in LOSSLESS_TYPES or not kinds:
        return None
    name = f"{_prefix(inputs, model)}{kinds[0]}"
    return _plan_arm(config, run, inputs, (), model, name, inputs.recipes[kinds[0]][0], inputs.imatrices[0], None)


def _prefix(inputs: Inputs, model: SourceModel) -> str:
    """What arm names begin with where there are several models."""
    return f"{model.name}~" if len(inputs.models) > 1 else ""


def _plan_arms(
    config: PipelineConfig, run: RunDirectory, inputs: Inputs, imatrices: tuple[PlannedImatrix, ...]
) -> tuple[PlannedArm, ...]:
    """Our own arms model by model, then the existing GGUFs, which are compared within the first model."""
    arms: list[PlannedArm] = []
    for model in inputs.models:
        prefix = _prefix(inputs, model)
        names = [f"{prefix}{recipe.name}{recipe.suffix}" for recipe in _recipes(config, inputs)]
        own_existing = [arm.name for arm in inputs.arms] if model is inputs.models[0] else []
        reference = reference_of(config, prefix, [*names, *own_existing])
        for recipe in _recipes(config, inputs):
            for source in inputs.imatrices if uses_imatrix(recipe) else inputs.imatrices[:1]:
                name = f"{prefix}{recipe.name}"
                arms.append(_plan_arm(config, run, inputs, imatrices, model, name, recipe, source, reference))
        if model is inputs.models[0]:
            arms.extend(_existing_arm(arm, model, reference) for arm in inputs.arms)
    return tuple(arms)


def _with_aa(config: PipelineConfig, arms: tuple[PlannedArm, ...]) -> tuple[PlannedArm, ...]:
    """With `noise_floor`, each reference once more, to be decoded in another batch layout."""
    if not config.noise_floor:
        return arms
    references = {arm.reference for arm in arms}
    return (
        *arms,
        *(
            replace(arm, name=f"{arm.name}{AA}", reference=arm.name, unit=None, needs=arm.made_by, order=None)
            for arm in arms
            if arm.name in references and arm.endpoint is None
        ),
    )


def _shared_passes(arms: Sequence[PlannedArm]) -> dict[str, str]:
    """By arm, the name of the pass that its text shares: the reference with the first arms, further passes with more.

    The arms of a pass together are no larger than their reference (one may be, if it is alone): decoding them side by
    side takes about twice the memory of the reference, which must fit anyway. Records do not depend on it.
    """
    passes: dict[str, str] = {}
    for reference in arms:
        own = [arm for arm in arms if arm.reference == reference.name and arm.endpoint is None]
        number, filled = 0, 0
        for arm in own:
            if filled and filled + arm.predicted_bytes > reference.predicted_bytes:
                number, filled = number + 1, 0
            filled += arm.predicted_bytes
            passes[arm.name] = f"{reference.name}/{number}"
        if own:
            passes[reference.name] = f"{reference.name}/0"
    return passes


@dataclass(frozen=True)
class _Beside:
    """What an arm's text is decoded beside."""

    model: ReferenceModel
    key_hash: str | None
    """Of the reference; None for the reference itself, whose records are the same whether it has arms or not."""


def _measured_beside(
    config: PipelineConfig,
    inputs: Inputs,
    arms: Sequence[PlannedArm],
    arm: PlannedArm,
    benchmark: PlannedBenchmark,
) -> _Beside | None:
    """None where there is no text, no reference, or one of both is an endpoint."""
    if benchmark.kind != "measure" or arm.endpoint is not None:
        return None
    if arm.reference is not None:
        reference = next(other for other in arms if other.name == arm.reference)
        if reference.endpoint is not None:
            return None
        return _Beside(
            ReferenceModel(reference.gguf_path, _layout(config, inputs, reference, benchmark)), reference.key_hash
        )
    if any(other.reference == arm.name for other in arms):
        return _Beside(ReferenceModel(arm.gguf_path, _layout(config, inputs, arm, benchmark)), None)
    return None


def plan_performances(
    run: RunDirectory, arms: Sequence[PlannedArm], blocks: Sequence[PlannedBlock]
) -> tuple[PlannedPerformance, ...]:
    """Each arm in the layout of its widest benchmark; an A/A arm is its reference's file."""
    planned = []
    for arm in arms:
        layouts = [block.layout for block in blocks if block.arm == arm.name]
        if arm.is_aa or arm.endpoint is not None or not layouts:
            continue
        layout = max(layouts, key=lambda one: one.n_ctx)
        key = {"rule": KEY_RULE, "kind": "performance", "arm": arm.key_hash, "layout": asdict(layout)}
        path = run.performance(arm.name, content_hash(key))
        order = PerformanceOrder(arm.name, arm.gguf_path, layout, str(path))
        planned.append(PlannedPerformance(f"performance/{path.stem}", order))
    return tuple(planned)


def reference_of(config: PipelineConfig, prefix: str, names: Sequence[str]) -> str | None:
    """The reference among the arms of one model: the one that the user named, else the most exact lossless one."""
    if config.reference is not None:
        return next((name for name in (config.reference, f"{prefix}{config.reference}") if name in names), None)
    return next((f"{prefix}{kind}" for kind in LOSSLESS_TYPES if f"{prefix}{kind}" in names), None)


def _plan_arm(
    config: PipelineConfig,
    run: RunDirectory,
    inputs: Inputs,
    imatrices: tuple[PlannedImatrix, ...],
    model: SourceModel,
    base_name: str,
    recipe: Recipe,
    source: SourceImatrix,
    reference: str | None,
) -> PlannedArm:
    is_default = source is inputs.imatrices[0]
    name = (base_name if is_default else f"{base_name}+{source.name}") + recipe.suffix
    mix = weighted_mix(source.name) if source.texts and _weighs(config, recipe) else source.name
    collected = next((one for one in imatrices if (one.model, one.mix) == (model.name, mix)), None)
    weighted = uses_imatrix(recipe) and (collected is not None or source.path is not None)
    imatrix_identity = None
    if weighted:
        imatrix_identity = content_hash(collected.order.key) if collected else source.sha256
    key: dict[str, Any] = {
        "rule": KEY_RULE,
        "kind": "arm",
        "model": model.sha256,
        "recipe": recipe.identity,
        "imatrix": imatrix_identity,
        "build": dict(inputs.build),
    }
    key_hash = content_hash(key)
    path = run.artifact(name, key_hash) / f"{model.name}-{recipe.file_label}.gguf"
    # Shared by all arms of the storage that are made from the same model with the same matrix.
    errors = content_hash({**key, "kind": "errors", "recipe": None})
    order = QuantizeOrder(
        arm=name,
        model_path=model.path,
        model_name=model.name,
        recipe=recipe,
        imatrix_path=(collected.file if collected else source.path) if weighted else None,
        threads=config.layout.threads,
        output_path=str(path),
        dequantized_from=model.dequantized_from,
        key=key,
        measured_path=str(run.measured(errors)) if recipe.budget else None,
    )
    return PlannedArm(
        name=name,
        model=model.name,
        reference=reference if reference != name else None,
        recipe=recipe.name + recipe.suffix,
        imatrix=mix if weighted else None,
        dequantized_from=model.dequantized_from,
        key_hash=key_hash,
        gguf_path=str(path),
        predicted_bytes=inputs.predicted_bytes[model.name, recipe.name + recipe.suffix, weighted],
        unit=f"artifacts/{path.parent.name}",
        needs=(collected.unit,) if weighted and collected else (),
        order=order,
    )


def _identity_of_existing(arm: SourceArm) -> dict[str, Any]:
    if arm.endpoint is not None:
        return {"kind": "endpoint", "url": arm.endpoint.url, "model": arm.endpoint.model}
    return {"kind": "file", "sha256": arm.sha256}


def _existing_arm(arm: SourceArm, model: SourceModel, reference: str | None) -> PlannedArm:
    return PlannedArm(
        name=arm.name,
        model=model.name,
        reference=reference if reference != arm.name else None,
        recipe=arm.recipe,
        imatrix=arm.imatrix,
        dequantized_from=arm.dequantized_from,
        key_hash=content_hash({"rule": KEY_RULE, **_identity_of_existing(arm)}),
        gguf_path=arm.path,
        predicted_bytes=arm.size_bytes or 0,
        unit=None,
        needs=(),
        order=None,
        existing=arm,
    )


def _plan_blocks(
    config: PipelineConfig,
    run: RunDirectory,
    inputs: Inputs,
    arm: PlannedArm,
    benchmark: PlannedBenchmark,
    known_seed_groups: Mapping[str, Sequence[Sequence[int]]],
    measured: _Beside | None,
) -> tuple[RecordsDirectory, list[PlannedBlock]]:
    layout = _layout(config, inputs, arm, benchmark)
    key: dict[str, Any] = {
        "rule": KEY_RULE,
        "kind": "records",
        "arm": arm.key_hash,
        "benchmark": benchmark.name,
        "version": benchmark.version,
        "data": benchmark.data_hash,
        "sampling": config.sampling.model_dump() if benchmark.kind in ("generate", "function") else None,
        "engine": "function" if benchmark.kind == "function" else "llama",
        "build": dict(inputs.build),
        "layout": asdict(layout),
        "block_items": _block_items(config, benchmark),
    }
    if benchmark.kind == "generate":
        key["generation"] = GENERATION_VERSION
    if benchmark.kind == "measure":
        key["token_classes"] = class_rules()
        key["reference"] = None if measured is None else measured.key_hash
    if arm.model in inputs.chat_templates and any(getattr(item.task, "chat", False) for item in benchmark.items):
        key["chat_template"] = content_hash(inputs.chat_templates[arm.model])
    if arm.endpoint is not None:
        # What answers there, and how it is laid out, is the server's own matter.
        key |= {"engine": "openai", "build": None, "layout": None, "generation": None}
    path = run.records(benchmark.name, arm.name, content_hash(key))
    seeds = seeds_of(config, benchmark)
    groups = seed_groups(known_seed_groups.get(str(path), ()), seeds)
    step = _block_items(config, benchmark)
    blocks = [
        PlannedBlock(
            unit=f"records/{path.name}/{first:05d}-{len(items)}.g{number}",
            arm=arm.name,
            benchmark=benchmark.name,
            model=arm.model,
            first=first,
            n_items=len(items),
            seeds=group,
            records_path=str(path / f"{first:05d}-{len(items)}.g{number}.jsonl"),
            layout=layout,
            tokens=round(_cost(benchmark, items, group, decode_weight=1)),
            cost=_cost(benchmark, items, group, DECODE_WEIGHT),
        )
        for number, group in enumerate(groups)
        if set(group) & set(seeds)
        for first in range(0, len(benchmark.items), step)
        if (items := benchmark.items[first : first + step])
    ]
    item_ids = tuple(item.item_id for item in benchmark.items)
    return RecordsDirectory(str(path), arm.name, benchmark.name, key, item_ids, groups), blocks


def _layout(config: PipelineConfig, inputs: Inputs, arm: PlannedArm, benchmark: PlannedBenchmark) -> EngineLayout:
    layout = EngineLayout(
        threads=config.layout.threads,
        sequences=benchmark.sequences,
        n_batch=config.layout.n_batch,
        n_ubatch=config.layout.n_ubatch,
        n_ctx=benchmark.n_ctx,
        kv_unified=benchmark.kv_unified,
        flash_attention=config.layout.flash_attention,
        gpu_layers=_gpu_layers(inputs),
        share_prefixes=benchmark.share_prefixes,
    )
    return _other_layout(layout, benchmark) if arm.is_aa else layout


def _other_layout(layout: EngineLayout, benchmark: PlannedBenchmark) -> EngineLayout:
    """Half as many sequences and half as long graphs: what a user might run just as well."""
    most_choices = max((len(getattr(item.task, "choices", ())) for item in benchmark.items), default=0)
    return replace(
        layout,
        sequences=max(layout.sequences // 2, most_choices, 1),
        n_ubatch=max(layout.n_ubatch // 2, LEAST_UBATCH),
    )


def plan_checks(
    config: PipelineConfig,
    run: RunDirectory,
    arms: Sequence[PlannedArm],
    inputs: Inputs,
    blocks: Sequence[PlannedBlock],
) -> tuple[PlannedCheck, ...]:
    """One check an arm that is decoded here: a few items of its shortest benchmark of each kind."""
    if not config.execution.self_check:
        return ()
    layouts = {(block.arm, block.benchmark): block.layout for block in blocks}
    checks = []
    for arm in [arm for arm in arms if arm.endpoint is None]:
        own = [one for one in inputs.benchmarks[arm.model] if (arm.name, one.name) in layouts]
        chosen = _shortest_of_each_kind(own, config.execution.block_items)
        if not chosen:
            continue
        parts = tuple(CheckPart(name, items, layouts[arm.name, name]) for name, items in chosen.items())
        content = [[part.benchmark, [item.prompt_hash for item in part.items], asdict(part.layout)] for part in parts]
        template = inputs.chat_templates.get(arm.model)
        key = {"rule": KEY_RULE, "arm": arm.key_hash, "parts": content, "chat_template": template}
        path = run.check(arm.name, content_hash(key))
        order = CheckOrder(arm.name, arm.gguf_path, parts, template, str(path))
        checks.append(PlannedCheck(f"checks/{path.stem}", arm.made_by, order))
    return tuple(checks)


def _shortest_of_each_kind(benchmarks: Sequence[PlannedBenchmark], block_items: int) -> dict[str, tuple[Item, ...]]:
    """By benchmark, the shortest items of its first block: a limit that grows does not change them."""
    best: dict[str, tuple[int, str, tuple[Item, ...]]] = {}
    for benchmark in benchmarks:
        first_block = [
            (_length(item), number) for number, item in enumerate(benchmark.items[:block_items]) if not item.too_long
        ]
        if not first_block or benchmark.kind == "function":
            continue
        shortest = sorted(first_block)[:CHECK_ITEMS]
        found = (sum(length for length, _ in shortest), benchmark.name, tuple(benchmark.items[n] for _, n in shortest))
        best[benchmark.kind] = min(best.get(benchmark.kind, found), found, key=lambda entry: entry[0])
    return {name: items for _, name, items in best.values()}


def _length(item: Item) -> int:
    """Characters of a prompt and its choices, or tokens of a chunk."""
    task = item.task
    if isinstance(task, Measure):
        return len(task.tokens)
    if isinstance(task, Call):
        return 0
    choices = task.choices if isinstance(task, Choose) else ()
    return sum(len(message.content) for message in task.messages) + sum(map(len, choices))


def _block_items(config: PipelineConfig, benchmark: PlannedBenchmark) -> int:
    """Items a block: few where they are chunks of text, which are decoded whole, by several models side by side."""
    items = config.execution.block_items
    return max(1, items // CHUNKS_SHARE) if benchmark.kind == "measure" else items


def _cost(benchmark: PlannedBenchmark, items: Sequence[Item], seeds: Sequence[int], decode_weight: float) -> float:
    """Rough cost of a block in tokens read, for the estimate of the time left; nothing else depends on it."""
    tokens = 0.0
    for item in items:
        task = item.task
        if benchmark.kind == "function":
            tokens += len(seeds) * FUNCTION_TOKENS
        elif benchmark.kind == "measure":
            tokens += len(getattr(task, "tokens", ()))
        else:
            characters = sum(len(message.content) for message in getattr(task, "messages", ()))
            tokens += min(characters, 400) / 4
            tokens += len(seeds) * decode_weight * getattr(task, "max_tokens", 0) / 2
            tokens += sum(len(choice) for choice in getattr(task, "choices", ())) / 4
    return tokens


def relative(path: str, run: RunDirectory) -> str:
    """`path` as it stands in plan.json: relative to the run directory where it lies in it."""
    pure = PurePath(path)
    return pure.relative_to(run.root).as_posix() if pure.is_relative_to(run.root) else path


def plan_json(
    plan: Plan, run: RunDirectory, versions: Mapping[str, str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The plan as `plan.json` publishes it: names and paths, not the items' texts."""
    return {
        "schema_version": PLAN_SCHEMA_VERSION,
        "pipeline_id": plan.pipeline_id,
        "plan_hash": plan.plan_hash,
        "models": [asdict(model) for model in plan.models],
        "imatrices": [
            {
                "mix": one.mix,
                "model": one.model,
                "file": relative(one.file, run),
                "manifest": relative(f"{one.file}.manifest.json", run),
            }
            for one in plan.imatrices
        ],
        "artifacts": [
            {
                "arm": arm.name,
                "model": arm.model,
                "reference": arm.reference,
                "recipe": arm.recipe,
                "recipe_content": arm.order.recipe.identity if arm.order else None,
                "imatrix": arm.imatrix,
                "dequantized_from": arm.dequantized_from,
                "dir": None if arm.endpoint else relative(str(PurePath(arm.gguf_path).parent), run),
                "file": relative(arm.gguf_path, run),
                "manifest": relative(str(PurePath(arm.gguf_path).parent / "manifest.json"), run) if arm.order else None,
                "predicted_bytes": arm.predicted_bytes,
            }
            for arm in plan.arms
        ],
        "blocks": [
            {
                "arm": block.arm,
                "benchmark": block.benchmark,
                "seeds": list(block.seeds),
                "n_items": block.n_items,
                "file": relative(block.records_path, run),
            }
            for block in plan.blocks
        ],
        "cells": [
            {
                "id": f"{cell.arm}/{cell.benchmark}/{cell.seed}",
                "arm": cell.arm,
                "benchmark": cell.benchmark,
                "seed": cell.seed,
                "records_dir": relative(cell.records_dir, run),
                "blocks": [f"{unit}.jsonl" for unit in cell.blocks],
            }
            for cell in plan.cells
        ],
        "versions": dict(versions),
        "settings": dict(settings),
    }
