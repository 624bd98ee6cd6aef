"""A Ray cluster of pretended nodes on this machine. Ray believes any number of GPUs; llama.cpp sees no device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import ray
from ray.cluster_utils import Cluster

from conf.environment import protect_local_ray, silence_ray


@contextlib.contextmanager
def pretended_cluster(*nodes: tuple[int, str | None]) -> Iterator[Cluster]:
    """Start nodes with one CPU each and connect this process to them.

    Args:
        nodes: the GPUs of each node, and Ray's label of their type.
    """
    silence_ray()
    protect_local_ray()
    made = Cluster()
    for gpus, label in nodes:
        labels = {"ray.io/accelerator-type": label} if label else {}
        made.add_node(num_cpus=1, num_gpus=gpus, labels=labels, object_store_memory=80 * 2**20, include_dashboard=False)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    # Ray kills its processes and does not wait for their end, which Python warns of later, in some other test.
    every: list[Any] = made.list_all_nodes()  # type: ignore[no-untyped-call]
    processes = [info.process for one in every for kind in one.all_processes.values() for info in kind]
    made.shutdown()  # type: ignore[no-untyped-call]
    for process in processes:
        process.wait(timeout=30)
