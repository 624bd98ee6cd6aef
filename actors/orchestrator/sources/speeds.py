"""How fast the models of a plan work on this machine: measured in a few seconds each, then kept in the storage.

A model is measured in a process of its own, after the check that it loads. Other work on the machine disturbs even a
measurement in processor time, so one beside other work is used once, with a warning, and not kept.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.evaluation.speed import Speed
from actors.llama import ggml, library
from actors.llama.layout import EngineLayout
from actors.orchestrator.plan import Plan
from actors.orchestrator.sources.hashes import HashCache
from actors.own_process import OwnProcess, ProcessEnded, ProcessNotStarted
from reporting.analysis.machine_load import BUSY_SHARE

_PROGRAM = Path(__file__).parents[2] / "evaluation" / "speed_process.py"
_VERSION = 1
"""Increase this if the measurement changes."""
_BASE_S = 60.0
_BYTES_PER_S = 1e8
"""A slow disk, for a file that does not fit into memory."""


@dataclass(frozen=True)
class Timed:
    """The speed of one file."""

    speed: Speed
    busy: float
    """Share of the processors that other programs used meanwhile."""


def measure_sources(plan: Plan, hashes: HashCache, report: Callable[[str], None]) -> dict[str, Timed]:
    """Return the speed of each model and each given GGUF, by its path. One that cannot be measured is left out.

    Args:
        plan: the plan, whose layouts are used.
        hashes: keeps the measurements.
        report: is told what is being measured.
    """
    kinds = sorted({kind for arm in plan.arms if arm.order for kind in [tensor_kind(arm.order.recipe.method)] if kind})
    process = OwnProcess(_PROGRAM, "the process that measures models does not start", log_lines=5)
    found: dict[str, Timed] = {}
    try:
        for path, sha256, size_bytes, layout in _sources(plan):
            timed = _kept(hashes, sha256, layout, kinds)
            if timed is None:
                report(f"Measuring how fast {Path(path).name} works")
                timed = _measured(process, path, size_bytes, layout, kinds, report)
            if timed is not None:
                found[path] = timed
                if timed.busy < BUSY_SHARE:
                    hashes.keep(_name(sha256, layout, kinds), json.dumps(asdict(timed)))
    finally:
        process.close()
    return found


def tensor_kind(method: str) -> str | None:
    """Return the tensor type that most weights of a file type get: `q4_k_m` is mostly `Q4_K`. None: not known."""
    known = [kind for kind in ggml.tensor_types() if method.upper() == kind or method.upper().startswith(f"{kind}_")]
    return max(known, key=len, default=None)


def _sources(plan: Plan) -> list[tuple[str, str, int, EngineLayout]]:
    """Return path, hash, size and layout of each file that the plan starts from, once even if it is model and arm."""
    layouts: dict[str, EngineLayout] = {}
    for block in plan.blocks:
        arm = plan.arm(block.arm)
        path = arm.order.model_path if arm.order else arm.gguf_path
        layouts[path] = max(layouts.get(path, block.layout), block.layout, key=lambda one: one.sequences)
    files = [(model.path, model.sha256, model.size_bytes) for model in plan.models]
    files += [
        (arm.existing.path, str(arm.existing.sha256), arm.existing.size_bytes or 0)
        for arm in plan.arms
        if arm.existing is not None and arm.endpoint is None and not arm.is_aa
    ]
    for judge in plan.judges:
        if judge.gguf_path is not None and judge.layout is not None and judge.gguf_path not in layouts:
            layouts[judge.gguf_path] = judge.layout
            files.append((judge.gguf_path, str(judge.gguf_sha256), judge.worker_bytes))
    of_path = {path: (sha256, size) for path, sha256, size in files}
    return [(path, sha256, size, layouts[path]) for path, (sha256, size) in of_path.items() if path in layouts]


def _name(sha256: str, layout: EngineLayout, kinds: Sequence[str]) -> str:
    """Return the name under which a measurement is kept: everything that it depends on."""
    machine = [platform.node(), os.cpu_count(), library.build()]
    return "speed|" + json.dumps([_VERSION, sha256, layout.identity, list(kinds), machine])


def _kept(hashes: HashCache, sha256: str, layout: EngineLayout, kinds: Sequence[str]) -> Timed | None:
    kept = hashes.kept(_name(sha256, layout, kinds))
    try:
        return None if kept is None else _timed(json.loads(kept))
    except (ValueError, KeyError, TypeError):  # damaged: it is measured again
        return None


def _timed(value: Mapping[str, Any]) -> Timed:
    return Timed(Speed(**value["speed"]), float(value["busy"]))


def _measured(
    process: OwnProcess,
    path: str,
    size_bytes: int,
    layout: EngineLayout,
    kinds: Sequence[str],
    report: Callable[[str], None],
) -> Timed | None:
    """Return the speed of one file; None if it cannot be measured, after a report that says why."""
    question = {"path": path, "layout": layout.identity, "kinds": list(kinds)}
    try:
        said = json.loads(process.ask(question, wall_s=_BASE_S + size_bytes / _BYTES_PER_S))
    except (ProcessNotStarted, ProcessEnded) as error:
        said = {"error": str(error)}
    if said["error"] is not None:
        report(f"The speed of {Path(path).name} is not known: {said['error']}")
        return None
    return _timed(said)
