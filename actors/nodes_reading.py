"""Read the facts of the machine that this process runs on: devices, driver, llama.cpp's build, and which paths it sees.

A build of llama.cpp that can use no devices is asked in this process, any other one in a process of its own. The
answer may be kept for `KEPT_S` seconds, because asking takes seconds on a machine with several cards; it is asked again
as soon as driver, build or settings have changed. All that goes through Ray or a file here is JSON.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from actors.errors import LlamaError
from actors.llama import library
from actors.llama.device_list import list_devices
from actors.llama.devices import Device
from actors.llama.rpc_servers import VARIABLE, RpcServerFailed
from actors.nodes import NodeFacts
from actors.nvidia_driver import KERNEL_MODULE, read_driver
from actors.own_process import OwnProcess, ProcessEnded, ProcessNotStarted
from actors.store import content_hash
from conf.environment import read_device_settings
from conf.faults import BadInput, Fault

KEPT_S = 120.0
"""Free memory changes, so facts are not kept for long."""
ANSWER_WITHIN_S = 120.0
"""Seconds for starting CUDA on all cards of a machine; with many cards and a cold driver it takes tens of seconds."""
_SERVER_ANSWERS_WITHIN_S = 5.0
"""Seconds that an RPC server gets before a job starts. If it is busy, the user knows best whether to wait for it."""
_PROGRAM = Path(__file__).with_name("node_process.py")
_VERSION = 2
"""Increase this if the facts change."""


def machine_facts() -> dict[str, Any]:
    """Return `machine` with build, devices and driver of this machine, or why there is none.

    `error` is the reason, and `step` what to do if it is an RPC server. This process then holds memory of its CUDA
    devices.
    """
    driver, cards = read_driver()
    try:
        devices = [asdict(one) for one in list_devices(_SERVER_ANSWERS_WITHIN_S)]
    except RpcServerFailed as error:
        return {"machine": None, "error": error.found, "step": error.step}
    except LlamaError as error:
        return {"machine": None, "error": error.message}
    machine = {"build": library.build(), "devices": devices, "driver": driver, "cards": cards}
    return {"machine": machine, "error": None}


def read_node(paths: Mapping[str, int | None], kept: str | None) -> str:
    """Return the facts of this machine as JSON: `host`, `marks`, `read_at`, what `machine_facts` says, and `missing`.

    Args:
        paths: the paths that work needs, each with the size of its file; None for a folder.
        kept: what this function returned here before; None if nothing is known.
    """
    marks, now = _marks(), time.time()
    known = _known(kept, marks, now)
    found = known or {"marks": marks, "read_at": now, **_asked()}
    return json.dumps({**found, "host": platform.node(), "missing": missing_paths(paths)})


def missing_paths(paths: Mapping[str, int | None]) -> list[str]:
    """Return the paths that this machine does not see, or sees with another size."""
    return [path for path, size in paths.items() if not _is_seen(Path(path), size)]


def path_sizes(paths: Sequence[str]) -> dict[str, int | None]:
    """Return the paths that exist here, each with the size of its file; None for a folder."""
    return {path: None if Path(path).is_dir() else os.stat(path).st_size for path in paths if Path(path).exists()}


def this_node(threads: int) -> NodeFacts:
    """Return the facts of this machine, with what a local Ray would give away: at least `threads` CPUs."""
    return node_facts(read_node({}, None), cpus=float(local_cpus(threads)), memory_bytes=local_memory_bytes())


def local_cpus(threads: int) -> int:
    """Return how many CPUs a local Ray has."""
    return max(os.cpu_count() or 1, threads)


def local_memory_bytes() -> float:
    """Return how much memory a local Ray offers: 70% of what is free when it starts."""
    return 0.7 * psutil.virtual_memory().available


def node_facts(
    said: str,
    *,
    node_id: str = "",
    cpus: float,
    memory_bytes: float,
    gpus: float | None = None,
    accelerator_type: str | None = None,
) -> NodeFacts:
    """Return the facts that `read_node` found, with what Ray says about the node.

    Args:
        said: what `read_node` returned.
        node_id: Ray's id of the node.
        cpus: CPUs that Ray may give away there.
        memory_bytes: memory that Ray may give away there.
        gpus: GPUs that Ray may give away there. None: as many as llama.cpp has devices there.
        accelerator_type: Ray's label.

    Raises:
        BadInput: llama.cpp does not start there, or cannot use an RPC server.
    """
    answer = json.loads(said)
    if answer.get("step") is not None:
        allowed = "servers of this llama.cpp's version that serve nobody else"
        raise BadInput(Fault(VARIABLE, f"{answer['host']}: {answer['error']}", allowed, answer["step"]))
    if answer.get("error") is not None:
        step = "`python -m jobs.doctor`, run on that machine, says what is missing there."
        raise BadInput(Fault("llama.cpp", f"{answer['host']}: {answer['error']}", "a llama.cpp that starts", step))
    machine = answer["machine"]
    devices = tuple(Device(**one) for one in machine["devices"])
    return NodeFacts(
        node_id=node_id,
        host=answer["host"],
        cpus=cpus,
        memory_bytes=memory_bytes,
        gpus=float(len(devices)) if gpus is None else gpus,
        devices=devices,
        build=machine["build"],
        accelerator_type=accelerator_type,
        driver=machine["driver"],
        cards=machine["cards"],
        missing_paths=tuple(answer["missing"]),
    )


def _asked() -> dict[str, Any]:
    if not library.supports_gpu():
        return machine_facts()
    process = OwnProcess(_PROGRAM, "llama.cpp cannot list its devices", start_s=ANSWER_WITHIN_S, log_lines=3)
    try:
        answer: dict[str, Any] = json.loads(process.ask(None, wall_s=ANSWER_WITHIN_S))
        return answer
    except ProcessNotStarted as error:
        return {"machine": None, "error": str(error)}
    except ProcessEnded as error:
        return {"machine": None, "error": f"{error} while it listed devices. {' '.join(error.log_tail)}".rstrip()}
    finally:
        process.close()


def _known(kept: str | None, marks: str, now: float) -> dict[str, Any] | None:
    """Return what was read before if it still counts."""
    try:
        before = json.loads(kept or "null")
        fits = before["marks"] == marks and before["error"] is None and 0 <= now - before["read_at"] < KEPT_S
        return {name: before[name] for name in ("marks", "read_at", "machine", "error")} if fits else None
    except (ValueError, KeyError, TypeError):  # nothing is kept, or it is damaged
        return None


def _marks() -> str:
    """Return what changes when devices, driver or build change, and takes no time to read."""
    try:
        module = KERNEL_MODULE.read_text(encoding="utf-8", errors="replace")
    except OSError:
        module = ""
    return content_hash([_VERSION, library.files(), module, sorted(read_device_settings().items())])


def _is_seen(path: Path, size: int | None) -> bool:
    try:
        return path.is_dir() if size is None else path.stat().st_size == size
    except OSError:
        return False
