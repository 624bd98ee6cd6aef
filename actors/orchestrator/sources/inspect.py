"""Read everything that the user named, check it, and return the inputs of the plan.

This runs before Ray starts. It collects every fault and raises them together as one `BadInput`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from actors.evaluation import benchmarks
from actors.evaluation.contract import Benchmark, BenchmarkData
from actors.items import ChatSettings, TemplateUse
from actors.llama.memory import can_fork
from actors.llama.model import Model
from actors.machine import check_folder
from actors.nodes import NodeFacts
from actors.orchestrator.memory_limits import NO_LIMITS, MemoryLimits
from actors.orchestrator.placement.choose import groups_of
from actors.orchestrator.sources.addresses import is_endpoint
from actors.orchestrator.sources.arms import endpoint_arm, prompt_notices, source_arm, source_model
from actors.orchestrator.sources.calibration import check_overlap, check_size, source_imatrices
from actors.orchestrator.sources.chat import TemplateOwner, chat_settings, check_prompts, describe_chat, template_fault
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.inputs import (
    Inputs,
    PlannedBenchmark,
    SourceArm,
    SourceImatrix,
    SourceModel,
    TemplateUses,
)
from actors.orchestrator.sources.judges import find_judges, human_scores_sha256, judge_models, judge_notices
from actors.orchestrator.sources.kv_cache import CacheRoom, cache_room, caches_for
from actors.orchestrator.sources.models import fetch, find
from actors.orchestrator.sources.naming import (
    arm_of_given_file,
    check_names,
    check_references,
    described_by,
    owners_of_arms,
)
from actors.orchestrator.sources.recipes import predict_files, resolve_recipes
from actors.orchestrator.sources.reporter import Reporter
from actors.orchestrator.sources.thinking import template_key, template_uses, thinking_notices
from actors.orchestrator.sources.thinking_room import Budget, check_room, longest_thoughts
from actors.orchestrator.sources.weights import known_weights
from actors.quantization.calibration import ReadText, read_calibration
from actors.recipes import uses_imatrix
from actors.rendering import TemplateOverLimit
from conf.faults import BadInput, Fault, Faults, checked, near_names
from conf.schema.pipeline import PipelineConfig
from conf.tiers import resolve_tiers
from reporting.notices import Notice


def inspect(
    config: PipelineConfig,
    hashes: HashCache,
    reporter: Reporter,
    *,
    nodes: tuple[NodeFacts, ...],
    limits: MemoryLimits = NO_LIMITS,
) -> Inputs:
    """Read headers, vocabularies and data sets, and fetch and convert what is not on this machine yet.

    Args:
        hashes: known hashes of files; those that are computed here are added.
        reporter: shows the progress of downloads and conversions.
        nodes: the machines that may do the work.
        limits: how much memory the plan may fill.

    Raises:
        BadInput: with every fault found.
    """
    faults = Faults()
    # Each text is checked three times (readable, long enough, no overlap) but read once.
    read = functools.cache(read_calibration)
    recipes = faults.gather(resolve_recipes, config)
    faults.gather(check_names, config)
    faults.gather(check_references, config, recipes or {})
    files = [arm for arm in config.arms if not is_endpoint(arm.path)]
    endpoints = [faults.gather(endpoint_arm, arm, config.endpoints) for arm in config.arms if is_endpoint(arm.path)]
    found = [faults.gather(find, model.path, key="--model", is_model=True) for model in config.models]
    found += [faults.gather(find, arm.path, key="--arm", is_model=False) for arm in files]
    owners = faults.gather(owners_of_arms, config)
    wanted = recipes is None or any(uses_imatrix(recipe) for made in recipes.values() for recipe in made)
    imatrices = faults.gather(source_imatrices, config, hashes.sha256, read, reporter, wanted=wanted)
    chats = faults.gather(chat_settings, config)
    asked = faults.gather(benchmarks.find_benchmarks, config.benchmarks)
    if asked is not None:
        faults.gather(resolve_tiers, config.statistics, [asdict(one.spec) for one in asked])
    faults.gather(_check_scores, config, asked or ())
    found_judges = faults.gather(find_judges, config, asked or ())
    faults.gather(check_folder, config.storage, "--storage")
    faults.stop_if_any()
    # All cheap checks are done. What follows may take long.
    fetched = [fetch(checked(one), reporter) for one in found]
    described = [
        faults.gather(source_model, model.name, one.path, one.origin, hashes)
        for model, one in zip(config.models, fetched, strict=False)
    ]
    arms = [
        faults.gather(source_arm, arm.name, one.path, one.origin, hashes)
        for arm, one in zip(files, fetched[len(described) :], strict=True)
    ]
    judges = faults.gather(judge_models, checked(found_judges), config, hashes, reporter, nodes=nodes, limits=limits)
    faults.stop_if_any()
    models = tuple(described_by(entry, checked(model)) for entry, model in zip(config.models, described, strict=True))
    by_name = {arm.name: arm for arm in map(checked, [*arms, *endpoints])}
    found_arms = (
        *(arm_of_given_file(config, model, hashes) for model in models if config.is_taken_as_given(model.name)),
        *(replace(by_name[arm.name], model=checked(owners)[arm.name]) for arm in config.arms),
    )
    made = faults.gather(predict_files, config, models, checked(recipes), checked(imatrices))
    known = known_weights(models, found_arms, checked(judges), made or {})
    load_for = functools.partial(
        _load_benchmarks, config, wanted=checked(asked), imatrices=checked(imatrices), read=read
    )
    groups = groups_of(nodes, config.execution.gpus_per_worker)
    uses = template_uses(models, found_arms, checked(chats))
    systems = {name: one.chat.system for name, one in checked(chats).items()}
    arms_of = {model.name: _own(model, found_arms, models) for model in models}
    loaded = {
        model.name: faults.gather(
            load_for,
            model=model,
            chat=ChatSettings(systems.get(model.name), uses.models.get(model.name, TemplateUse())),
            uses=uses.of_files(model.name, arms_of[model.name]),
            thoughts=longest_thoughts(model.name, arms_of[model.name], uses, checked(chats)),
            compare_texts=model is models[0],
            room=cache_room(nodes, groups, known, model.name, arms_of[model.name]),
            limits=limits,
        )
        for model in models
    }
    of_arms = [
        faults.gather(
            _check_arm_prompts, arm, model, template_key(arm, model, checked(chats)), uses, loaded[model.name]
        )
        for arm, model in _with_owners(found_arms, models)
    ]
    faults.stop_if_any()
    return Inputs(
        models=tuple(replace(model, chat=checked(loaded[model.name]).chat) for model in models),
        arms=found_arms,
        imatrices=checked(imatrices),
        recipes=checked(recipes),
        benchmarks={name: checked(value).benchmarks for name, value in loaded.items()},
        predicted_bytes={name: file.size_bytes for name, file in checked(made).items()},
        nodes=nodes,
        known=known,
        limits=limits,
        notices=(
            *_notices(models, found_arms, checked(asked), list(map(checked, loaded.values())), map(checked, of_arms)),
            *thinking_notices(uses, checked(chats), checked(loaded[models[0].name]).benchmarks),
            *judge_notices(checked(found_judges), checked(judges), models),
        ),
        template_uses=uses,
        judges=checked(judges),
        human_scores_sha256=human_scores_sha256(config.judging),
    )


def _notices(
    models: Sequence[SourceModel],
    arms: Sequence[SourceArm],
    asked: Iterable[Benchmark],
    loaded: Sequence[_Loaded],
    of_arms: Iterable[tuple[str, ...]],
) -> tuple[str, ...]:
    """Return what people should know before the work begins.

    Args:
        loaded: what was read for each model.
        of_arms: notices about the prompts of each arm.
    """
    return (
        *loaded[0].notices,
        *(notice for one in loaded for notice in one.prompt_notices),
        *(notice for found in of_arms for notice in found),
        *(
            notice
            for arm, model in _with_owners(arms, models)
            if arm.endpoint is None and arm.path != model.path
            for notice in prompt_notices(arm, model)
        ),
        *_endpoint_notices(arms, asked),
        *(notice for model in models for notice in _fork_notices(model)),
    )


def _own(model: SourceModel, arms: Iterable[SourceArm], models: Sequence[SourceModel]) -> list[SourceArm]:
    """Return the arms that belong to a model."""
    return [arm for arm, owner in _with_owners(arms, models) if owner is model]


def _with_owners(arms: Iterable[SourceArm], models: Sequence[SourceModel]) -> list[tuple[SourceArm, SourceModel]]:
    """Return each existing arm with the model that it is a form of."""
    by_name = {model.name: model for model in models}
    return [(arm, by_name[str(arm.model)]) for arm in arms]


def _endpoint_notices(arms: Iterable[SourceArm], asked: Iterable[Benchmark]) -> list[str]:
    """Return a notice for each endpoint that cannot score some of the benchmarks."""
    without = [benchmark.spec.name for benchmark in asked if benchmark.spec.kind in ("choose", "measure")]
    return [
        Notice("no_likelihoods", arm=arm.name, benchmarks=without)
        for arm in arms
        if arm.endpoint is not None and without
    ]


def _check_scores(config: PipelineConfig, asked: Iterable[Benchmark]) -> None:
    """Check that each score that a verdict goes by is one that its benchmark has."""
    has_choices = {one.spec.name: one.spec.kind == "choose" and one.spec.metric != "nll" for one in asked}
    faults = Faults()
    for name, score in config.statistics.verdict_score.items() if has_choices else ():
        if name not in has_choices:
            allowed = f"one of {', '.join(has_choices)}"
            faults.add(Fault("statistics.verdict_score", name, allowed, near_names(name, has_choices)))
        elif score != "accuracy" and not has_choices[name]:
            step = f"Leave out {name}: its verdict goes by its own metric."
            allowed = "this score only for benchmarks whose choices are compared by likelihood"
            faults.add(Fault(f"statistics.verdict_score.{name}", score, allowed, step))
    faults.stop_if_any()


@dataclass(frozen=True)
class _Loaded:
    """What was read for one model, with its tokenizer."""

    benchmarks: tuple[PlannedBenchmark, ...]
    notices: tuple[str, ...]
    """About texts that overlap."""
    prompt_notices: tuple[str, ...]
    chat: Mapping[str, object]


def _load_benchmarks(
    config: PipelineConfig,
    *,
    model: SourceModel,
    wanted: tuple[Benchmark, ...],
    imatrices: tuple[SourceImatrix, ...],
    read: ReadText,
    chat: ChatSettings,
    uses: Sequence[TemplateUse | None],
    thoughts: Budget,
    compare_texts: bool,
    room: CacheRoom,
    limits: MemoryLimits,
) -> _Loaded:
    """Load the benchmarks for one model, and check the size of the calibration texts with its tokenizer.

    Args:
        chat: its chat settings.
        uses: how its arms use its chat template.
        thoughts: the largest budget of its arms. All arms get the same items, so the longest thoughts have room.
        compare_texts: True to compare calibration texts and benchmarks. Once per plan is enough.
    """
    faults = Faults()
    notices: tuple[str, ...] | None = ()
    widest = replace(chat, use=replace(chat.use, thinking_tokens=thoughts.tokens))
    with Model(model.path, vocab_only=True) as vocabulary:
        loaded = [faults.gather(_load_benchmark, config, model, benchmark, vocabulary, widest) for benchmark in wanted]
        for source in imatrices:
            if source.texts:
                faults.gather(check_size, config, source, vocabulary, read)
        found = [data for data in loaded if data is not None]
        if compare_texts:
            allow = config.calibration.allow_overlap
            notices = faults.gather(check_overlap, imatrices, found, vocabulary, read, allow=allow)
        limited = [data.limited(config.limit) for data in found]
        of_prompts = faults.gather(check_prompts, _owner(model), vocabulary, chat, limited)
        of_room = faults.gather(check_room, thoughts, limited, config.sampling, vocabulary, widest.use)
        described = describe_chat(chat, vocabulary)
        planned = [
            faults.gather(_plan_benchmark, config, data, model, vocabulary, uses, room=room, limits=limits)
            for data in found
        ]
    faults.stop_if_any()
    of_both = (*checked(of_prompts), *checked(of_room))
    return _Loaded(tuple(checked(one) for one in planned), checked(notices), of_both, described)


def _load_benchmark(
    config: PipelineConfig, model: SourceModel, benchmark: Benchmark, vocabulary: Model, chat: ChatSettings
) -> BenchmarkData:
    try:
        return benchmarks.load(
            benchmark,
            data_dir=config.data_dir.absolute() if config.data_dir else None,
            sampling=config.sampling,
            vocabulary=vocabulary,
            limit=config.limit,
            system=chat.system,
            chat_template=chat.use,
        )
    except TemplateOverLimit as error:
        what = f"The template cannot be used for {benchmark.spec.name}: {error}"
        raise BadInput(template_fault(_owner(model), model.path, chat, what)) from error


def _owner(model: SourceModel) -> TemplateOwner:
    return TemplateOwner("--model", model.name, f"chat.{model.name}.template")


def _check_arm_prompts(
    arm: SourceArm, model: SourceModel, key: str, uses: TemplateUses, loaded: _Loaded | None
) -> tuple[str, ...]:
    """Check the prompts that an existing GGUF makes with its own chat template, or the one under this key."""
    if arm.endpoint is not None or loaded is None or arm.path == model.path:
        return ()
    with Model(arm.path, vocab_only=True) as vocabulary:
        owner = TemplateOwner("--arm", arm.name, key)
        chat = ChatSettings(use=uses.arms.get(arm.name, TemplateUse()))
        return check_prompts(owner, vocabulary, chat, [one.data for one in loaded.benchmarks])


def _fork_notices(model: SourceModel) -> tuple[str, ...]:
    if can_fork(model.architecture):
        return ()
    return (Notice("memory_not_forked", model=model.name, architecture=model.architecture),)


def _plan_benchmark(
    config: PipelineConfig,
    data: BenchmarkData,
    model: SourceModel,
    vocabulary: Model,
    uses: Sequence[TemplateUse | None],
    *,
    room: CacheRoom,
    limits: MemoryLimits,
) -> PlannedBenchmark:
    share = can_fork(model.architecture)
    cache, smaller = caches_for(config, data, model, vocabulary, uses, share=share, room=room, limits=limits)
    return PlannedBenchmark(
        data=data.limited(config.limit),
        sampled=benchmarks.is_sampled(data.spec, config.sampling, data.items),
        cache=cache,
        share_prefixes=share,
        smaller_caches=smaller,
    )
