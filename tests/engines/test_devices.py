"""Models on devices: split over two of them, on one, partly on one, and on one that is too small.

The devices are RPC servers (`tests.rpc_servers`). They compute with the processor, so results can be compared closely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.llama.devices import DeviceUse, SplitMode
from actors.llama.layout import EngineLayout
from tests.conftest import layout
from tests.engines.on_devices import ask, decode
from tests.rpc_servers import RpcBuild
from tests.tiny_model import TinyShape, write_tiny_model

pytestmark = pytest.mark.slow
HOW = layout(n_ctx=2048)


@pytest.fixture(scope="module")
def two(rpc_build: RpcBuild) -> Iterator[tuple[str, str]]:
    """Yield the addresses of two servers with one device each."""
    with rpc_build.server() as first, rpc_build.server() as second:
        yield first, second


def on_devices(
    rpc: RpcBuild, servers: tuple[str, ...], model: str, how: EngineLayout, given: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Return what `tests.engines.on_devices` answers."""
    return ask(model, how, rpc.environment(*servers), given)


def placed(count: int, split: SplitMode, gpu_layers: int = -1, **changes: Any) -> EngineLayout:
    return replace(HOW, gpu_layers=gpu_layers, devices=DeviceUse("RPC server", count, split), **changes)


def on_each(answer: dict[str, Any], servers: tuple[str, ...], what: str) -> list[int]:
    """Return the bytes of weights or cells on each server, in their order."""
    found = {one["place"]: one[what] for one in answer["buffers"]}
    return [found.get(f"RPC0[{address}]", 0) for address in servers]


@pytest.mark.parametrize(
    ("how", "given", "used"),
    [
        (placed(2, "layer"), (), [True, True]),
        (placed(1, "none"), (), [True, False]),
        (placed(1, "none"), (1,), [False, True]),
        (placed(1, "none", 2), (), [True, False]),
    ],
)
def test_results_on_devices_equal_those_of_the_processor(
    rpc_build: RpcBuild,
    two: tuple[str, str],
    tiny_path: str,
    how: EngineLayout,
    given: tuple[int, ...],
    used: list[bool],
) -> None:
    expected = decode(tiny_path, HOW)
    found = on_devices(rpc_build, two, tiny_path, how, given)
    assert found["texts"] == expected["texts"] and len(found["texts"]) == 3
    assert found["selected"]
    assert found["logliks"] == pytest.approx(expected["logliks"], abs=1e-4)
    assert found["nll"] == pytest.approx(expected["nll"], abs=1e-4)
    assert [size > 0 for size in on_each(found, two, "weights_bytes")] == used


def test_layers_and_cells_are_split_evenly(rpc_build: RpcBuild, two: tuple[str, str], tmp_path: Path) -> None:
    model = str(write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_layers=7)))
    found = on_devices(rpc_build, two, model, placed(2, "layer"))
    first, second = on_each(found, two, "kv_bytes")
    # Eight parts: seven layers and the output.
    assert first * 3 == second * 4 > 0


def test_devices_that_are_not_there_are_told_with_those_that_are(
    rpc_build: RpcBuild, two: tuple[str, str], tiny_path: str
) -> None:
    found = on_devices(rpc_build, two, tiny_path, placed(3, "layer"))
    assert found["wanted_for"] is None and "3 x RPC server planned" in found["error"] and "it has 2" in found["error"]


@pytest.mark.parametrize(
    ("n_ff", "changes", "wanted_for"),
    [
        (2**17, {}, "weights"),
        (512, {"n_ctx": 2**20}, "kv_cache"),
        (512, {"n_ctx": 2**18, "n_batch": 2048, "n_ubatch": 2048}, "compute"),
    ],
)
def test_a_device_that_is_too_small_has_no_room(
    rpc_build: RpcBuild, tmp_path: Path, n_ff: int, changes: dict[str, int], wanted_for: str
) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf", shape=TinyShape(n_ff=n_ff))
    with rpc_build.server(memory_bytes=2**28 if n_ff > 512 else 2**29) as server:
        found = on_devices(rpc_build, (server,), str(model), placed(1, "none", **changes))
    assert found["wanted_for"] == wanted_for, found
