"""The speed of models, measured on the nodes of a pretended cluster in the places that their work will take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from actors.llama.devices import DeviceUse
from actors.nodes import NodeFacts, Nodes
from actors.orchestrator.placed import Memory, Placed
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.speeds import Source
from conf.environment import read_environment
from jobs import _speeds
from jobs._nodes import ask_cluster
from jobs._speeds import Measured, machine_of, measure_on_nodes
from tests.conftest import layout
from tests.jobs.pretended_cluster import pretended_cluster
from tests.jobs.running import run, small_pipeline
from tests.rpc_servers import RpcBuild

pytestmark = pytest.mark.slow
NOTHING = Memory(0, 0, 0)


def place(cpus: float = 1.0, gpus: float = 0.0, **values: Any) -> Placed:
    return Placed(cpus, gpus, None, 0, NOTHING, NOTHING, **values)


def source(path: str, placed: Placed | None = None) -> Source:
    return Source(path, "a" * 64, 1000, layout(sequences=2, n_ctx=512), ("Q8_0",), placed)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pretended_cluster((0, None), (2, "H100")) as made:
        yield made


@pytest.fixture
def nodes(cluster: Cluster) -> Nodes:
    if not ray.is_initialized():
        ray.init(address=cluster.address, log_to_driver=False)
    facts, silent = ask_cluster({})
    assert silent == []
    return Nodes(tuple(sorted(facts, key=lambda one: one.gpus)))


def measured(sources: list[Source], nodes: Nodes, hashes: HashCache, within_s: float = 60.0) -> tuple[Measured, str]:
    said: list[str] = []
    found = measure_on_nodes(sources, nodes, place(), hashes, said.append, within_s)
    return found, "\n".join(said)


def test_a_model_is_measured_on_the_node_that_its_place_names_and_kept_for_that_node(
    nodes: Nodes, tiny_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cards = nodes.usable
    there = place(nodes=frozenset({cards.node_id}))
    hashes = HashCache(tmp_path)
    found, said = measured([source(tiny_path, there)], nodes, hashes)
    assert said == f"Measuring how fast {Path(tiny_path).name} works on 1 CPU" and found.unknown == {}
    speed = found.timed[tiny_path].speed
    assert min(speed.prompt, speed.answer, speed.text, speed.quantized["Q8_0"]) > 0
    # Both nodes are this machine, which other tests may keep busy: then nothing is kept.
    source(tiny_path).keep(hashes, machine_of(cards, there), replace(found.timed[tiny_path], busy=0.0))
    monkeypatch.setattr(_speeds, "_measured", lambda *_: pytest.fail("measured again"))
    again, _ = measured([source(tiny_path, there)], nodes, hashes)
    assert again.timed[tiny_path].speed == speed
    other = replace(cards, host="another", build={**cards.build, "cpu_features": "other"})
    assert source(tiny_path).kept(hashes, machine_of(other, there)) is None


def test_a_model_that_cannot_be_measured_is_named_with_the_reason_and_others_are_measured(
    nodes: Nodes, tiny_path: str, tmp_path: Path
) -> None:
    found, said = measured([source("/no/such.gguf"), source(tiny_path)], nodes, HashCache(tmp_path))
    assert list(found.timed) == [tiny_path] and list(found.unknown) == ["/no/such.gguf"]
    assert "The speed of such.gguf is not known: LlamaError: llama.cpp cannot load" in said


def test_what_kills_the_worker_is_the_reason(
    nodes: Nodes, tiny_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_worker: Any, _question: Any) -> str:
        import os

        os._exit(1)

    monkeypatch.setattr(_speeds, "_answer", die)
    found, _ = measured([source(tiny_path)], nodes, HashCache(tmp_path))
    assert found.unknown[tiny_path].startswith("the worker that measured it ended (Actor")


def test_a_busy_cluster_is_not_waited_for_twice_and_the_message_says_what_is_in_use(
    nodes: Nodes, tiny_path: str, tmp_path: Path
) -> None:
    busy: Any = ray.remote(lambda: time.sleep(120))
    holder = busy.options(num_cpus=0, num_gpus=1).remote()
    while ray.available_resources().get("GPU") != 1.0:  # type: ignore[no-untyped-call]
        time.sleep(0.1)
    both = place(gpus=2.0)
    both = replace(both, devices=DeviceUse("H100", 2, "layer"))
    sources = [source(tiny_path, both), source("/other.gguf", both)]
    try:
        found, said = measured(sources, nodes, HashCache(tmp_path), within_s=3.0)
    finally:
        ray.cancel(holder, force=True)
    why = found.unknown[tiny_path]
    assert why == found.unknown["/other.gguf"] and found.timed == {}
    assert why.startswith("2 GPUs with 1 CPU were not free within 3 s: 1 of 2 GPUs and ") and why.endswith(
        "Try again later"
    )
    assert said.count("Measuring how fast") == 1


def test_devices_are_kept_by_their_kind_and_processors_by_their_node() -> None:
    node = NodeFacts("id", "host", 8.0, 1.0, 2.0, (), {"llama_cpp_python": "1"})
    on_card = replace(place(gpus=1.0), devices=DeviceUse("H100", 1, "none"))
    assert machine_of(node, on_card) == ["H100", {"llama_cpp_python": "1"}]
    assert machine_of(node, place()) == [["host", 8.0], {"llama_cpp_python": "1"}]


def test_a_dry_run_tells_the_time_that_a_cluster_takes(cluster: Cluster, tiny_model: Path, tmp_path: Path) -> None:
    environment = {"RAY_ADDRESS": cluster.address}
    assert read_environment().ray_address is None  # only the job has it
    ended = run("pipeline", *small_pipeline(tiny_model, tmp_path, "p", "--dry-run"), **environment)
    assert ended.code == 0, ended.out + ended.err
    assert "Measuring how fast tiny-F32.gguf works on 1 CPU" in ended.out
    assert "Time    about" in ended.out and "with 2 workers on the cluster if it is idle" in " ".join(ended.out.split())


def test_a_dry_run_measures_on_the_devices_of_the_cluster(
    rpc_build: RpcBuild, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.shutdown()  # this test has a cluster of its own
    with rpc_build.server() as first, rpc_build.server() as second:
        for name, value in rpc_build.environment(first, second).items():
            monkeypatch.setenv(name, value)
        with pretended_cluster((2, None)) as made:
            ended = run("pipeline", *small_pipeline(tiny_model, tmp_path, "p", "--dry-run"), RAY_ADDRESS=made.address)
    assert ended.code == 0, ended.out + ended.err
    said = " ".join(ended.out.split())
    assert "Measuring how fast tiny-F32.gguf works on 2 GPUs" in said and "is not known" not in said
    assert "the workers above side by side, on the cluster if it is idle" in said
