"""The doctor's checks of the nodes of a cluster. Import it only if llama.cpp and Ray start on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import ray

from actors.nodes import check_builds, device_notices
from conf.environment import Environment
from conf.faults import BadInput
from jobs._check import GIB, Check, devices_text
from jobs._nodes import ask_cluster, gpu_notices
from jobs._ray import connect


def check_nodes(environment: Environment) -> Iterator[Check]:
    """Ask every node of the cluster for its facts."""
    try:
        connect(environment, 1, "doctor")
        try:
            facts, silent = ask_cluster({})
        finally:
            ray.shutdown()
    except BadInput as error:
        yield Check("Nodes", f"{error.faults[0].got} does not answer", error.faults[0].next_step)
        return
    for node in facts:
        given = f"{node.cpus:g} CPUs, {node.gpus:g} GPUs and {node.memory_bytes / GIB:.1f} GiB to give away"
        build = f"llama-cpp-python {node.build['llama_cpp_python']}; {node.build['cpu_features']}"
        text = f"{given}\ndevices: {devices_text(node.devices, node.driver)}\n{build}"
        yield Check(f"Node {node.host}", text, " ".join([*device_notices(node), *gpu_notices(node)]) or None)
    for one in silent:
        yield Check(f"Node {one.host}", one.reason, "Run this program on that machine, and start Ray there again.")
    try:
        for notice in check_builds(facts):
            yield Check("Builds", notice)
    except BadInput as error:
        yield Check("Builds", str(error.faults[0].got), error.faults[0].next_step)
