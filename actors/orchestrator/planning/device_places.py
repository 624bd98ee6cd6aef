"""Where each arm is decoded: on which devices in its own blocks, and on which beside its reference in a pass. Pure.

All arms of a model are on devices of one kind. In a pass every model is split over all devices of the worker, so that
the memory of each is used alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from actors.llama.layout import EngineLayout
from actors.orchestrator.memory_limits import Loaded
from actors.orchestrator.placed import Placed
from actors.orchestrator.placement.choose import Fit, Group, Load, groups_of, limited, place_on_devices
from actors.orchestrator.placement.memory import Need, need_of, widest
from actors.orchestrator.placement.one_kind import fit_together
from actors.orchestrator.plan import PlannedArm
from actors.orchestrator.planning.layouts import host_layout
from actors.orchestrator.sources.inputs import Inputs, PlannedBenchmark
from conf.faults import Faults
from conf.schema.pipeline import PipelineConfig
from reporting.notices import Notice

CROWDED_SHARE = 0.85
"""Share of a device's memory that should be free at the start."""


@dataclass(frozen=True)
class SmallerPass:
    """A pass of one arm and its reference that may fill less memory than others."""

    fit: Fit
    """Its layers are those of the reference, and those of the arm."""
    placed: Placed


@dataclass
class ArmPlaces:
    """The places of all arms that are decoded on devices. An arm that is not here is decoded on the CPU."""

    groups: tuple[Group, ...] = ()
    threads: int = 1
    own: dict[str, Placed] = field(default_factory=dict)
    """By arm: for all blocks that are not of a pass."""
    passes: dict[str, Fit] = field(default_factory=dict)
    """By reference: how it and the largest arm beside it lie on the devices of a worker."""
    needs: dict[str, Need] = field(default_factory=dict)
    """By arm: what it takes in a pass."""
    own_passes: frozenset[str] = frozenset()
    """Arms for which memory was short in a pass. Each has passes of its own, with its reference only."""
    smaller: dict[str, SmallerPass] = field(default_factory=dict)
    """The same arms: where those passes are. One that is not here has them on the CPU."""
    notices: list[str] = field(default_factory=list)
    """What people should know: which arms are slow, because they do not fit on devices."""

    def on_devices(self, layout: EngineLayout, arm: PlannedArm, pass_of: str | None) -> EngineLayout:
        """Return a layout of the CPU with the devices on which the arm is decoded. `pass_of`: see `layout_of`."""
        reference = arm.reference or arm.name
        if pass_of is None or arm.name not in self.needs or reference not in self.passes:
            return self.alone(layout, arm.name)
        if pass_of in self.own_passes:
            if pass_of not in self.smaller:
                return layout
            fit = self.smaller[pass_of].fit
            layers = fit.layers[0 if arm.name == reference else -1]
        else:
            fit, layers = self.passes[reference], self._layers(reference, arm.name)
        whole = layers == self.needs[arm.name].n_layers
        return replace(layout, gpu_layers=-1 if whole else layers, devices=fit.use(layers))

    def alone(self, layout: EngineLayout, arm: str) -> EngineLayout:
        """Return a layout with the devices on which the arm is decoded when no other model is loaded."""
        placed = self.own.get(arm)
        if placed is None:
            return layout
        return replace(layout, gpu_layers=placed.gpu_layers, devices=placed.devices)

    def holds(self, reference: str, arms: Sequence[str]) -> bool | None:
        """Return whether one worker can hold a reference and these arms. None: it does not run on devices."""
        if reference not in self.passes:
            return None
        fit, load = self._of_pass(reference, arms)
        return load.on_each(fit.layers, fit.count) <= fit.group.device_bytes

    def of_pass(self, reference: str, arms: Sequence[str]) -> Placed | None:
        """Return the place of a worker that holds a reference and these arms. None: it does not run on devices."""
        if reference not in self.passes:
            return None
        if self.own_passes.intersection(arms):
            (arm,) = set(arms)
            return self.smaller[arm].placed if arm in self.smaller else None
        fit, load = self._of_pass(reference, arms)
        return place_on_devices(fit, load, self.groups)

    def _of_pass(self, reference: str, arms: Sequence[str]) -> tuple[Fit, Load]:
        names, fit = [reference, *(arm for arm in arms if arm != reference)], self.passes[reference]
        load = Load(reference, tuple(self.needs[name] for name in names), self.threads)
        return replace(fit, layers=tuple(self._layers(reference, name) for name in names)), load

    def _layers(self, reference: str, arm: str) -> int:
        """Return how many layers of an arm are on devices in a pass: the same share of them as of the reference."""
        of_reference, own = self.needs[reference].n_layers, self.needs[arm].n_layers
        layers = self.passes[reference].layers[0]
        return own if layers == of_reference else max(1, own * layers // of_reference)


def layout_of(
    config: PipelineConfig,
    places: ArmPlaces,
    arm: PlannedArm,
    benchmark: PlannedBenchmark,
    pass_of: str | None = None,
) -> EngineLayout:
    """Return the layout in which an arm decodes a benchmark, where it decodes it.

    Args:
        pass_of: the arm for which the pass is, if it is decoded in one: itself, or an arm beside its reference.
    """
    return places.on_devices(host_layout(config, arm, benchmark, pass_of), arm, pass_of)


def is_measured(benchmark: PlannedBenchmark) -> bool:
    """Return whether arms are decoded beside their reference on this benchmark."""
    return benchmark.spec.kind == "measure"


def place_arms(config: PipelineConfig, inputs: Inputs, arms: Sequence[PlannedArm]) -> ArmPlaces:
    """Decide where all arms are decoded.

    Raises:
        BadInput: with every arm that fits on no machine.
    """
    groups = groups_of(inputs.nodes, config.execution.gpus_per_worker)
    own_passes = frozenset(loaded.name for loaded in inputs.limits.limited("passes"))
    places, faults = ArmPlaces(groups, config.layout.threads, own_passes=own_passes), Faults()
    for model in dict.fromkeys(arm.model for arm in arms) if groups else ():
        own = [arm for arm in arms if arm.model == model and arm.weights is not None]
        if model in inputs.known.shapes:
            faults.gather(_place_model, config, inputs, places, own)
    faults.stop_if_any()
    places.notices += _crowded(groups)
    return places


def _crowded(groups: Iterable[Group]) -> Iterator[str]:
    """Yield a notice for each node on whose devices other programs have taken memory that is planned with."""
    for group in groups:
        devices = [one for one in group.node.devices if one.description == group.kind]
        free, total = min((one.free_bytes, one.total_bytes) for one in devices)
        if free < CROWDED_SHARE * total:
            yield Notice(
                "crowded_devices",
                host=group.node.host,
                kind=group.kind,
                free=f"{free / 2**30:.1f}",
                total=f"{total / 2**30:.1f}",
            )


def _place_model(config: PipelineConfig, inputs: Inputs, places: ArmPlaces, arms: Sequence[PlannedArm]) -> None:
    """Add the places of the arms of one model."""
    references = {arm.reference for arm in arms if arm.reference in [one.name for one in arms]}
    beside: dict[str, Need] = {}
    loads: dict[str, Load] = {}
    for arm in arms:
        with_reference = arm.name in references or arm.reference in references
        benchmarks = _without_limits(_benchmarks(inputs, arm))
        in_pass = _needs(config, inputs, arm, [one for one in benchmarks if is_measured(one)])
        alone = _needs(config, inputs, arm, [one for one in benchmarks if not is_measured(one)])
        if with_reference and in_pass:
            beside[arm.name] = widest(in_pass)
        own = alone if with_reference and alone else [*alone, *in_pass]  # as `_decoded`
        if own:
            loads[arm.name] = Load(arm.name, (widest(own),), places.threads)
    pairs = {reference: _largest_pair(reference, arms, beside) for reference in references & beside.keys()}
    together = {
        f"{name} and {pair}": Load(f"{name} and {pair}", (beside[name], beside[pair]), places.threads)
        for name, pair in pairs.items()
    }
    fits = fit_together(inputs.nodes, places.groups, loads | together)
    if not fits:
        places.notices.append(Notice("no_layer_on_devices", arms=[arm.name for arm in arms]))
        return
    limited_arms, limited_passes = ({one.name for one in inputs.limits.limited(kind)} for kind in ("arms", "passes"))
    places.notices += _notices(fits, {name: load for name, load in loads.items() if name not in limited_arms})
    # Within a limit of its own, a pass lies elsewhere, and has a notice of its own.
    unlimited = [f"{name} and {pair}" for name, pair in pairs.items() if pair not in limited_passes]
    places.notices += _notices(fits, {name: together[name] for name in unlimited})
    places.own |= {name: place_on_devices(fits[name], load, places.groups) for name, load in loads.items()}
    places.passes |= {name: fits[f"{name} and {pair}"] for name, pair in pairs.items()}
    places.needs |= beside
    kind = next(iter(fits.values())).group.kind
    for loaded in inputs.limits.limited("arms", "passes"):
        _place_limited(config, inputs, places, {arm.name: arm for arm in arms}, kind, loaded)


def _place_limited(
    config: PipelineConfig,
    inputs: Inputs,
    places: ArmPlaces,
    arms: Mapping[str, PlannedArm],
    kind: str,
    loaded: Loaded,
) -> None:
    """Place an arm, or its pass, anew within its own limit: with fewer layers on devices, on more of them, or on none.

    Devices of another kind are not taken, because it is compared with arms on devices of this kind.
    """
    in_pass, arm = loaded.kind == "passes", arms.get(loaded.name)
    if arm is None or arm.name not in (places.needs if in_pass else places.own):
        return
    models = [arms[name] for name in dict.fromkeys((arm.reference or arm.name, arm.name) if in_pass else (arm.name,))]
    pass_of = arm.name if in_pass else None
    needs = [
        widest(_needs(config, inputs, one, _decoded(inputs, one, places, in_pass=in_pass), pass_of)) for one in models
    ]
    told = Notice("in_text_benchmarks", arm=arm.name) if in_pass else arm.name
    load = Load(" and ".join(one.name for one in models), tuple(needs), places.threads)
    groups = limited(places.groups, inputs.limits.part_of(loaded))
    fits = fit_together(inputs.nodes, [group for group in groups if group.kind == kind], {load.name: load})
    if not fits:
        places.notices.append(Notice("no_layer_on_devices", arms=[told]))
        if not in_pass:
            del places.own[arm.name]
        return
    placed = place_on_devices(fits[load.name], load, groups)
    if in_pass:
        places.smaller[arm.name] = SmallerPass(fits[load.name], placed)
    else:
        places.own[arm.name] = placed
    places.notices += _notices({told: fits[load.name]}, {told: load})


def _notices(fits: Mapping[str, Fit], loads: Mapping[str, Load]) -> Iterator[str]:
    """Yield a notice for each load that lies partly on the host."""
    for name, load in loads.items():
        fit, whole = fits[name], load.all_layers
        if fit.layers != whole:
            yield Notice(
                "partly_on_devices",
                load=name,
                layers=fit.layers[0],
                all_layers=whole[0],
                n_devices=fit.count,
                kind=fit.group.kind,
            )


def _largest_pair(reference: str, arms: Iterable[PlannedArm], beside: dict[str, Need]) -> str:
    """Return the arm that takes most beside its reference."""
    own = [arm.name for arm in arms if arm.reference == reference]
    return max(own, key=lambda name: sum(beside[name].weight_bytes))


def _benchmarks(inputs: Inputs, arm: PlannedArm) -> list[PlannedBenchmark]:
    return [one for one in inputs.benchmarks[arm.model] if not (arm.is_aa and one.sampled)]


def _decoded(inputs: Inputs, arm: PlannedArm, places: ArmPlaces, *, in_pass: bool) -> list[PlannedBenchmark]:
    """Return the benchmarks that an arm decodes in passes, or those that it decodes alone.

    If it decodes none alone, all count: its self-check and its speed are measured alone in any case.
    """
    own = _benchmarks(inputs, arm)
    alone = [one for one in own if arm.name not in places.needs or not is_measured(one)] or own
    return [one for one in own if is_measured(one)] if in_pass else alone


def _needs(
    config: PipelineConfig,
    inputs: Inputs,
    arm: PlannedArm,
    benchmarks: Iterable[PlannedBenchmark],
    pass_of: str | None = None,
) -> list[Need]:
    assert arm.weights is not None
    shape = inputs.known.shapes[arm.model]
    return [need_of(shape, arm.weights, host_layout(config, arm, one, pass_of)) for one in benchmarks]


def _without_limits(benchmarks: Iterable[PlannedBenchmark]) -> list[PlannedBenchmark]:
    """Return benchmarks with the caches that they have without any limit: no limit moves the other arms."""
    return [replace(one, smaller_caches={}) for one in benchmarks]
