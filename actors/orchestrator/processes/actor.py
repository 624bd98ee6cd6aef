"""The Ray actors of the workers: started where the loop has sent them, known by their process ids, and ended."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.evaluation.actor import EvaluationWorker
from actors.judging.actor import JudgingWorker
from actors.orchestrator.placed import Placed
from actors.orchestrator.rooms import ACCELERATOR_LABEL
from actors.orchestrator.units import Role
from actors.orchestrator.worker import Worker
from actors.quantization.actor import QuantizationWorker
from actors.ray_process.actor import error_file, node_id, prepare

ACTOR_NAME = "quant-assay"
"""Beginning of the names of all actors, as Ray's dashboard shows them."""
NODE_LABEL = "ray.io/node-id"
WORKER_CLASSES: Mapping[Role, Any] = {
    "quantization": QuantizationWorker,
    "evaluation": EvaluationWorker,
    "judging": JudgingWorker,
    "asking": JudgingWorker,
}
"""The worker of each role."""
NoteStart = Callable[[Worker, str], None]
"""Notes that a worker's process has answered, and on which node."""


@dataclass
class _Process:
    """The Ray actor of a worker."""

    handle: Any
    result: Any = None
    """Reference to the result that the worker is computing. None if it is idle."""
    pid: int | None = None
    """None until the process has started."""
    wrote_to: tuple[str, str] | None = None
    """Its node, and the file there with its standard error. None until the process has started."""


class WorkerProcesses:
    """The processes of all workers. `lock` guards them: one thread changes them while others read."""

    def __init__(self, closed_nodes: frozenset[str], lock: threading.Lock, note_start: NoteStart) -> None:
        """Begin with none.

        Args:
            closed_nodes: ids of nodes where nothing can run.
            lock: is held while processes change, and while `note_start` is called.
            note_start: called once per worker, from another thread.
        """
        self._closed_nodes = closed_nodes
        self._lock = lock
        self._note_start = note_start
        self._processes: dict[Worker, _Process] = {}
        self._n_started: Counter[str] = Counter()
        """Number of actors that were started, by kind. A name is never given twice: Ray may still know the first."""

    def __len__(self) -> int:
        return len(self._processes)

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the processes that have started."""
        return tuple(one.pid for one in self._processes.values() if one.pid is not None)

    @property
    def busy(self) -> dict[Any, Worker]:
        """The workers that compute a result, by its reference."""
        return {one.result: worker for worker, one in self._processes.items() if one.result is not None}

    def wrote_to(self, worker: Worker) -> tuple[str, str] | None:
        """Return a worker's node, and the file there with its standard error. None until its process has started."""
        return self._processes[worker].wrote_to

    def send(self, worker: Worker, method: str, arguments: tuple[Any, ...], name: str) -> None:
        """Have a worker do something. Start its process first if it has none."""
        process = self._processes.get(worker) or self._start(worker)
        process.result = getattr(process.handle, method).options(name=name).remote(*arguments)

    def note_result(self, worker: Worker) -> None:
        """Note that a worker's result has arrived."""
        self._processes[worker].result = None

    def end(self, worker: Worker) -> None:
        """End a worker's process."""
        ray.kill(self._processes[worker].handle)
        with self._lock:
            del self._processes[worker]

    def end_all(self) -> None:
        """End the processes of all workers."""
        for worker in list(self._processes):
            self.end(worker)

    def new_name(self, kind: str) -> str:
        """Return the name of the next actor of a kind, for Ray's dashboard."""
        self._n_started[kind] += 1
        return f"{ACTOR_NAME} {kind} {self._n_started[kind]}"

    def _start(self, worker: Worker) -> _Process:
        handle = (
            ray.remote(WORKER_CLASSES[worker.role])
            .options(name=self.new_name(worker.role), max_restarts=0, **self._resources(worker))
            .remote()
        )
        process = _Process(handle)
        with self._lock:
            self._processes[worker] = process
        # An actor answers in order, and its memory has to be watched while it works: ask before the first unit is sent.
        handle.__ray_call__.remote(prepare)
        asked = (handle.pid.remote(), handle.__ray_call__.remote(node_id), handle.__ray_call__.remote(error_file))
        threading.Thread(target=self._learn_pid, args=(worker, process, asked), daemon=True).start()
        return process

    def _resources(self, worker: Worker) -> dict[str, Any]:
        """Return what Ray has to be asked for: processors, GPUs, and the node, or the labels of the nodes that suit."""
        placed, options = worker.placed, not_on(self._closed_nodes)
        if placed is None:
            return {"num_cpus": 0, "num_gpus": 0, **options}
        asked: dict[str, Any] = {"num_cpus": placed.cpus, "num_gpus": placed.gpus}
        if worker.spot is not None:
            return asked | {"scheduling_strategy": NodeAffinitySchedulingStrategy(worker.spot.node_id, soft=False)}
        labels = {**options.get("label_selector", {}), **labels_of(placed)}
        return asked | ({"label_selector": labels} if labels else {})

    def _learn_pid(self, worker: Worker, process: _Process, asked: Iterable[Any]) -> None:
        """Wait for a new worker's process id, node and error file, and note that the worker has started."""
        try:
            pid, node, path = cast(tuple[int, str, str], ray.get(list(asked)))
        except RayError:
            return  # the worker died at once, which its unit's failure shows
        with self._lock:
            process.pid, process.wrote_to = pid, (node, path)
            self._note_start(worker, node)


def labels_of(placed: Placed) -> dict[str, str]:
    """Return the labels that a node must have for a place; none if every node suits."""
    labels = on_nodes(placed.nodes) if placed.nodes is not None else {}
    return labels | ({ACCELERATOR_LABEL: placed.accelerator_type} if placed.accelerator_type else {})


def on_nodes(nodes: Iterable[str]) -> dict[str, str]:
    """Return the label that one of these nodes has, given by their ids."""
    return {NODE_LABEL: f"in({','.join(sorted(nodes))})"}


def not_on(nodes: Iterable[str]) -> dict[str, Any]:
    """Return the options of a Ray actor that must not run on these nodes, given by their ids."""
    closed = ",".join(sorted(nodes))
    return {"label_selector": {NODE_LABEL: f"!in({closed})"}} if closed else {}
