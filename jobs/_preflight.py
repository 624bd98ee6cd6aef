"""Everything that is checked and read before Ray starts: models, types, data, the storage, disk.

Gives the `Inputs` of the plan, or raises `BadInput` with all faults that were found. Nothing is written but a
small cache of file hashes in a storage that exists already.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from actors.errors import LlamaError
from actors.evaluation import benchmarks
from actors.evaluation.contract import Benchmark, BenchmarkData
from actors.llama import library
from actors.llama.file_types import resolve_type
from actors.llama.gguf_file import GgufHeader, read_header
from actors.llama.memory import can_fork
from actors.llama.model import Model
from actors.llama.overrides import check_fit
from actors.llama.quantizer import plan_quantization
from actors.machine import check_memory
from actors.orchestrator.inputs import Inputs, PlannedBenchmark, SourceArm, SourceImatrix, SourceModel
from actors.orchestrator.plan import Plan
from actors.orchestrator.planning.arms import uses_imatrix
from actors.quantization.calibration import ReadText, read_calibration
from actors.quantization.memory import needed_to_collect, needed_to_quantize
from actors.quantization.protection import allot
from actors.quantization.spending import check_fits
from actors.recipes import check_own_recipes, needs_imatrix, protected, resolve_recipe
from actors.work import ChatSettings, Recipe
from conf.faults import BadInput, Fault, near_names
from conf.hub_ids import parse_hub_id
from conf.mixes import SUFFIX, shipped_mixes
from conf.schema import PipelineConfig
from jobs._calibration import MATRIX_SUFFIXES, check_overlap, check_size, source_imatrices
from jobs._chat import chat_settings, describe_chat
from jobs._kv_cache import cache_for
from jobs._models import bring, find
from jobs._output import check_folder, existing_parent
from jobs._sources import HashCache, endpoint_arm, is_endpoint, source_arm, source_model, speech_notices

DISK_SLACK_BYTES = 512 * 2**20
"""Room for records, charts, documents and MLflow beside the GGUFs."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Faults:
    """Collects what is wrong, so that all of it is told at once."""

    found: list[Fault] = field(default_factory=list)

    def gather(self, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `check` gives back for these arguments; None where it finds fault."""
        try:
            return check(*args, **kwargs)
        except BadInput as error:
            self.found.extend(error.faults)
            return None

    def stop_if_any(self) -> None:
        if self.found:
            raise BadInput(self.found)


def inspect(config: PipelineConfig, hashes: HashCache, *, use_gpu: bool) -> Inputs:
    """Read headers, vocabularies and data sets; raises `BadInput` with every fault found."""
    faults = _Faults()
    # Looked at three times (readable, long enough, no overlap), read once.
    read = functools.cache(read_calibration)
    recipes = faults.gather(_recipes, config)
    faults.gather(_check_distinct, config)
    faults.gather(_check_reference, config, recipes or {})
    files = [arm for arm in config.arms if not is_endpoint(arm.path)]
    endpoints = [faults.gather(endpoint_arm, arm, config.endpoints) for arm in config.arms if is_endpoint(arm.path)]
    found = [faults.gather(find, model.path, key="--model", is_model=True) for model in config.models]
    found += [faults.gather(find, arm.path, key="--arm", is_model=False) for arm in files]
    wanted = recipes is None or any(uses_imatrix(recipe) for made in recipes.values() for recipe in made)
    imatrices = faults.gather(source_imatrices, config, hashes.sha256, read, wanted=wanted)
    chats = faults.gather(chat_settings, config)
    asked = faults.gather(benchmarks.find_benchmarks, config.benchmarks)
    faults.gather(check_folder, config.storage, "--storage")
    faults.stop_if_any()
    # All that is cheap was looked at: now what may take long.
    brought = [bring(_known(one)) for one in found]
    models = tuple(
        source_model(model.name, read_header(one.path), one.origin, hashes)
        for model, one in zip(config.models, brought, strict=False)
    )
    arms = [
        faults.gather(source_arm, arm.name, one.path, one.origin, hashes)
        for arm, one in zip(files, brought[len(models) :], strict=True)
    ]
    faults.stop_if_any()
    by_name = {arm.name: arm for arm in map(_known, [*arms, *endpoints])}
    found_arms = tuple(by_name[arm.name] for arm in config.arms)
    loaded = {
        model.name: faults.gather(
            _load_benchmarks,
            config,
            model,
            _known(asked),
            _known(imatrices),
            read,
            chat=_known(chats).get(model.name, ChatSettings()),
            compare_texts=model is models[0],
            use_gpu=use_gpu,
        )
        for model in models
    }
    sizes = faults.gather(_predict_sizes, models, _known(recipes), _known(imatrices))
    faults.stop_if_any()
    return Inputs(
        models=tuple(replace(model, chat=_known(loaded[model.name]).chat) for model in models),
        arms=found_arms,
        imatrices=_known(imatrices),
        recipes=_known(recipes),
        benchmarks={name: _known(value).benchmarks for name, value in loaded.items()},
        predicted_bytes=_known(sizes),
        build=library.build(),
        use_gpu=use_gpu,
        notices=(
            *_known(loaded[models[0].name]).notices,
            *(notice for arm in found_arms if arm.endpoint is None for notice in speech_notices(arm, models[0])),
            *_endpoint_notices(found_arms, _known(asked)),
            *(notice for model in models for notice in _fork_notices(model)),
        ),
        chat_templates={name: chat.template for name, chat in _known(chats).items() if chat.template is not None},
    )


def _endpoint_notices(arms: Iterable[SourceArm], asked: Iterable[Benchmark]) -> list[str]:
    """What endpoints cannot do, said before anything starts."""
    without = [benchmark.name for benchmark in asked if benchmark.kind in ("choose", "measure")]
    return [
        f"{arm.name} is an endpoint, which gives no likelihoods: unscored there are {', '.join(without)}."
        for arm in arms
        if arm.endpoint is not None and without
    ]


def check_disk(config: PipelineConfig, plan: Plan, done: Iterable[str]) -> None:
    """Refuse a plan whose GGUFs do not fit on the storage's disk."""
    missing = set(done)
    needed = sum(arm.predicted_bytes for arm in plan.arms if arm.order and arm.unit not in missing) + DISK_SLACK_BYTES
    free = shutil.disk_usage(existing_parent(config.storage)).free
    if needed > free:
        raise BadInput(
            Fault(
                "--storage",
                f"{config.storage} with {free / 2**30:.1f} GiB free",
                f"a folder with {needed / 2**30:.1f} GiB free (the plan's GGUFs and some room)",
                "Choose another --storage, fewer --quantizations, or free some room.",
            )
        )


def quantization_bytes(plan: Plan) -> int:
    """Memory of the largest quantization worker of a plan; 0 where nothing is made."""
    headers = {model.name: read_header(model.path) for model in plan.models}
    arms = {arm.model for arm in plan.arms if arm.order}
    needs = [needed_to_quantize(headers[name]) for name in arms]
    return max([*needs, *_collecting_bytes(plan, headers).values()], default=0)


def _collecting_bytes(plan: Plan, headers: Mapping[str, GgufHeader]) -> dict[str, int]:
    """By unit. A matrix is collected from the reference, which may still be to be made."""
    sizes = {arm.gguf_path: arm.predicted_bytes for arm in plan.arms}
    return {
        one.unit: needed_to_collect(headers[one.model], one.order.ctx, model_bytes=sizes.get(one.order.model_path))
        for one in plan.imatrices
    }


def check_local_memory(plan: Plan, done: Iterable[str]) -> None:
    """Refuse a plan with a matrix or an arm that this machine has too little memory to make.

    For a local Ray alone: the machines of a cluster check it themselves when the work comes to them.
    """
    missing = set(done)
    faults = _Faults()
    headers = {model.name: read_header(model.path) for model in plan.models}
    for unit, needed in _collecting_bytes(plan, headers).items():
        if unit not in missing:
            faults.gather(check_memory, needed, unit)
    for name in sorted({arm.model for arm in plan.arms if arm.order and arm.unit not in missing}):
        faults.gather(check_memory, needed_to_quantize(headers[name]), f"quantizing {name}")
    faults.stop_if_any()


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


def _known(value: T | None) -> T:
    if value is None:
        raise AssertionError("a fault was found and not raised")
    return value


def _recipes(config: PipelineConfig) -> dict[str, tuple[Recipe, ...]]:
    """What is made of each of `quantizations`, by its name; recipes that nobody asked for are checked as well."""
    faults = _Faults()
    faults.gather(check_own_recipes, config.recipes)
    faults.stop_if_any()
    found = {name: faults.gather(resolve_recipe, name, config.recipes) for name in config.quantizations}
    if "none" in config.imatrix:
        faults.found += [
            Fault(
                "--imatrix",
                "none",
                f"an importance matrix: {recipe.name} cannot be made without one",
                "Leave none out.",
            )
            for recipe in found.values()
            if recipe is not None and needs_imatrix(recipe)
        ]
    faults.stop_if_any()
    return {name: protected(_known(recipe), config.protection) for name, recipe in found.items()}


def with_canonical_types(config: PipelineConfig) -> PipelineConfig:
    """The configuration with llama-quantize's aliases (`q4_k`) in full (`q4_k_m`); unknown names stay as they are."""
    names = []
    for name in config.quantizations:
        with contextlib.suppress(BadInput):
            name = resolve_recipe(name, config.recipes).name
        names.append(name)
    return config.model_copy(update={"quantizations": tuple(dict.fromkeys(names))})


def predict_size(path: str, recipe: Recipe, *, with_imatrix: bool) -> int:
    """Bytes that a recipe makes of a model. Raises `BadInput` where the recipe does not fit it."""
    key, header = f"recipes.{recipe.name}", read_header(path)
    check_fit(header.tensors, recipe.overrides, key=key)
    kind = resolve_type(recipe.method)
    try:
        plan = plan_quantization(path, kind, with_imatrix=with_imatrix, overrides=recipe.overrides)
    except LlamaError as error:
        # Regular expressions are C++'s to read in the end.
        raise BadInput(Fault(key, recipe.identity, "a recipe that llama.cpp can carry out", str(error))) from error
    if recipe.budget is None:
        return plan.size_bytes
    # What a matrix covers is read where the arm is made; of embedding and output it rarely knows anything.
    known = {tensor.name for tensor in header.tensors if with_imatrix and tensor.name.startswith("blk.")}
    allotment = allot(plan, kind, recipe.overrides, recipe.budget, header, known)
    check_fits(allotment, recipe.budget)
    return allotment.file_bytes


def _predict_sizes(
    models: tuple[SourceModel, ...], recipes: Mapping[str, tuple[Recipe, ...]], imatrices: tuple[SourceImatrix, ...]
) -> dict[tuple[str, str, bool], int]:
    faults = _Faults()
    is_there = {source.name != "none" for source in imatrices}
    sizes: dict[tuple[str, str, bool], int] = {}
    for model in models:
        for made in recipes.values():
            for weighted in is_there if uses_imatrix(made[0]) else {False}:
                size = faults.gather(predict_size, model.path, made[0], with_imatrix=weighted)
                # A control is as large as what it controls.
                sizes |= {(model.name, recipe.name + recipe.suffix, weighted): size or 0 for recipe in made}
    faults.stop_if_any()
    return sizes


def _check_distinct(config: PipelineConfig) -> None:
    faults = []
    for key, names in (
        ("--model", [model.name for model in config.models]),
        ("--arm", [*config.quantizations, *(arm.name for arm in config.arms)]),
    ):
        faults += [
            Fault(key, name, "names that differ", "Give it a name of its own: NAME=PATH.")
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
    if faults:
        raise BadInput(faults)


def _check_reference(config: PipelineConfig, recipes: Mapping[str, tuple[Recipe, ...]]) -> None:
    if config.reference is None or not recipes:
        return
    prefixes = [f"{model.name}~" for model in config.models] if len(config.models) > 1 else [""]
    own = [recipe.name + recipe.suffix for made in recipes.values() for recipe in made]
    names = [f"{prefix}{recipe}" for prefix in prefixes for recipe in own]
    names += [arm.name for arm in config.arms]
    if config.reference not in names and config.reference not in own:
        raise BadInput(
            Fault(
                "--reference",
                config.reference,
                f"one of the arms ({', '.join(names)})",
                near_names(config.reference, names),
            )
        )


@dataclass(frozen=True)
class _Loaded:
    """What was read with one model's tokenizer."""

    benchmarks: tuple[PlannedBenchmark, ...]
    notices: tuple[str, ...]
    chat: Mapping[str, object]


def _load_benchmarks(
    config: PipelineConfig,
    model: SourceModel,
    wanted: tuple[Benchmark, ...],
    imatrices: tuple[SourceImatrix, ...],
    read: ReadText,
    *,
    chat: ChatSettings,
    compare_texts: bool,
    use_gpu: bool,
) -> _Loaded:
    """The benchmarks as this model's tokenizer sees them; the calibration texts are measured with it, too.

    `compare_texts`: whether to compare calibration texts and benchmarks, for once a plan is enough.
    """
    data_dir = config.data_dir.absolute() if config.data_dir else None
    faults = _Faults()
    notices: tuple[str, ...] | None = ()
    with Model(model.path, vocab_only=True) as vocabulary:
        loaded = [
            faults.gather(
                benchmarks.load,
                benchmark,
                data_dir=data_dir,
                sampling=config.sampling,
                vocabulary=vocabulary,
                limit=config.limit,
                system=chat.system,
                chat_template=chat.template,
            )
            for benchmark in wanted
        ]
        for source in imatrices:
            if source.texts:
                faults.gather(check_size, config, source, vocabulary, read)
        found = [data for data in loaded if data is not None]
        if compare_texts:
            allow = config.calibration.allow_overlap
            notices = faults.gather(check_overlap, imatrices, found, vocabulary, read, allow=allow)
        described = describe_chat(chat, vocabulary)
        planned = [
            faults.gather(_plan_benchmark, config, data, model, vocabulary, chat.template, use_gpu=use_gpu)
            for data in found
        ]
    faults.stop_if_any()
    return _Loaded(tuple(_known(one) for one in planned), _known(notices), described)


def _fork_notices(model: SourceModel) -> tuple[str, ...]:
    if can_fork(model.architecture):
        return ()
    return (f"{model.name} ({model.architecture}) keeps a memory that cannot be forked: every prompt is decoded anew.",)


def _plan_benchmark(
    config: PipelineConfig,
    data: BenchmarkData,
    model: SourceModel,
    vocabulary: Model,
    chat_template: str | None,
    *,
    use_gpu: bool,
) -> PlannedBenchmark:
    share = can_fork(model.architecture)
    cache = cache_for(config, data, model, vocabulary, chat_template, share=share, use_gpu=use_gpu)
    return PlannedBenchmark(
        name=data.name,
        version=data.version,
        kind=data.kind,
        metric=data.metric,
        higher_is_better=data.higher_is_better,
        items=data.items[: config.limit],
        n_items_total=len(data.items),
        data_hash=data.data_hash,
        scorer=data.scorer,
        shots=data.shots,
        title=data.title,
        source=data.source,
        sampled=benchmarks.is_sampled(data, config.sampling),
        sequences=cache.sequences,
        n_ctx=cache.n_ctx,
        kv_unified=cache.unified,
        share_prefixes=share,
        category=data.category,
    )


def check_pango() -> None:
    """Raise `BadInput` where the library that sets the documents' PDF is missing."""
    # Imported here and nowhere else in the jobs: it loads Pango at once, and only those who write documents need it.
    importlib.import_module("reporting.documents.scorecard")


def settings_of(config: PipelineConfig) -> Mapping[str, object]:
    """The settings that results and plan publish."""
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
