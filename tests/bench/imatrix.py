"""Collecting an importance matrix: our worker compared with llama-imatrix, on the same chunks of the same text.

Tokens per second count only the decoding. Ours are in the manifest. Theirs are measured from the line "computing over"
in the log to the first line of its final report, which includes writing the file (some milliseconds). The wall time is
that of the whole process; ours includes the start of Python.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.quantization_orders import CalibrationText, ImatrixOrder
from tests.bench import programs
from tests.bench.frame import Bench, Measure, Setting, Target, in_turn
from tests.bench.models import model_file, text_file

CTX = 512
_ATTEMPTS = 9  # llama-imatrix exits without waiting for its log, so the last lines are sometimes lost
MEMORY = Target(most_extra=300)


@dataclass(frozen=True)
class _Run:
    tokens_per_second: float
    wall_s: float
    peak_rss_mb: float


def run(setting: Setting) -> Sequence[Measure]:
    """Measure every model."""
    return [measure for name in setting.models for measure in _measures(setting, name)]


def _measures(setting: Setting, name: str) -> list[Measure]:
    model = model_file(name, setting.folder)
    order = imatrix_order(setting, model)
    program = programs.find("llama-imatrix")
    ours, theirs = in_turn(
        setting.repeats,
        lambda: _ours(order, setting),
        (lambda: _theirs(program, order, setting)) if program else None,
    )

    def measure(what: str, unit: str, values: str, target: Target | None, *, higher: bool = False) -> Measure:
        sides = [tuple(getattr(one, values) for one in side) for side in (ours, theirs)]
        return Measure("imatrix", name, what, unit, higher, sides[0], sides[1], target)

    return [
        measure("decoding", "tokens/s", "tokens_per_second", Target(least_ratio=1.2), higher=True),
        measure("whole process", "s", "wall_s", None),
        measure("peak memory", "MB", "peak_rss_mb", MEMORY),
    ]


def imatrix_order(setting: Setting, model: Path) -> ImatrixOrder:
    """Make an order to collect from `setting.chunks` chunks."""
    text = text_file(setting.folder)
    return ImatrixOrder(
        model_path=str(model),
        mix="bench",
        texts=(CalibrationText(str(text), "bench", 1.0),),
        dataset_size=setting.chunks * CTX,
        ctx=CTX,
        threads=setting.threads,
        gpu_layers=0,
        output_path=str(setting.folder / f"{model.stem}.imatrix.gguf"),
        key={"kind": "bench"},
    )


def _ours(order: ImatrixOrder, setting: Setting) -> _Run:
    task = setting.folder / "imatrix-order.pickle"
    task.write_bytes(pickle.dumps(order))
    child = programs.run_ours(task)
    manifest = json.loads(child.stdout.splitlines()[-1])
    return _Run(manifest["tokens_per_second"], child.wall_s, child.peak_rss_mb)


def _theirs(program: str, order: ImatrixOrder, setting: Setting) -> _Run:
    output = setting.folder / "their-imatrix.gguf"
    # The final report is only shown with -lv 4.
    words = ("-o", output, "-c", CTX, "--chunks", setting.chunks, "-t", setting.threads)
    quiet = ("--no-ppl", "--no-repack", "-lv", 4)
    for _ in range(_ATTEMPTS):
        child = programs.run(program, "-m", order.model_path, "-f", order.texts[0].path, *words, *quiet)
        seconds = _decoding_s(child.stderr)
        if seconds is not None:
            return _Run(order.dataset_size / seconds, child.wall_s, child.peak_rss_mb)
    raise RuntimeError(f"llama-imatrix does not say how long it took: {child.stderr[-2000:]}")


def _decoding_s(log: str) -> float | None:
    """Return the seconds between the two messages; None if one of them is missing.

    Each message has a time stamp `minutes.seconds.milliseconds.microseconds` before it. The second message does not
    begin a line, because the estimate of the time left before it ends without a line break.
    """
    begun, ended = (_stamp_s(log, mark) for mark in ("compute_imatrix: computing over", "llama_perf_context_print:"))
    return None if begun is None or ended is None else ended - begun


def _stamp_s(log: str, mark: str) -> float | None:
    """Return the time stamp before the first message that begins with `mark`, in seconds."""
    stamp = re.search(rf"(\d+)\.(\d\d)\.(\d\d\d)\.(\d\d\d) \w {re.escape(mark)}", log)
    if stamp is None:
        return None
    minutes, seconds, milli, micro = map(int, stamp.groups())
    return minutes * 60 + seconds + milli / 1e3 + micro / 1e6


BENCH = Bench("importance matrix, compared with llama-imatrix", run)
