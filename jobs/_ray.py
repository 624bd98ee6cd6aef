"""Start Ray and the orchestrator, and follow the orchestrator until it ends or a signal arrives."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import ray
from ray._private import ray_constants
from ray.exceptions import RayTaskError
from ray.job_config import JobConfig

from actors.errors import NoPlaceError, RayNotStarted
from actors.nodes_reading import local_cpus
from actors.orchestrator.actor import Ending, Job, Orchestrator, View
from actors.orchestrator.capacity import side_by_side
from actors.orchestrator.memory_limits import Shortage
from actors.orchestrator.placement import evaluation_bytes, judging_bytes
from actors.orchestrator.places import Places, equal_places, kept_to
from actors.orchestrator.plan import Plan
from actors.orchestrator.processes.actor import ACTOR_NAME, not_on
from actors.orchestrator.room import quantization_bytes
from conf.environment import Environment, let_waiting_threads_sleep, protect_local_ray, read_ray_folder, silence_ray
from conf.faults import BadInput, Fault
from conf.files import WriteFailed, is_disk_failure
from conf.schema.pipeline import PipelineConfig
from reporting.escape import one_line

ANSWER_WITHIN_S = 5.0
"""Seconds that a cluster gets to accept a connection."""
POLL_S = 0.5
LOCAL_OBJECT_STORE_BYTES = 256 * 2**20


class Stopped(Exception):
    """SIGTERM or SIGINT arrived."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(signal.Signals(signal_number).name)


