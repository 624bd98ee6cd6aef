"""Where models run: vectors of real models and cards, worked by hand where a comment says so, and properties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.llama.device_list import RPC_KIND
from actors.llama.devices import DeviceUse
from actors.llama.layout import EngineLayout
from actors.nodes import NodeFacts
from actors.orchestrator.placed import Placed
from actors.orchestrator.placement.cells import cell_limits
from actors.orchestrator.placement.choose import (
    PROCESS_BYTES,
    USABLE_SHARE,
    Load,
    best_fit,
    check_wanted,
    groups_of,
    place_on_devices,
    place_on_host,
)
from actors.orchestrator.placement.memory import Need, need_of
from actors.orchestrator.placement.one_kind import fit_together
from conf.faults import BadInput
from tests.orchestrator.device_nodes import GIB, known_of, node

LAYOUT = EngineLayout(2, 32, 2048, 512, 8704, kv_unified=True, flash_attention=True, gpu_layers=0)
ROOT = Path(__file__).parents[2]
KINDS = ("f16", "q8_0", "q4_k_m")
KNOWN = {model: known_of(model) for model in ("8B", "32B", "70B", "8x7B")}


def load_of(model: str, kind: str, cells: int = 8704) -> Load:
    shape, weights = KNOWN[model]
    return Load(kind, (need_of(shape, weights[kind], replace(LAYOUT, n_ctx=cells)),), threads=2)


def place(load: Load, *nodes: NodeFacts, wanted: float | None = None) -> Placed | None:
    groups = groups_of(nodes, wanted)
    fit = best_fit(groups, load)
    return None if fit is None else place_on_devices(fit, load, groups)


def asks(load: Load, *nodes: NodeFacts) -> str:
    """Return what a worker asks for, as `2`, `1/3`, or `2 (45 layers)`."""
    placed = place(load, *nodes)
    if placed is None:
        return "-"
    share = {0.5: "1/2", 0.3333: "1/3", 0.25: "1/4"}.get(placed.gpus, f"{placed.gpus:g}")
    return share if placed.gpu_layers == -1 else f"{share} ({placed.gpu_layers} layers)"


@pytest.mark.parametrize(
    ("model", "kind", "cells", "on"),
    [
        # 16.1 GB of weights and 1.1 GB of cache: one card of 24 GiB, and half of one of 48 would be 23.8 GiB.
        ("8B", "f16", 8704, {24: "1", 48: "1/2", 80: "1/4", 141: "1/4"}),
        ("8B", "q8_0", 8704, {24: "1/2", 48: "1/4", 80: "1/4", 141: "1/4"}),
        ("8B", "q4_k_m", 8704, {24: "1/3", 48: "1/4", 80: "1/4", 141: "1/4"}),
        # 65.5 GB: three cards of 24 GiB, two of 48, one of 80, half of one of 141 (usable: 133.9 GiB).
        ("32B", "f16", 8704, {24: "3", 48: "2", 80: "1", 141: "1/2"}),
        ("32B", "q8_0", 8704, {24: "2", 48: "1", 80: "1/2", 141: "1/3"}),
        ("32B", "q4_k_m", 8704, {24: "1", 48: "1/2", 80: "1/3", 141: "1/4"}),
        # 141.1 GB, of which 2.1 GB of embeddings stay on the host. 139.0 + 2.9 GB of cache: 7 cards of 24 GiB (22.0 GiB
        # usable each, and the fullest has 12 of 81 layers: 19.5 GiB), 2 of 80 (41 layers: 66.7 GiB), 1 of 141.
        ("70B", "f16", 8704, {24: "7", 48: "3", 80: "2", 141: "1"}),
        ("70B", "q8_0", 8704, {24: "4", 48: "2", 80: "1", 141: "1"}),
        ("70B", "q4_k_m", 8704, {24: "2", 48: "1", 80: "1", 141: "1/3"}),
        # 22.8 GB of cache, as 8-shot GSM8K with 32 sequences takes: one card more.
        ("70B", "f16", 69_632, {24: "8", 48: "4", 80: "3", 141: "2"}),
        ("70B", "q4_k_m", 69_632, {24: "3", 48: "2", 80: "1", 141: "1/2"}),
        # All experts are in memory: 93.4 GB in f16.
        ("8x7B", "f16", 8704, {24: "5", 48: "3", 80: "2", 141: "1"}),
        ("8x7B", "q4_k_m", 8704, {24: "2", 48: "1", 80: "1/2", 141: "1/4"}),
    ],
)
def test_a_model_takes_the_fewest_cards_that_hold_it(model: str, kind: str, cells: int, on: dict[int, str]) -> None:
    load = load_of(model, kind, cells)
    assert {gib: asks(load, node(8, gib)) for gib in on} == on


def test_what_does_not_fit_whole_has_some_layers_on_the_host() -> None:
    # Usable: 81.6 GB, without the process 80.8. The output (2.10 GB) and 44 layers with their cache (1.747 GB each)
    # take 79.0 GB, and buffers 0.3.
    assert asks(load_of("70B", "f16"), node(1, 80)) == "1 (45 layers)"
    placed = place(load_of("70B", "f16"), node(1, 80))
    assert placed is not None
    assert placed.devices == DeviceUse("H100", 1, "none")
    assert placed.host.weights_bytes + placed.device.weights_bytes == KNOWN["70B"][1]["f16"].total_bytes
    # Not on a machine whose memory does not hold the rest: 63 GiB of weights.
    assert place(load_of("70B", "f16"), node(1, 80, memory_gib=40)) is None


def test_several_cards_share_a_model_by_layers() -> None:
    placed = place(load_of("70B", "f16"), node(8, 80))
    assert placed is not None
    assert (placed.gpus, placed.devices, placed.gpu_layers) == (2.0, DeviceUse("H100", 2, "layer"), -1)
    # The host keeps the embeddings; the rest of its memory is buffers of the worker.
    assert placed.host.weights_bytes == 2 * 128_256 * 8192
    assert placed.host.total_bytes < 4 * GIB


def test_weights_on_cards_take_no_memory_of_the_host() -> None:
    # 141 GB on a machine with 16 GiB for Ray.
    assert asks(load_of("70B", "f16"), node(8, 80, memory_gib=16)) == "2"


def inside_processor(machine: NodeFacts) -> NodeFacts:
    return replace(machine, devices=tuple(replace(one, shares_host=True) for one in machine.devices))


def test_a_device_inside_the_processor_takes_memory_of_the_host() -> None:
    # 8.5 GB of weights, 1.1 of cache. The driver says that all of a machine's memory is the device's.
    load, card = load_of("8B", "q8_0"), node(1, 24, backend="Vulkan", memory_gib=20)
    placed = place(load, inside_processor(card))
    assert placed is not None and placed.gpu_layers == -1
    assert placed.node_bytes == placed.host.total_bytes + placed.device.total_bytes > 9e9
    beside = place(load, card)
    assert beside is not None and beside.node_bytes == beside.host.total_bytes < 4 * GIB
    # With 10 GiB to give away, a card of its own holds it, and a device inside the processor does not.
    small = replace(card, memory_bytes=10.0 * GIB)
    assert place(load, small) is not None
    assert place(load, inside_processor(small)) is None


def test_devices_that_ray_does_not_count_one_by_one_are_given_together() -> None:
    vulkan = replace(node(2, 24, backend="Vulkan"), gpus=1.0)
    placed = place(load_of("8B", "q4_k_m"), vulkan)
    assert placed is not None
    assert (placed.gpus, placed.devices) == (1.0, DeviceUse("H100", 1, "none"))
    assert place(load_of("8B", "q4_k_m"), replace(vulkan, gpus=0.0)) is None
    mixed = replace(node(2, 24), devices=(*node(1, 24).devices, *node(1, 80, kind="A100").devices))
    placed = place(load_of("8B", "q4_k_m"), mixed)
    assert placed is not None
    assert placed.gpus == 2.0


def test_the_devices_of_rpc_servers_are_given_together() -> None:
    servers = node(2, 24, kind=RPC_KIND, backend="RPC")
    placed = place(load_of("8B", "q4_k_m"), servers)
    assert placed is not None and placed.devices is not None
    assert (placed.gpus, placed.devices.count) == (2.0, 1)
    for wanted in (1, 2):
        placed = place(load_of("8B", "q4_k_m"), servers, wanted=wanted)
        assert placed is not None and placed.devices is not None
        assert (placed.gpus, placed.devices.count) == (2.0, wanted)


def test_the_user_may_say_how_many_gpus_a_worker_gets() -> None:
    for wanted, gpus, count in ((0.25, 0.25, 1), (1.0, 1.0, 1), (2.0, 2.0, 2)):
        placed = place(load_of("8B", "q4_k_m"), node(8, 24), wanted=wanted)
        assert placed is not None and placed.devices is not None
        assert (placed.gpus, placed.devices.count) == (gpus, count)


LARGE, SMALL = node(2, 80, name="large", kind="A100"), node(8, 24, name="small", kind="L4")


def test_all_arms_of_a_comparison_are_on_one_kind() -> None:
    loads = {kind: load_of("32B", kind) for kind in ("f16", "q4_k_m")}
    fits = fit_together([LARGE, SMALL], groups_of([LARGE, SMALL]), loads)
    # Both kinds hold both arms. The eight small cards have more memory together, but three of them would take turns.
    assert {fit.group.kind for fit in fits.values()} == {"A100"}
    assert [fits[name].count for name in loads] == [1, 1]
    # Three small cards do not hold 70B in q8_0 (75 GB, and 27 GB of cache).
    loads = {kind: load_of("70B", kind, 81_920) for kind in ("q8_0", "q4_k_m")}
    few = node(3, 24, name="small", kind="L4")
    fits = fit_together([LARGE, few], groups_of([LARGE, few]), loads)
    assert {fit.group.kind for fit in fits.values()} == {"A100"}


def test_a_worker_is_kept_to_nodes_of_its_kind() -> None:
    load = load_of("8B", "q4_k_m")
    groups = groups_of([SMALL, LARGE])
    fit = best_fit([groups[0]], load)
    assert fit is not None
    placed = place_on_devices(fit, load, groups)
    assert (placed.accelerator_type, placed.nodes) == (None, frozenset({"small"}))
    labelled = groups_of([replace(SMALL, accelerator_type="L4"), replace(LARGE, accelerator_type="A100")])
    fit = best_fit([labelled[0]], load)
    assert fit is not None
    placed = place_on_devices(fit, load, labelled)
    assert (placed.accelerator_type, placed.nodes) == ("L4", None)
    # With one kind only, Ray's own count is enough.
    assert place_on_devices(fit, load, labelled[:1]).nodes is None


def test_what_fits_nowhere_is_refused_with_what_it_needs() -> None:
    nodes = [node(1, 80, memory_gib=32)]
    with pytest.raises(BadInput) as raised:
        fit_together(nodes, groups_of(nodes), {"f16": load_of("70B", "f16")})
    message = str(raised.value)
    assert "f16 with 131.4 GiB of weights" in message
    assert "2 x 80 GiB" in message
    assert "at most 1 x 80 GiB (H100) and 45.7 GiB of memory" in message
    assert "q8_0" in message


def test_a_cache_gets_what_the_weights_leave() -> None:
    shape, weights = KNOWN["70B"]
    limits = cell_limits(groups_of([node(2, 80)]), shape, weights["f16"], LAYOUT)
    # One card does not hold the weights. On two, 41 of 80 layers of 1.711 GB leave (80.80 - 70.17 - 0.30) GB, and the
    # inputs of four parts of a batch take 0.3 GB: 10.0 GB / (41 x 4 KiB) = 59,500 cells.
    assert len(limits) == 1
    assert limits[0] == pytest.approx(59_400, rel=0.01)
    assert asks(load_of("70B", "f16", limits[0]), node(2, 80)) == "2"
    assert asks(load_of("70B", "f16", limits[0] + 256), node(2, 80)) != "2"
    assert cell_limits(groups_of([node(1, 24)]), shape, weights["f16"], LAYOUT) == []
    assert cell_limits([], shape, weights["f16"], LAYOUT) == []
    # The node with the most room counts, and the number of cards that the user wants.
    both = groups_of([node(2, 80, name="a"), node(4, 48, name="b", kind="L40")])
    # Four cards of 48 GiB: 21 of 81 layers leave 48.16 - 35.94 - 0.28 - 0.07 GB of one. A cell takes 21 x 4 KiB there,
    # 1 KiB of the mask, and 4 KiB of its copies: 130,300 cells.
    assert max(cell_limits(both, shape, weights["f16"], LAYOUT)) == pytest.approx(130_300, rel=0.003)
    assert cell_limits(groups_of([node(8, 80)], 2.0), shape, weights["f16"], LAYOUT) == limits


needs = st.builds(
    lambda layers, per_layer, kv, output, compute, embedding: Need(
        embedding, (*[per_layer] * layers, output), (*[kv] * layers, 0), compute, 2**20
    ),
    st.integers(1, 90),
    st.integers(2**20, 2 * GIB),
    st.integers(0, GIB // 8),
    st.integers(2**20, 2 * GIB),
    st.integers(2**20, GIB),
    st.integers(0, 2 * GIB),
)
cards = st.integers(0, 8)
sizes = st.sampled_from([8, 24, 48, 80, 141])


@given(st.lists(needs, min_size=1, max_size=3), cards, sizes, st.integers(1, 1024), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_device_and_no_host_is_ever_over_its_memory(
    models: list[Need], count: int, gib: int, memory_gib: int, shares_host: bool
) -> None:
    load, machine = Load("x", tuple(models), 2), node(count, gib, memory_gib=memory_gib)
    machine = inside_processor(machine) if shares_host else machine
    groups = groups_of([machine])
    fit = best_fit(groups, load)
    if fit is None:
        return
    placed = place_on_devices(fit, load, groups)
    assert placed.devices is not None
    assert placed.devices.count <= fit.count <= count
    usable = USABLE_SHARE * gib * GIB
    fullest = sum(one.fullest_device(n, fit.count) for one, n in zip(models, fit.layers, strict=True)) + PROCESS_BYTES
    workers_on_card = 1 if placed.gpus >= 1 else int(1 / placed.gpus)
    assert workers_on_card * fullest <= usable
    assert placed.device.total_bytes <= fit.count * usable
    assert placed.node_bytes <= memory_gib * GIB / (1.0 if shares_host else 0.7)
    assert placed.device.weights_bytes + placed.host.weights_bytes == sum(
        one.input_bytes + sum(one.weight_bytes) for one in models
    )


@given(needs, cards, sizes, st.integers(1, 512))
@settings(max_examples=150, deadline=None)
def test_one_more_device_never_makes_it_worse(model: Need, count: int, gib: int, memory_gib: int) -> None:
    load = Load("x", (model,), 2)
    before = place(load, node(count, gib, memory_gib=memory_gib))
    after = place(load, node(count + 1, gib, memory_gib=memory_gib))
    if before is None:
        return
    assert after is not None
    whole_before, whole_after = before.gpu_layers == -1, after.gpu_layers == -1
    assert whole_after or not whole_before
    if whole_before:
        assert (count + 1) // after.gpus >= count // before.gpus
    elif not whole_after:
        assert after.gpu_layers >= before.gpu_layers


@given(st.lists(needs, min_size=1, max_size=3), st.lists(st.tuples(cards, sizes), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_every_arm_is_placed_or_refused_with_a_reason(models: list[Need], machines: list[tuple[int, int]]) -> None:
    nodes = [
        node(count, gib, name=f"n{number}", kind=f"{gib} GB", memory_gib=64)
        for number, (count, gib) in enumerate(machines)
    ]
    loads = {f"arm{number}": Load(f"arm{number}", (model,), 2) for number, model in enumerate(models)}
    try:
        fits = fit_together(nodes, groups_of(nodes), loads)
    except BadInput as error:
        assert all("GiB" in fault.allowed and fault.next_step for fault in error.faults)
        return
    assert set(fits) == set(loads) or not fits
    assert len({fit.group.kind for fit in fits.values()}) <= 1
    if not fits:
        assert all(place_on_host(nodes, load) for load in loads.values())


@pytest.mark.parametrize("page", ["README.md", "README.ja.md", "conf/docs/gpus.md"])
def test_the_pages_show_what_is_planned(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    models = [model for model in KNOWN if f"| {model} |" in text]
    assert models[:3] == ["8B", "32B", "70B"]
    for model in models:
        cells = [" / ".join(asks(load_of(model, kind), node(8, gib)) for kind in KINDS) for gib in (24, 48, 80, 141)]
        row = " | ".join(cells).replace("1/2", "½").replace("1/3", "⅓").replace("1/4", "¼")
        assert f"| {model} | {row} |" in text


def test_more_gpus_per_worker_than_any_node_has_are_refused() -> None:
    nodes = [node(2, 24, name="a"), node(4, 80, name="b", kind="A100"), node(0, 0, name="c")]
    for wanted in (None, 0.5, 1.0, 4.0):
        check_wanted(nodes, wanted)
    with pytest.raises(BadInput) as refused:
        check_wanted(nodes, 5.0)
    (fault,) = refused.value.faults
    assert (fault.key, fault.got) == ("execution.gpus_per_worker", 5)
    assert "at most 4: no node has more (4 x A100 on b)" in str(fault) and "leave it out" in str(fault)
    with pytest.raises(BadInput, match="no node has a GPU"):
        check_wanted(nodes[2:], 0.5)
    # Devices that Ray gives away alone count as far as it knows of them.
    with pytest.raises(BadInput, match="at most 1"):
        check_wanted([replace(nodes[0], gpus=1.0)], 2.0)
