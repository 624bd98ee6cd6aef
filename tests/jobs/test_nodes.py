"""Facts of nodes: read on a cluster of pretended ones, and what follows from them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from actors import nodes_reading
from actors.llama import library
from actors.llama.device_list import list_backends, start_failures
from actors.llama.devices import Device
from actors.nodes import NodeFacts, Nodes, build_of, check_builds, device_notices
from actors.nodes_reading import KEPT_S, missing_paths, node_facts, path_sizes, read_node
from actors.orchestrator.processes.actor import not_on
from actors.orchestrator.sources.hashes import HashCache
from actors.orchestrator.sources.uploaded_copy import paths_of_workers
from conf.environment import read_environment
from conf.faults import BadInput
from conf.load import load
from jobs._node_checks import check_nodes
from jobs._nodes import (
    Silent,
    ask_cluster,
    check_fetched,
    fetched_paths,
    find_nodes,
    gpu_notices,
    this_machine,
    usable_nodes,
)
from jobs._ray import place_workers
from reporting.notices import say_notice
from reporting.wording import Words
from tests.jobs.pretended_cluster import pretended_cluster
from tests.orchestrator.small_plan import MODEL, make_inputs, make_small_plan

GIB = 2**30
CARD = Device("CUDA0", "card", "CUDA", 80 * GIB, 79 * GIB)
AVX = {"llama_cpp_python": "1", "cpu_features": "AVX"}
CUDA = {"llama_cpp_python": "1", "cpu_features": "AVX AVX512 USE_GRAPHS"}


def node(host: str, **values: Any) -> NodeFacts:
    base: dict[str, Any] = {"node_id": f"id-{host}", "host": host, "cpus": 8.0, "memory_bytes": 64.0 * GIB, "gpus": 0.0}
    return NodeFacts(**(base | {"devices": (), "build": AVX} | values))


HEAD, BIG = node("head"), node("big", gpus=8.0, devices=(CARD,) * 8, build=CUDA)


def test_keys_have_the_build_of_the_nodes_that_can_do_the_work() -> None:
    assert build_of((HEAD,), None) == AVX
    assert build_of((HEAD, BIG), "card") == CUDA
    either = {"llama_cpp_python": "1", "cpu_features": "AVX | AVX AVX512 USE_GRAPHS"}
    assert build_of((HEAD, BIG), None) == build_of((BIG, HEAD, HEAD), None) == either


def test_several_builds_are_a_notice_and_several_versions_a_fault() -> None:
    assert check_builds((HEAD, node("other"))) == ()
    (notice,) = check_builds((HEAD, BIG))
    assert "(head: AVX; big: AVX AVX512 USE_GRAPHS)" in notice
    with pytest.raises(BadInput, match=r"1 on head; 2 on old") as refused:
        check_builds((HEAD, node("old", build=AVX | {"llama_cpp_python": "2"})))
    assert "make setup" in str(refused.value)


DRIVER = "NVIDIA 580.65, CUDA 13.0"


def test_cards_that_llama_cpp_was_not_built_for_are_told() -> None:
    assert device_notices(HEAD) == device_notices(replace(BIG, cards=8, driver=DRIVER)) == ()
    (told,) = device_notices(replace(HEAD, cards=2, driver=DRIVER, backends=("CPU",)))
    assert told.startswith("head has 2 NVIDIA GPUs (NVIDIA 580.65, CUDA 13.0), but llama.cpp was built for the proc")
    assert "`CMAKE_ARGS=auto make setup`, run there, builds it for them" in told
    (one,) = device_notices(replace(HEAD, cards=1, driver=DRIVER))
    assert say_notice(Words("ja"), one).startswith("head には NVIDIA の GPU 1 基があるが(NVIDIA 580.65, CUDA 13.0)、")
    assert "has 1 NVIDIA GPU (" in one


def test_gpus_that_only_ray_or_only_llama_cpp_knows_are_told() -> None:
    (told,) = gpu_notices(node("amd", gpus=2.0))
    assert told.startswith("amd: Ray has GPUs to give away (2), but llama.cpp has no devices there")
    assert list(gpu_notices(BIG)) == list(gpu_notices(HEAD)) == []
    # The driver's own cards have a notice already.
    assert list(gpu_notices(node("cards", gpus=2.0, cards=2, driver=DRIVER, backends=("CPU",)))) == []


def test_a_build_for_cuda_that_does_not_start_is_told_with_its_reason() -> None:
    said = "CUDA: CUDA driver version is insufficient for CUDA runtime version"
    old = replace(HEAD, cards=2, driver="NVIDIA 470, CUDA 11.4", backends=("CUDA", "CPU"), start_failures=(said,))
    (told,) = device_notices(old)
    assert told.startswith(f"llama.cpp on head was built for CUDA and cannot start it ({said}; driver: NVIDIA 470, C")
    # Such a build on a machine without a driver, such as a head node, is no fault.
    assert device_notices(replace(old, cards=0, driver=None)) == ()


def test_a_driver_that_does_not_tell_is_told_even_if_its_cards_are_used() -> None:
    (told,) = device_notices(replace(BIG, driver="NVIDIA 580.65", driver_fault="NVML: Driver/library version mismatch"))
    assert "of big is loaded (NVIDIA 580.65) and does not tell its GPUs (NVML: Driver/library version mismatch)" in told


def test_what_llama_cpp_says_about_a_backend_that_does_not_start_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ("ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected", "load: done")
    monkeypatch.setattr(library, "log_tail", lambda: log)
    assert start_failures() == ("CUDA: no CUDA-capable device is detected",)
    assert "CPU" in list_backends()


def test_no_work_is_placed_on_nodes_that_see_too_little_or_tell_nothing() -> None:
    blind = node("blind", missing_paths=("/data/a", "/data/b", "/data/c", "/data/d"))
    found = usable_nodes([blind, HEAD, node("no-cpus", cpus=0.0)], [Silent("id-gone", "gone", "it gave no answer")])
    assert found.usable == (HEAD,) and found.avoided == ("id-blind", "id-gone")
    step = "No work is placed there; put it right, and start again."
    assert found.notices == (
        f"blind does not see /data/a, /data/b, /data/c and 1 more. {step}",
        f"gone told nothing about itself: it gave no answer. {step}",
    )
    with pytest.raises(BadInput, match=r"blind .*/data/a") as refused:
        usable_nodes([blind], [])
    assert refused.value.faults[0].key == "RAY_ADDRESS"


def test_work_is_placed_on_nodes_whose_facts_are_known_and_asks_for_no_more_cpus_than_one_has(
    tmp_path: Path, tiny_path: str
) -> None:
    plan = make_small_plan(tmp_path, inputs=make_inputs(models=(replace(MODEL, path=tiny_path),)))
    config = load(None, {"models": [{"name": "m", "path": "m.gguf"}]})
    two, three = node("two", cpus=2.0), node("three", cpus=3.0)
    config = config.model_copy(update={"layout": config.layout.model_copy(update={"threads": 4})})
    placed = place_workers(config, replace(plan, nodes=Nodes((two, three)))).by_role["evaluation"]
    assert (placed.cpus, placed.nodes) == (3.0, {"id-two", "id-three"})
    here = replace(three, node_id="")  # Ray is not started yet, so its id is not known
    assert place_workers(config, replace(plan, nodes=Nodes((here,)))).by_role["evaluation"].nodes is None


def test_a_path_is_seen_if_it_has_the_same_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("four")
    file, folder, nothing = str(tmp_path / "file"), str(tmp_path), str(tmp_path / "nothing")
    assert path_sizes([file, folder, nothing]) == {file: 4, folder: None}
    assert missing_paths({file: 4, folder: None}) == []
    assert missing_paths({file: 5, folder: 4, nothing: None}) == [file, folder, nothing]


def test_workers_read_paths_of_the_configuration(tmp_path: Path) -> None:
    values = {
        "models": [{"name": "m", "path": str(tmp_path / "m.gguf")}, {"name": "hub", "path": "hf:owner/name"}],
        "calibration": {"texts": [f"{tmp_path}/text.txt#1/2", "package:pydoc_data/topics.py"]},
        "data_dir": str(tmp_path),
    }
    read = paths_of_workers(load(None, values), read_environment())
    assert read == [str(tmp_path / "m.gguf"), str(tmp_path), str(tmp_path / "text.txt")]


def test_what_was_downloaded_must_be_seen_by_the_nodes_too(tmp_path: Path) -> None:
    plan, environment = make_small_plan(tmp_path), read_environment()
    (model,) = plan.models
    here = {"models": [{"name": "m", "path": model.path}], "storage": str(tmp_path)}
    texts = [text.path for text in plan.imatrices[0].order.texts]
    assert fetched_paths(plan, load(None, here), environment) == texts
    elsewhere = here | {"models": [{"name": "m", "path": "hf:owner/name"}], "calibration": {"texts": texts}}
    assert fetched_paths(plan, load(None, elsewhere), environment) == [model.path]
    in_upload = replace(plan, models=(replace(model, path="/tmp/ray/session/working_dir_files/pkg/m.gguf"),))
    assert fetched_paths(in_upload, load(None, elsewhere), environment) == []


def test_what_was_read_counts_until_it_is_old_or_something_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_node({}, None)
    again = json.loads(read_node({"/no/such/path": 1}, first))
    assert again["read_at"] == json.loads(first)["read_at"] and again["missing"] == ["/no/such/path"]
    before = json.loads(first)
    for changed in (before | {"read_at": time.time() - KEPT_S}, before | {"marks": "other"}, before | {"error": "x"}):
        assert json.loads(read_node({}, json.dumps(changed)))["read_at"] > before["read_at"]
    assert json.loads(read_node({}, "{damaged"))["error"] is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert json.loads(read_node({}, first))["read_at"] > before["read_at"]


def test_a_build_for_devices_is_asked_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "supports_gpu", lambda: True)
    monkeypatch.setattr(nodes_reading, "machine_facts", lambda: pytest.fail("asked in this process"))
    facts = node_facts(read_node({}, None), cpus=2, memory_bytes=GIB)
    assert facts.build == library.build() and facts.devices == ()


def test_a_llama_cpp_that_does_not_start_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def start():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGILL)\n")
    monkeypatch.setattr(library, "supports_gpu", lambda: True)
    monkeypatch.setattr(nodes_reading, "_PROGRAM", broken)
    with pytest.raises(BadInput, match=r"llama.cpp cannot list its devices.*jobs.doctor"):
        node_facts(read_node({}, None), cpus=2, memory_bytes=GIB)


def test_this_machine_has_the_build_of_this_process_and_is_kept(tmp_path: Path) -> None:
    config = load(None, {"models": [{"name": "m", "path": "m.gguf"}], "storage": str(tmp_path)})
    environment = replace(read_environment(), ray_address=None)
    found = find_nodes(config, environment, "p")
    assert [one.build for one in found.usable] == [library.build()] and found.avoided == ()
    kept = HashCache(tmp_path).kept("node|")
    assert kept is not None and this_machine(2, HashCache(tmp_path)).build == library.build()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start three pretended nodes with 8, 2 and 0 GPUs."""
    with pretended_cluster((8, "H100"), (2, None), (0, None)) as made:
        yield made


