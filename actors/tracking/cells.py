"""The MLflow runs of cells: the records of one arm on one benchmark under one seed, and their means."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.stored_files import timings_path
from actors.tracking.entities import RunStatus, TrackedRun, tracked_bytes
from actors.tracking.timings import timing_metrics
from conf.files import exists

_RECORDS_ARTIFACT = "records.jsonl"
"""A cell's records in MLflow: those of its seed, from all of its blocks."""


CellKey = tuple[str, str, int]
"""Arm, benchmark and seed."""


@dataclass(frozen=True)
class JudgedScore:
    """The mean score of the answers of a cell that a jury has judged."""

    mean: float
    n: int


@dataclass(frozen=True)
class _Block:
    """The content of one file of records. It holds several seeds."""

    records: Sequence[tuple[bytes, Mapping[str, Any]]]
    """Each line as it stands in the file, and what it says."""
    timings: Sequence[Mapping[str, Any]]
    end_ms: int


def cell_runs(
    root: Path,
    planned: Sequence[Mapping[str, Any]],
    status: RunStatus,
    spared: Container[str],
    judged: Mapping[CellKey, JudgedScore],
) -> Iterator[TrackedRun]:
    """Yield the runs of the cells whose blocks are done.

    Args:
        root: the run directory.
        planned: the cells in the plan.
        status: of the pipeline. Cells with missing blocks have no run while it is running.
        spared: the blocks that an early stop saved.
        judged: the scores of cells whose answers are judged.
    """
    blocks: dict[Path, _Block] = {}
    for cell in planned:
        wanted = [root / name for name in cell["blocks"] if name not in spared]
        done = [path for path in wanted if exists(path)]
        if len(done) < len(wanted) and status == "RUNNING":
            continue
        # The seeds of a group stand one after another in the plan and share their blocks.
        blocks = {path: blocks.get(path) or _read(path) for path in done}
        score = judged.get((cell["arm"], cell["benchmark"], cell["seed"]))
        yield _cell_run(cell, list(blocks.values()), len(wanted) - len(done), score)


def _read(path: Path) -> _Block:
    lines = path.read_bytes().splitlines(keepends=True)
    timings = timings_path(path)
    return _Block(
        records=[(line, json.loads(line)) for line in lines],
        timings=[json.loads(line) for line in timings.read_bytes().splitlines()] if exists(timings) else [],
        end_ms=path.stat().st_mtime_ns // 1_000_000,
    )


def _cell_run(
    planned: Mapping[str, Any], blocks: Sequence[_Block], missing: int, judged: JudgedScore | None
) -> TrackedRun:
    of_all = [entry for block in blocks for entry in block.records]
    own = [(line, record) for line, record in of_all if record["seed"] == planned["seed"]]
    share = len(own) / len(of_all) if of_all else 0.0
    timings = [timing for block in blocks for timing in block.timings]
    metrics = _record_metrics([record for _, record in own]) | timing_metrics(timings, share)
    if judged is not None and own:
        # The records themselves hold no verdicts of judges: they count as unscored there.
        metrics |= {"score": judged.mean, "n_unscored": metrics["n_unscored"] - judged.n}
    end_ms = max((block.end_ms for block in blocks), default=None)
    return TrackedRun(
        unit=f"cells/{planned['id']}",
        name=planned["id"],
        kind="cell",
        status="FAILED" if missing else "FINISHED",
        params={name: str(planned[name]) for name in ("arm", "benchmark", "seed", "records_dir")},
        metrics=metrics,
        files=(tracked_bytes(b"".join(line for line, _ in own), _RECORDS_ARTIFACT),) if own else (),
        start_ms=end_ms - round(1000 * metrics.get("wall_s", 0.0)) if end_ms else None,
        end_ms=end_ms,
        parent=f"artifacts/{planned['arm']}",
        notes={"quant_assay.missing_blocks": str(missing)},
    )


def _record_metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the metrics of one cell's records.

    `n` and `n_unscored` count the records. The others are the mean score; or `nll` (nats per token), the perplexity
    and the divergence from the reference.
    """
    if not records:
        return {}
    unscored = sum(record["outcome"] == "unscored" for record in records)
    metrics = {"n": float(len(records)), "n_unscored": float(unscored)}
    scores = [record["score"] for record in records if record.get("score") is not None]
    if scores:
        metrics["score"] = math.fsum(scores) / len(scores)
    measured = [record for record in records if record["outcome"] == "measured" and record["n_tokens"]]
    if measured:
        # As in the results, every item counts the same: gold solutions differ in length.
        nll = math.fsum(record["nll_sum"] / record["n_tokens"] for record in measured) / len(measured)
        n_tokens = sum(record["n_tokens"] for record in measured)
        metrics |= {"nll": nll, "perplexity": math.exp(nll), "n_tokens": float(n_tokens)}
    compared = [record for record in records if record.get("kld_sum") is not None]
    if compared:
        n_compared = sum(record["n_tokens"] for record in compared)
        metrics["kld"] = math.fsum(record["kld_sum"] for record in compared) / n_compared
        metrics["top_agreement"] = sum(record["top_agree"] for record in compared) / n_compared
    return metrics
