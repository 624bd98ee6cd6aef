"""How fast the models of a plan work: measured in a few seconds each, then kept in the storage.

A model is measured in a process of its own, after the check that it loads. Other work on the machine disturbs even a
measurement in processor time, so one beside other work is used once, with a warning, and not kept. `measure_sources`
measures on this machine; `jobs._speeds` measures on the nodes of a cluster.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actors.errors import QuantAssayError
from actors.evaluation.speed import Speed
from actors.llama import ggml, library
from actors.llama.layout import EngineLayout
from actors.orchestrator.placed import Placed
from actors.orchestrator.plan import Plan, PlannedBlock
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


class SpeedUnknown(QuantAssayError):
    """A file could not be measured. The message says why."""


@dataclass(frozen=True)
class Source:
    """A file that a plan starts from, and how it is measured."""

    path: str
    sha256: str
    size_bytes: int
    layout: EngineLayout
    kinds: tuple[str, ...]
    """Tensor types, in upper case, whose quantization is timed."""
    placed: Placed | None
    """The place of a worker that decodes it so. None: it is not in the plan, because all workers are alike."""

    @property
    def name(self) -> str:
        """The name of the file, for messages."""
        return Path(self.path).name

    @property
    def question(self) -> dict[str, Any]:
        """What `actors.evaluation.speed.answer_question` is asked."""
        return {"path": self.path, "layout": self.layout.identity, "kinds": list(self.kinds)}

    @property
    def wall_s(self) -> float:
        """Seconds within which it must be measured."""
        return _BASE_S + self.size_bytes / _BYTES_PER_S

    def kept(self, hashes: HashCache, machine: Sequence[Any]) -> Timed | None:
        """Return what was measured before on a machine; None if that is not known."""
        kept = hashes.kept(self.kept_as(machine))
        try:
            return None if kept is None else _timed(json.loads(kept))
        except (ValueError, KeyError, TypeError):  # damaged: it is measured again
            return None

    def keep(self, hashes: HashCache, machine: Sequence[Any], timed: Timed) -> None:
        """Keep a measurement, unless other programs were at work beside it."""
        if timed.busy < BUSY_SHARE:
            hashes.keep(self.kept_as(machine), json.dumps(asdict(timed)))

    def kept_as(self, machine: Sequence[Any]) -> str:
        """Return the name under which a measurement is kept: everything that it depends on.

        Args:
            machine: what is known of the machine and counts for the speed, such as its devices and its llama.cpp.
        """
        content = [_VERSION, self.sha256, self.layout.identity, list(self.kinds), list(machine)]
        return "speed|" + json.dumps(content)


def measure_sources(plan: Plan, hashes: HashCache, report: Callable[[str], None]) -> dict[str, Timed]:
    """Return the speed of each model and each given GGUF on this machine, by its path.

    One that cannot be measured is left out.

    Args:
        plan: the plan, whose layouts are used.
        hashes: keeps the measurements.
        report: is told what is being measured, and what cannot be.
    """
    process = OwnProcess(_PROGRAM, "the process that measures models does not start", log_lines=5)
    found: dict[str, Timed] = {}
    try:
        for source in sources_of(plan):
            try:
                found[source.path] = source.kept(hashes, this_machine()) or _measured(process, source, hashes, report)
            except SpeedUnknown as error:
                report(f"The speed of {source.name} is not known: {error}")
    finally:
        process.close()
    return found


def this_machine() -> list[Any]:
    """Return what of this machine counts for the speed of a model."""
    return [platform.node(), os.cpu_count(), library.build()]


def _measured(process: OwnProcess, source: Source, hashes: HashCache, report: Callable[[str], None]) -> Timed:
    """Measure one file in this process. Raise `SpeedUnknown` if that fails."""
    report(f"Measuring how fast {source.name} works")
    try:
        timed = read_answer(process.ask(source.question, wall_s=source.wall_s))
    except (ProcessNotStarted, ProcessEnded) as error:
        raise SpeedUnknown(str(error)) from error
    source.keep(hashes, this_machine(), timed)
    return timed


def read_answer(said: str) -> Timed:
    """Return the speed in an answer of `actors.evaluation.speed.answer_question`. Raise `SpeedUnknown` for an error."""
    answer = json.loads(said)
    if answer["error"] is not None:
        raise SpeedUnknown(answer["error"])
    return _timed(answer)


def tensor_kind(method: str) -> str | None:
    """Return the tensor type that most weights of a file type get: `q4_k_m` is mostly `Q4_K`. None: not known."""
    known = [kind for kind in ggml.tensor_types() if method.upper() == kind or method.upper().startswith(f"{kind}_")]
    return max(known, key=len, default=None)


def sources_of(plan: Plan) -> list[Source]:
    """Return each file that the plan starts from, once even if it is model and arm."""
    kinds = {tensor_kind(arm.order.recipe.method) for arm in plan.arms if arm.order}
    timed_kinds = tuple(sorted(kind for kind in kinds if kind))
    places = {path: (block.layout, plan.placed.get(block.unit)) for path, block in _widest_blocks(plan).items()}
    files = [(model.path, model.sha256, model.size_bytes) for model in plan.models]
    files += [
        (arm.existing.path, str(arm.existing.sha256), arm.existing.size_bytes or 0)
        for arm in plan.arms
        if arm.existing is not None and arm.endpoint is None and not arm.is_aa
    ]
    of_judges = {one.judge.name: plan.placed.get(one.unit) for one in plan.judgings}
    for judge in plan.judges:
        if judge.gguf_path is not None and judge.layout is not None and judge.gguf_path not in places:
            places[judge.gguf_path] = judge.layout, of_judges.get(judge.name)
            files.append((judge.gguf_path, str(judge.gguf_sha256), judge.worker_bytes))
    of_path = {path: (sha256, size) for path, sha256, size in files}
    return [
        Source(path, sha256, size, places[path][0], timed_kinds, places[path][1])
        for path, (sha256, size) in of_path.items()
        if path in places
    ]


def _widest_blocks(plan: Plan) -> dict[str, PlannedBlock]:
    """Return by file the block whose layout it is measured in: the one with the most answers side by side.

    On devices it is a block of the largest arm that is made from the file, because its devices hold the file, too.
    """
    found: dict[str, PlannedBlock] = {}

    def width(block: PlannedBlock) -> tuple[bool, int, int]:
        on_devices = block.layout.gpu_layers != 0
        alone = on_devices and block.shared_pass is None
        return alone, plan.arm(block.arm).predicted_bytes if on_devices else 0, block.layout.sequences

    for block in plan.blocks:
        arm = plan.arm(block.arm)
        path = arm.order.model_path if arm.order else arm.gguf_path
        found[path] = max(found.get(path, block), block, key=width)
    return found


def _timed(value: dict[str, Any]) -> Timed:
    return Timed(Speed(**value["speed"]), float(value["busy"]))