@pytest.mark.slow
def test_every_node_of_a_cluster_tells_its_facts(cluster: Cluster, tmp_path: Path) -> None:
    kept = HashCache(tmp_path)
    with tempfile.NamedTemporaryFile() as seen:
        facts, silent = ask_cluster({seen.name: 0, "/no/such/path": None}, kept)
    assert silent == [] and sorted(one.gpus for one in facts) == [0.0, 2.0, 8.0]
    assert {one.accelerator_type for one in facts if one.gpus == 8} == {"H100"}
    assert all(one.build == library.build() and one.missing_paths == ("/no/such/path",) for one in facts)
    assert len({one.node_id for one in facts}) == 3
    # Pretended GPUs are no devices: llama.cpp itself is asked.
    assert not library.supports_gpu() and all(one.devices == () for one in facts)
    again, _ = ask_cluster({}, kept)
    assert [one.missing_paths for one in again] == [()] * 3


@pytest.mark.slow
def test_no_actor_goes_to_a_closed_node(cluster: Cluster) -> None:
    nodes = {one["NodeID"] for one in ray.nodes()}  # type: ignore[no-untyped-call]
    where = ray.remote(lambda: ray.get_runtime_context().get_node_id())
    for open_node in nodes:
        options = not_on(nodes - {open_node})
        assert ray.get(where.options(num_cpus=0, **options).remote(), timeout=60) == open_node
    assert not_on(()) == {}


