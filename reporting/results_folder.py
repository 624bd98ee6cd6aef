"""A results folder, read for those who draw and write: `quantization_comparison.json` with its siblings.

Everything that charts and documents print comes from here. A missing sibling drops its figure with a notice;
a file that is not what its schema says is bad input. Computing the findings is left to `reporting.analysis.results`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from conf.faults import BadInput, Fault
from reporting.analysis.cells import AA_SUFFIX
from reporting.validate import Kind, validate

Json = dict[str, Any]
Role = Literal["reference", "compared", "alone"]

COMPARISON = "quantization_comparison.json"
ANALYSIS = "statistical_analysis.json"
ANSWERS = Path("report_data") / "answers.parquet"
IMPORTANCE = Path("report_data") / "importance.parquet"
LOSSES = Path("report_data") / "losses.parquet"


@dataclass(frozen=True)
class Findings:
    """The content of a results folder."""

    comparison: Json
    analysis: Json | None
    answers: pl.DataFrame | None
    notices: tuple[str, ...]
    importance: pl.DataFrame | None = None
    """What is in the importance matrices (`reporting.frames.IMPORTANCE_SCHEMA`)."""
    losses: pl.DataFrame | None = None
    """What rounding lost of each tensor (`reporting.frames.LOSS_SCHEMA`)."""

    @property
    def pipeline_id(self) -> str:
        return str(self.comparison["pipeline_id"])

    @property
    def models(self) -> list[Json]:
        return list(self.comparison["models"])

    @property
    def arms(self) -> list[Json]:
        return list(self.comparison["arms"])

    @property
    def candidates(self) -> list[Json]:
        """The arms that somebody might take: all but the reference in another batch layout, the noise floor."""
        return [arm for arm in self.arms if not arm["name"].endswith(AA_SUFFIX)]

    @property
    def benchmarks(self) -> list[Json]:
        return list(self.comparison["benchmarks"])

    @property
    def matrices(self) -> list[str]:
        """Names of the importance matrices whose statistics are there."""
        return [] if self.importance is None else self.importance["matrix"].unique(maintain_order=True).to_list()

    def importance_of(self, matrix: str) -> pl.DataFrame:
        """The statistics of one importance matrix."""
        if self.importance is None:
            raise KeyError(matrix)
        return self.importance.filter(pl.col("matrix") == matrix)

    @property
    def categories(self) -> list[Json]:
        """Means by category of benchmarks; none in results from before there were any."""
        return list(self.comparison.get("categories", ()))

    @property
    def comparisons(self) -> list[Json]:
        return [] if self.analysis is None else list(self.analysis["comparisons"])

    @property
    def early_stop(self) -> Json | None:
        """What the analysis says about early stop; None if the run had none."""
        return None if self.analysis is None else self.analysis.get("early_stop")

    @property
    def sequential_comparisons(self) -> list[Json]:
        """The comparisons that could end early, in the order of the benchmarks."""
        rows = (row for benchmark in self.benchmarks for row in self.compared(benchmark["name"]))
        return [row for row in rows if row.get("early_stop")]

    def references(self) -> set[str]:
        """Names of all arms that another arm is compared with."""
        return {
            arm["reference"] for arm in self.arms if arm["reference"] is not None and arm["reference"] != arm["name"]
        }

    def role(self, arm: Json) -> Role:
        """What an arm is in the comparison."""
        if arm["name"] in self.references():
            return "reference"
        return "alone" if arm["reference"] is None else "compared"

    def primary(self, arm: str, benchmark: str) -> Json | None:
        """The result row that the statistics are made on; None where the arm gave nothing."""
        return next((row for row in self._rows(arm, benchmark) if row["primary"]), None)

    def shown(self, arm: str, benchmark: str) -> Json | None:
        """The result row that people read: perplexity itself where it stands beside its logarithm, else the primary."""
        rows = list(self._rows(arm, benchmark))
        return next((row for row in rows if row["metric"] == "perplexity"), self.primary(arm, benchmark))

    def shown_rows(self, benchmark: str) -> dict[str, Json]:
        """Arm name -> shown row, of the arms that were scored at all, in the order of the arms."""
        rows = {arm["name"]: self.shown(arm["name"], benchmark) for arm in self.arms}
        return {name: row for name, row in rows.items() if row is not None and row["mean"] is not None}

    def compared(self, benchmark: str) -> list[Json]:
        """The comparisons of one benchmark, in the order of the arms."""
        order = {arm["name"]: place for place, arm in enumerate(self.arms)}
        rows = [row for row in self.comparisons if row["benchmark"] == benchmark]
        return sorted(rows, key=lambda row: order.get(row["arm"], len(order)))

    def performance(self, arm: str) -> Json | None:
        """Speed and memory of an arm over all its benchmarks."""
        rows = (row for row in self.comparison["performance"] if row["arm"] == arm and row.get("benchmark") is None)
        return next(rows, None)

    def _rows(self, arm: str, benchmark: str) -> Iterable[Json]:
        return (row for row in self.comparison["results"] if row["arm"] == arm and row["benchmark"] == benchmark)


def read_findings(results_path: str | Path) -> Findings:
    """Read a results folder by the path of its comparison file.

    Raises:
        BadInput: the file is missing, is no JSON, or does not fit its schema; the same for a broken sibling.
    """
    path = Path(results_path)
    notices: list[str] = []
    comparison = _read_json(path, "quantization_comparison")
    if "categories" not in comparison:
        notices.append("The results are from before benchmarks had categories: no means by category are shown.")
    analysis_path = path.with_name(ANALYSIS)
    analysis = None
    if analysis_path.exists():
        analysis = _read_json(analysis_path, "statistical_analysis")
    else:
        notices.append(f"{ANALYSIS} is not beside the results: no differences from the reference are shown.")
    answers_path = path.parent / ANSWERS
    answers = None
    if answers_path.exists():
        answers = _read_parquet(answers_path)
    else:
        notices.append(f"{ANSWERS.as_posix()} is not beside the results: no answers are shown.")
    importance_path = path.parent / IMPORTANCE
    importance = None
    if importance_path.exists():
        importance = _read_parquet(importance_path)
    elif comparison["imatrices"]:
        notices.append(f"{IMPORTANCE.as_posix()} is not beside the results: no importance matrix is drawn.")
    losses_path = path.parent / LOSSES
    losses = None
    if losses_path.exists():
        losses = _read_parquet(losses_path)
    elif any(arm.get("method") for arm in comparison["arms"]):
        notices.append(f"{LOSSES.as_posix()} is not beside the results: the error by layer is not drawn.")
    return Findings(comparison, analysis, answers, tuple(notices), importance, losses)


def _read_json(path: Path, kind: Kind) -> Json:
    next_step = "Name the quantization_comparison.json of a finished run."
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(Fault("--results", str(path), f"a readable file ({error.strerror})", next_step)) from error
    except ValueError as error:
        raise BadInput(Fault("--results", str(path), f"a JSON file ({error})", next_step)) from error
    try:
        validate(kind, value)
    except ValueError as error:
        raise BadInput(Fault("--results", str(path), f"what the schema {kind} says ({error})", next_step)) from error
    return dict(value)


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        fault = Fault(
            "--results", str(path), f"a whole parquet file ({error})", "Write the results again, or remove it."
        )
        raise BadInput(fault) from error
