"""Quantizing a file: our worker compared with llama-quantize, with the same importance matrix.

Our library call alone is compared with the quantization time that llama-quantize prints. We also verify and hash the
file, which llama-quantize does not; those times are reported separately.
"""

from __future__ import annotations

import json
import pickle
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.quantization.imatrix import collect
from actors.quantization_orders import QuantizeOrder
from actors.recipes import Recipe
from tests.bench import programs
from tests.bench.frame import Bench, Measure, Setting, Target, in_turn
from tests.bench.imatrix import MEMORY, imatrix_order
from tests.bench.models import model_file

RECIPES = ("q4_k_m", "q8_0")
IMATRIX_CHUNKS = 1  # the content of the matrix does not change the time
PAUSE_S = 4.0
"""Pause before each run. Memory that was freed just now is faster to fill than memory that the system has taken back:
llama-quantize took 1.5 s if another run had just ended, else 2.4 s. Our worker takes a second to start, so without a
pause the comparison would be unfair."""


@dataclass(frozen=True)
class _Run:
    quantize_s: float
    peak_rss_mb: float
    wall_s: float
    verify_s: float = 0.0
    hash_s: float = 0.0


def run(setting: Setting) -> Sequence[Measure]:
    """Measure every model with every recipe."""
    return [measure for name in setting.models for recipe in RECIPES for measure in _measures(setting, name, recipe)]


def _measures(setting: Setting, name: str, recipe: str) -> list[Measure]:
    model = model_file(name, setting.folder)
    order = _order(setting, model, recipe)
    program = programs.find("llama-quantize")
    ours, theirs = in_turn(
        setting.repeats,
        lambda: _ours(order, setting),
        (lambda: _theirs(program, order, setting)) if program else None,
    )

    def measure(what: str, unit: str, values: str, target: Target | None = None, *, alone: bool = False) -> Measure:
        sides = [tuple(getattr(one, values) for one in side) for side in (ours, theirs)]
        return Measure(
            "quantization", f"{name} {recipe}", what, unit, False, sides[0], () if alone else sides[1], target
        )

    return [
        measure("library call", "s", "quantize_s", Target(least_ratio=1.0)),
        measure("verifying", "s", "verify_s", alone=True),
        measure("hashing", "s", "hash_s", alone=True),
        measure("whole process", "s", "wall_s"),
        measure("peak memory", "MB", "peak_rss_mb", MEMORY),
    ]


def _order(setting: Setting, model: Path, recipe: str) -> QuantizeOrder:
    matrix = setting.folder / f"{model.stem}.short.imatrix.gguf"
    if not matrix.exists():
        short = Setting(setting.folder, setting.models, setting.threads, 1, IMATRIX_CHUNKS)
        made = imatrix_order(short, model)
        collect(made, lambda tokens: None)
        Path(made.output_path).rename(matrix)
    return QuantizeOrder(
        arm=recipe,
        model_path=str(model),
        model_name=model.stem,
        recipe=Recipe(recipe, recipe.upper(), recipe),
        imatrix_path=str(matrix),
        threads=setting.threads,
        output_path=str(setting.folder / "ours" / f"{model.stem}-{recipe.upper()}.gguf"),
        dequantized_from=None,
        key={"kind": "bench"},
    )


def _ours(order: QuantizeOrder, setting: Setting) -> _Run:
    time.sleep(PAUSE_S)
    task = setting.folder / "quantize-order.pickle"
    task.write_bytes(pickle.dumps(order))
    child = programs.run_ours(task)
    durations = json.loads(child.stdout.splitlines()[-1])["durations"]
    return _Run(durations["quantize_s"], child.peak_rss_mb, child.wall_s, durations["verify_s"], durations["hash_s"])


def _theirs(program: str, order: QuantizeOrder, setting: Setting) -> _Run:
    time.sleep(PAUSE_S)
    output = setting.folder / "theirs.gguf"
    child = programs.run(
        program, "--imatrix", order.imatrix_path, order.model_path, output, order.recipe.method, order.threads
    )
    output.unlink()
    said = re.search(r"quantize time = +([\d.]+) ms", child.stdout + child.stderr)
    if said is None:
        raise RuntimeError(f"llama-quantize does not say how long it took: {child.stdout[-2000:]}")
    return _Run(float(said[1]) / 1e3, child.peak_rss_mb, child.wall_s)


BENCH = Bench("quantization, compared with llama-quantize", run)
