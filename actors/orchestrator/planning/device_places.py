"""Where each arm is decoded: on which devices in its own blocks, and on which beside its reference in a pass. Pure.

All arms of a model are on devices of one kind. In a pass every model is split over all devices of the worker, so that
the memory of each is used alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from actors.llama.layout import EngineLayout
from actors.orchestrator.placed import Placed
from actors.orchestrator.placement.choose import Fit, Group, Load, groups_of, place_on_devices
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
    notices: list[str] = field(default_factory=list)
    """What people should know: which arms are slow, because they do not fit on devices."""

    def on_devices(self, layout: EngineLayout, arm: PlannedArm, benchmark: PlannedBenchmark) -> EngineLayout:
        """Return a layout of the CPU with the devices on which the arm decodes the benchmark."""
        reference = arm.reference or arm.name
        if arm.name in self.needs and reference in self.passes and is_measured(benchmark):
            fit = self.passes[reference]
            layers = self._layers(reference, arm.name)
            whole = layers == self.needs[arm.name].n_layers
            return replace(layout, gpu_layers=-1 if whole else layers, devices=fit.use(layers))
        return self.alone(layout, arm.name)

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


def layout_of(config: PipelineConfig, places: ArmPlaces, arm: PlannedArm, benchmark: PlannedBenchmark) -> EngineLayout:
    """Return the layout in which an arm decodes a benchmark, where it decodes it."""
    return places.on_devices(host_layout(config, arm, benchmark), arm, benchmark)


def is_measured(benchmark: PlannedBenchmark) -> bool:
    """Return whether arms are decoded beside their reference on this benchmark."""
    return benchmark.spec.kind == "measure"


def place_arms(config: PipelineConfig, inputs: Inputs, arms: Sequence[PlannedArm]) -> ArmPlaces:
    """Decide where all arms are decoded.

    Raises:
        BadInput: with every arm that fits on no machine.
    """
    groups = groups_of(inputs.nodes, config.execution.gpus_per_worker)
    places, faults = ArmPlaces(groups, config.layout.threads), Faults()
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
        in_pass = _needs(config, inputs, arm, [one for one in _benchmarks(inputs, arm) if is_measured(one)])
        alone = _needs(config, inputs, arm, [one for one in _benchmarks(inputs, arm) if not is_measured(one)])
        if with_reference and in_pass:
            beside[arm.name] = widest(in_pass)
        own = alone if with_reference and alone else [*alone, *in_pass]
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
    places.notices += _notices(fits, loads | together)
    places.own |= {name: place_on_devices(fits[name], load, places.groups) for name, load in loads.items()}
    places.passes |= {name: fits[f"{name} and {pair}"] for name, pair in pairs.items()}
    places.needs |= beside


def _notices(fits: Mapping[str, Fit], loads: Mapping[str, Load]) -> Iterator[str]:
    """Yield a notice for each load that lies partly on the host."""
    for name, fit in fits.items():
        whole = loads[name].all_layers
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


def _needs(
    config: PipelineConfig, inputs: Inputs, arm: PlannedArm, benchmarks: Iterable[PlannedBenchmark]
) -> list[Need]:
    assert arm.weights is not None
    shape = inputs.known.shapes[arm.model]
    return [need_of(shape, arm.weights, host_layout(config, arm, one)) for one in benchmarks]