def connect(environment: Environment, threads: int, name: str, gpus: int = 0) -> None:
    """Join the cluster of RAY_ADDRESS, else start a local Ray.

    Args:
        environment: names the cluster, if any.
        threads: threads per worker; a local Ray has at least this many CPUs.
        name: what is run, for Ray's list of jobs.
        gpus: devices of this machine. A local Ray gives away that many GPUs; by itself it would count the cards of
            some makers only, whether or not llama.cpp was built for them.

    Raises:
        BadInput: the cluster does not answer.
        RayNotStarted: no local Ray could be started.
    """
    silence_ray()
    let_waiting_threads_sleep()
    if environment.ray_address is None:
        protect_local_ray()
        # Ray then takes 127.0.0.1 for the address of this machine, so that its ports are closed to other machines. By
        # default they are open, and those at /metrics ask for no token. Its own setting is an environment variable
        # that it reads while it is imported (RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER).
        ray_constants.ENABLE_RAY_CLUSTER = False
        _start_local(threads, gpus)
        return
    _check_answers(environment.ray_address)
    try:
        # A submitted job keeps its own metadata: Ray adds them to these.
        described = JobConfig(metadata={"job_name": f"{ACTOR_NAME} {name}"})
        ray.init(
            address=environment.ray_address, job_config=described, log_to_driver=False, logging_level=logging.ERROR
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadInput(_no_cluster(environment.ray_address, str(error))) from None


def _check_answers(address: str) -> None:
    """Raise `BadInput` if nothing listens at `host:port`. Ray itself would try for minutes, and print each attempt."""
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdecimal():
        return  # `auto`, or a form that Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise BadInput(_no_cluster(address, str(error))) from None


def _no_cluster(address: str, reason: str) -> Fault:
    return Fault(
        "RAY_ADDRESS",
        address,
        "the address of a running Ray cluster: host:6379, or auto",
        "The http address of the dashboard is only for `ray job submit`. Start a cluster with `ray start "
        f"--head`, or unset RAY_ADDRESS to use a local Ray. ({one_line(reason, 300)})",
    )


def _start_local(threads: int, gpus: int) -> None:
    """Start a local Ray; try once more if that fails, because a busy machine may only have been too slow."""
    for is_last in (False, True):
        try:
            ray.init(
                address="local",
                num_cpus=local_cpus(threads),
                num_gpus=gpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=LOCAL_OBJECT_STORE_BYTES,
            )
            return
        except Exception as error:  # a node that does not start in time raises exactly this class
            ray.shutdown()
            if is_last:
                raise RayNotStarted(_not_started(error)) from error


def _not_started(error: Exception) -> str:
    """Return why no local Ray has started, and what to do about it."""
    folder = read_ray_folder()
    if isinstance(error, OSError):
        step = f"Ray keeps its files in {folder}: make room there, or name another folder in RAY_TMPDIR."
    else:
        step = (
            f"Free memory, or wait until the machine is less busy. Ray's own logs are in {folder}/session_latest/logs."
        )
    return f"A local Ray did not start, in two attempts ({type(error).__name__}: {one_line(str(error), 300)}). {step}"


def place_workers(config: PipelineConfig, plan: Plan) -> Places:
    """Decide what each worker takes on the machines of a plan. Nodes that join a cluster later get no work."""
    places = equal_places(
        # None asks for more CPUs than a node has: it would wait for ever.
        min(float(config.layout.threads), max(node.cpus for node in plan.nodes.usable)),
        {
            "quantization": quantization_bytes(plan),
            "evaluation": evaluation_bytes(plan),
            "judging": judging_bytes(plan),
        },
        plan.placed,
        config.execution.max_workers,
        frozenset(plan.nodes.avoided),
    )
    known = frozenset(node.node_id for node in plan.nodes.usable if node.node_id)
    return kept_to(known, places) if known else places


def workers_on_cpus(config: PipelineConfig, plan: Plan) -> int:
    """Return how many workers that evaluate on the CPU the machines of a plan have room for."""
    placed = place_workers(config, plan).by_role["evaluation"]
    return side_by_side(plan.nodes.usable, placed, config.execution.max_workers)


def devices_of(plan: Plan) -> int:
    """Return how many devices this machine has, if a plan runs without a cluster."""
    return sum(len(one.devices) for one in plan.nodes.usable)


def orchestrate(job: Job, show: Callable[[View], None], answer: Callable[[Shortage], Job | None]) -> Ending:
    """Run the orchestrator until it ends, and show its view every half second.

    Args:
        job: what to carry out.
        show: shows a view.
        answer: returns a job with a smaller plan after missing memory; None if there is none.

    Raises:
        Stopped: SIGTERM or SIGINT arrived.
        NoPlaceError: there is no room for a worker.
        WriteFailed: the disk is full or fails.
    """
    # Ray installs its own SIGTERM handler while it starts, so ours must come after that.
    with _signals() as arrived:
        handle: Any = ray.remote(Orchestrator)
        there = not_on(job.places.closed_nodes)
        handle = handle.options(name=f"{ACTOR_NAME} orchestrator", num_cpus=0, max_concurrency=8, **there).remote(job)
        ref = handle.run.options(name=f"pipeline {job.plan.pipeline_id}").remote(handle)
        while not ray.wait([ref], timeout=POLL_S)[0]:
            if arrived:
                raise Stopped(arrived[0])
            view: View = ray.get(handle.view.remote())
            show(view)
            if view.shortage is not None:
                ray.get(handle.go_on.remote(answer(view.shortage)))
        show(ray.get(handle.view.remote()))
        return _ending(ref)


def _ending(ref: Any) -> Ending:
    """Return how the orchestrator ended. Raise errors that have a message for the user without Ray's traceback."""
    try:
        return cast(Ending, ray.get(ref))
    except RayTaskError as error:
        if isinstance(error.cause, NoPlaceError):
            raise NoPlaceError(str(error.cause)) from None
        if is_disk_failure(error.cause):
            raise WriteFailed(str(error.cause)) from None
        raise


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in a list while the block runs. `ray job stop` sends SIGKILL 3 seconds after SIGTERM.

    The handlers do not raise, because an exception could interrupt one of Ray's calls.
    """
    arrived: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda got, _frame: arrived.append(got)) for number in numbers}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
