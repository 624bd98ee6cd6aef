"""The command line of the benches: run them, print a table, and write everything as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from actors.llama import library
from conf import VERSION
from conf.faults import BadInput
from conf.files import write_json
from tests.bench import programs
from tests.bench.frame import Measure, Setting, as_json, table
from tests.bench.models import MODELS, model_file, text_file
from tests.bench.registry import BENCHES


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Compare our speed and memory with llama.cpp's own programs."
    )
    made.add_argument("benches", nargs="*", metavar="BENCH", help=f"{', '.join(BENCHES)} (default: all)")
    made.add_argument("--models", default="smollm2,large", metavar="A,B", help=f"from {', '.join(MODELS)}")
    made.add_argument("--repeats", type=int, default=3, metavar="N", help="repeats per side (default 3)")
    made.add_argument("--chunks", type=int, default=32, metavar="N", help="chunks of 512 tokens to decode (default 32)")
    made.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N", help="threads (default: all CPUs)")
    made.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of data sets (default: from the hub)")
    made.add_argument("--folder", type=Path, metavar="DIR", help="keep models and outputs there (default: no)")
    made.add_argument("--output", type=Path, default=Path("runs/bench.json"), metavar="FILE.json", help="report")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    made = parser()
    options = made.parse_args(argv)
    names, models = options.benches or list(BENCHES), tuple(options.models.split(","))
    for unknown in [*(set(names) - set(BENCHES)), *(set(models) - set(MODELS))]:
        made.error(f"{unknown} is not one of {', '.join([*BENCHES, *MODELS])}")
    if programs.find("llama-quantize") is None:
        print(programs.HOW_TO_GET, file=sys.stderr)
    measures: list[Measure] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = options.folder or Path(temporary)
        machine = describe_machine(options.threads, folder)
        print(json.dumps(machine, indent=2), flush=True)
        setting = Setting(folder, models, options.threads, options.repeats, options.chunks, options.data_dir)
        missing = []
        for name in names:
            print(f"{BENCHES[name].about} ...", file=sys.stderr)
            try:
                measures += BENCHES[name].run(setting)
            except BadInput as error:
                missing.append(name)
                print(f"{name} is not measured: {error}", file=sys.stderr)
    machine["load_at_end"] = os.getloadavg()[0]
    print(table(measures))
    print(f"load at start {machine['load_at_start']:.2f}, at end {machine['load_at_end']:.2f}")
    write_json(options.output, {"machine": machine, "measures": [as_json(one) for one in measures]})
    print(f"{options.output}")
    return 1 if missing or any(one.passed is False for one in measures) else 0


def describe_machine(threads: int, folder: Path) -> dict[str, Any]:
    """Describe the machine and the builds of both llama.cpp."""
    features = programs.their_cpu_features(model_file("tiny", folder), text_file(folder))
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": threads,
        "load_at_start": os.getloadavg()[0],
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        "python": platform.python_version(),
        "quant_assay": VERSION,
        "ours": library.build(),
        "theirs": {"version": programs.their_version(), "cpu_features": features},
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    sys.exit(main())