@pytest.mark.slow
def test_nodes_are_asked_for_downloaded_files(cluster: Cluster, tmp_path: Path) -> None:
    facts, _ = ask_cluster({})
    ray.shutdown()  # the check connects by itself
    file = tmp_path / "model.gguf"
    file.write_text("weights")
    plan = make_small_plan(tmp_path / "runs")
    plan = replace(plan, models=(replace(plan.models[0], path=str(file)),), nodes=Nodes(tuple(facts)))
    plan = replace(plan, imatrices=())
    config = load(None, {"models": [{"name": "m", "path": "hf:owner/name"}], "storage": str(tmp_path / "runs")})
    environment = replace(read_environment(), ray_address=cluster.address)
    check_fetched(config, environment, plan)
    ray.init(address=cluster.address, log_to_driver=False)


@pytest.mark.slow
def test_the_doctor_shows_every_node(cluster: Cluster) -> None:
    ray.shutdown()  # the doctor connects by itself
    environment = replace(read_environment(), ray_address=cluster.address)
    found = list(check_nodes(environment))
    assert sorted(one.found.partition(" and ")[0] for one in found) == [f"1 CPUs, {n} GPUs" for n in (0, 2, 8)]
    assert all("llama-cpp-python" in one.found for one in found)
    # These GPUs are only pretended, so llama.cpp has no devices there, which is told.
    told = {one.found.partition(" CPUs, ")[2].partition(" GPUs")[0]: one.fix for one in found}
    assert told["0"] is None and all("llama.cpp has no devices there" in (told[n] or "") for n in ("2", "8"))
    ray.init(address=cluster.address, log_to_driver=False)


@pytest.mark.slow
def test_nodes_that_do_not_answer_in_time_are_named(cluster: Cluster) -> None:
    facts, silent = ask_cluster({}, None, within_s=0.0)
    assert len(facts) + len(silent) == 3 and silent
    assert silent[0].reason == "it gave no answer within 0 s"
