"""Speed of the statistics: 20 arms x 10 benchmarks x 1319 items x 5 runs with 10,000 bootstrap draws.

    python -m tests.bench statistics
    python -m tests.bench.statistics_speed [--arms 20 --benchmarks 10 --items 1319 --runs 5]    # without the memory

It makes up records of that shape (eight sampled benchmarks, one with likelihoods, one with perplexity) and computes all
findings like the end of a pipeline: from records to both result files, which are checked against their schemas. The
targets are 20 s and 2 GB on 2 cores, including the records but not reading them from disk. llama.cpp has nothing to
compare with.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from reporting.analysis.results import build_results
from reporting.frames import RECORD_SCHEMA, TIMING_SCHEMA
from reporting.validate import validate
from tests.bench import programs
from tests.bench.frame import Bench, Measure, Setting, Target
from tests.reporting.sample_run import sample_run


def make_records(arms: list[str], benchmarks: list[dict[str, Any]], n_items: int) -> pl.DataFrame:
    """Make the records of a made-up run. The first arm is the reference; each later arm is slightly worse."""
    rng = np.random.default_rng(0)
    frames = []
    for benchmark in benchmarks:
        chances = rng.beta(1.2, 0.8, size=n_items)
        level = rng.normal(3.0, 0.3, size=n_items)
        for place, arm in enumerate(arms):
            n_runs = len(benchmark["seeds"])
            measured = benchmark["metric"] == "nll"
            right = rng.random((n_items, n_runs)) < chances[:, None] * (1 - 0.003 * place)
            nll = level + rng.normal(0.001 * place, 0.02 if place else 0.0, size=n_items)
            ids = [f"{benchmark['name']}-{item:05d}" for item in range(n_items)]
            columns = {
                "arm": [arm] * (n_items * n_runs),
                "benchmark": [benchmark["name"]] * (n_items * n_runs),
                "item_id": np.repeat(ids, n_runs).tolist(),
                "seed": np.tile(benchmark["seeds"], n_items),
                "prompt_hash": np.repeat(ids, n_runs).tolist(),
                "outcome": ["measured"] * n_items if measured else np.where(right.ravel(), "correct", "wrong").tolist(),
                "score": None if measured else right.ravel().astype(float),
                "nll_sum": nll * 256 if measured else None,
                "n_tokens": [256] * n_items if measured else None,
            }
            rows = n_items * n_runs
            known = {name: values for name, values in columns.items() if values is not None}
            filled = {name: known.get(name, [None] * rows) for name in RECORD_SCHEMA}
            frames.append(pl.DataFrame(filled, schema=RECORD_SCHEMA))
    return pl.concat(frames)


def make_run(n_arms: int, n_benchmarks: int, n_items: int, n_runs: int) -> tuple[dict[str, Any], pl.DataFrame]:
    """Make the description of a run, and its records."""
    sample = sample_run().run
    plain, sampled, measured = sample["arms"][2], sample["benchmarks"][0], sample["benchmarks"][2]
    names = ["f16", *(f"arm{place:02}" for place in range(1, n_arms))]
    arms = [
        plain | {"name": name, "reference": None if name == "f16" else "f16", "size_bytes": 10**9 - 10**7 * place}
        for place, name in enumerate(names)
    ]
    benchmarks = []
    for place in range(n_benchmarks):
        kind = measured if place == n_benchmarks - 1 else sampled
        one_run = place >= n_benchmarks - 2
        seeds = [0] if one_run else list(range(n_runs))
        benchmarks.append(
            kind | {"name": f"bench_{place}", "seeds": seeds, "deterministic": one_run, "n_items": n_items}
        )
    run = sample | {"arms": arms, "benchmarks": benchmarks, "failures": [], "notices": []}
    return run, make_records(names, benchmarks, n_items)


def run(setting: Setting) -> Sequence[Measure]:
    """Measure each repeat in its own process, so that the peak memory is that of this work alone."""
    found = [_in_own_process(setting) for _ in range(setting.repeats)]

    def measure(what: str, unit: str, target: Target | None = None) -> Measure:
        values = tuple(one[what] for one in found)
        return Measure("statistics", "20 arms, 10 benchmarks", what, unit, False, values, (), target)

    return [
        measure("findings", "s", Target(most=20)),
        measure("processor time", "s"),
        measure("peak memory", "MB", Target(most=2000)),
    ]


def _in_own_process(setting: Setting) -> dict[str, float]:
    # BLAS and polars read their number of threads from the environment when they are imported.
    threads = [f"{name}={setting.threads}" for name in ("OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")]
    child = programs.run("env", *threads, sys.executable, "-W", "error", "-m", __name__)
    numbers: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    return {**numbers, "peak memory": child.peak_rss_mb}


def main() -> int:
    """Measure once and print the numbers as one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("arms", 20), ("benchmarks", 10), ("items", 1319), ("runs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    described, records = make_run(options.arms, options.benchmarks, options.items, options.runs)
    print(f"{records.height:,} records of {options.arms} arms and {options.benchmarks} benchmarks")
    started_s, cpu_started_s = time.perf_counter(), time.process_time()
    results = build_results(described, records, pl.DataFrame(schema=TIMING_SCHEMA))
    validate("quantization_comparison", results.comparison)
    validate("statistical_analysis", results.analysis)
    numbers = {
        "findings": time.perf_counter() - started_s,
        "processor time": time.process_time() - cpu_started_s,
    }
    print(json.dumps(numbers))
    return 0


BENCH = Bench("statistics: all findings of a large run, 10,000 resamples", run)

if __name__ == "__main__":
    sys.exit(main())
