"""Read a results folder: `quantization_comparison.json` and the files beside it.

Everything that charts and documents show comes from here. If a file beside it is missing, its figure is left out with a
notice. A file that does not match its schema is bad input. `reporting.analysis.results` computes the results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from conf.faults import BadInput, Fault
from conf.files import exists
from conf.user_files import read_user_text
from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.analysis.unjudged import not_judged
from reporting.file_names import ANALYSIS, ANSWER_STYLE, ANSWERS, COMPARISON, IMPORTANCE, LOSSES, QUESTIONS
from reporting.notices import Notice
from reporting.validate import Kind, validate

Json = dict[str, Any]
Role = Literal["reference", "compared", "alone"]


@dataclass(frozen=True)
class Findings:
    """The content of a results folder, and the look-ups that charts and documents need."""

    comparison: Json
    analysis: Json | None
    answers: pl.DataFrame | None = None
    notices: tuple[Notice, ...] = ()
    """What is missing from the folder."""
    importance: pl.DataFrame | None = None
    """Statistics of the importance matrices (`reporting.frames.IMPORTANCE_SCHEMA`)."""
    losses: pl.DataFrame | None = None
    """Rounding errors of the quantized tensors (`reporting.frames.LOSS_SCHEMA`)."""
    questions: pl.DataFrame | None = None
    """Questions of the answers that are shown side by side (`reporting.frames.QUESTION_SCHEMA`)."""
    lengths: pl.DataFrame | None = None
    """Length and style of each generated answer (`reporting.frames.STYLE_SCHEMA`)."""

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
        """The arms that a reader can choose from: all except A/A arms, which only measure the noise floor."""
        return [arm for arm in self.arms if not arm["name"].endswith(AA_SUFFIX)]

    @property
    def benchmarks(self) -> list[Json]:
        return list(self.comparison["benchmarks"])

    @property
    def unjudged(self) -> list[Json]:
        """The benchmarks of which no answer is judged: their tables and panels would be empty."""
        rows = self.comparison["results"]
        waiting = (one for one in self.benchmarks if one.get("rubrics"))
        return [one for one in waiting if not_judged([row for row in rows if row["benchmark"] == one["name"]])]

    @property
    def matrices(self) -> list[str]:
        """Names of the importance matrices that have statistics."""
        return [] if self.importance is None else self.importance["matrix"].unique(maintain_order=True).to_list()

    def importance_of(self, matrix: str) -> pl.DataFrame:
        """Return the statistics of one importance matrix."""
        if self.importance is None:
            raise KeyError(matrix)
        return self.importance.filter(pl.col("matrix") == matrix)

    def question(self, benchmark: str, item_id: str) -> Json | None:
        """Return `question` and `expected` of an item; None if the results folder does not have them."""
        if self.questions is None:
            return None
        own = self.questions.filter((pl.col("benchmark") == benchmark) & (pl.col("item_id") == item_id))
        return own.row(0, named=True) if own.height else None

    @property
    def categories(self) -> list[Json]:
        """Means by category of benchmarks; empty for results that were made before categories existed."""
        return list(self.comparison.get("categories", ()))

    @property
    def item_categories(self) -> list[Json]:
        """Means by the items' own categories; empty if no benchmark has them, or in older results."""
        return list(self.comparison.get("item_categories", ()))

    @property
    def comparisons(self) -> list[Json]:
        """Rows of the comparisons of arms with their references; empty without an analysis."""
        return [] if self.analysis is None else list(self.analysis["comparisons"])

    @property
    def answer_style(self) -> list[Json]:
        """Length and style of the answers by benchmark and arm; empty for results of an older version."""
        arms = {arm["name"] for arm in self.arms}
        rows = () if self.analysis is None else self.analysis.get("answer_style", ())
        return [row for row in rows if row["arm"] in arms]

    @property
    def length_across_models(self) -> list[Json]:
        """Shift of the length of answers across models; empty unless several models share a recipe."""
        return [] if self.analysis is None else list(self.analysis.get("length_across_models", ()))

    @property
    def judging(self) -> list[Json]:
        """What the analysis says about judges; empty if nothing was judged, and in older results."""
        return [] if self.analysis is None else list(self.analysis.get("judging", ()))

    @property
    def early_stop(self) -> Json | None:
        """What the analysis says about early stop; None if the run had none."""
        return None if self.analysis is None else self.analysis.get("early_stop")

    @property
    def shares_level(self) -> bool:
        """True if some comparison was looked at before, or covers only a part of its planned items."""
        looks = [row["look"] for row in self.comparisons if row.get("look")]
        return any(look["number"] > 1 or look["n_items"] < look["planned_items"] for look in looks)

    @property
    def sequential_comparisons(self) -> list[Json]:
        """The comparisons that could end early, in the order of the benchmarks."""
        rows = (row for benchmark in self.benchmarks for row in self.compared(benchmark["name"]))
        return [row for row in rows if row.get("early_stop")]

    def references(self) -> set[str]:
        """Return the names of the arms that another arm is compared with."""
        return {
            arm["reference"] for arm in self.arms if arm["reference"] is not None and arm["reference"] != arm["name"]
        }

    def role(self, arm: Json) -> Role:
        """Return the arm's role: a reference, compared with one, or alone."""
        if arm["name"] in self.references():
            return "reference"
        return "alone" if arm["reference"] is None else "compared"

    def models_in_turn(self) -> list[Json]:
        """Return the arms, those of a model together, and its references above the others."""
        models = list(dict.fromkeys(arm["model"] for arm in self.arms))
        return sorted(self.arms, key=lambda arm: (models.index(arm["model"]), self.role(arm) != "reference"))

    def primary(self, arm: str, benchmark: str) -> Json | None:
        """Return the result row that the statistics use; None if the arm has no result."""
        return next((row for row in self._rows(arm, benchmark) if row["primary"]), None)

    def shown(self, arm: str, benchmark: str) -> Json | None:
        """Return the result row that people read: the perplexity if there is one, else the primary row."""
        rows = list(self._rows(arm, benchmark))
        return next((row for row in rows if row["metric"] == "perplexity"), self.primary(arm, benchmark))

    def shown_rows(self, benchmark: str) -> dict[str, Json]:
        """Return arm name -> shown row in the order of the arms. Arms without a mean are left out."""
        rows = {arm["name"]: self.shown(arm["name"], benchmark) for arm in self.arms}
        return {name: row for name, row in rows.items() if row is not None and row["mean"] is not None}

    def compared(self, benchmark: str) -> list[Json]:
        """Return the comparisons on one benchmark, in the order of the arms."""
        return self._in_order(row for row in self.comparisons if row["benchmark"] == benchmark)

    def compared_by_other_scores(self, benchmark: str) -> list[Json]:
        """Return the comparisons on one benchmark by the scores that no verdict goes by; none in older results."""
        rows = [] if self.analysis is None else self.analysis.get("score_comparisons", [])
        return self._in_order(row for row in rows if row["benchmark"] == benchmark)

    def _in_order(self, rows: Iterable[Json]) -> list[Json]:
        order = {arm["name"]: place for place, arm in enumerate(self.arms)}
        return sorted(rows, key=lambda row: order.get(row["arm"], len(order)))

    def performance(self, arm: str) -> Json | None:
        """Return the row of an arm's speed and memory over all its benchmarks."""
        rows = (row for row in self.comparison["performance"] if row["arm"] == arm and row.get("benchmark") is None)
        return next(rows, None)

    def _rows(self, arm: str, benchmark: str) -> Iterable[Json]:
        return (row for row in self.comparison["results"] if row["arm"] == arm and row["benchmark"] == benchmark)


def read_findings(results_path: str | Path) -> Findings:
    """Read a results folder, given the path of its comparison file.

    Raises:
        BadInput: the comparison file is missing; or one of the files is not JSON, does not match its schema or is
            broken.
    """
    path = Path(results_path)
    notices: list[Notice] = []
    comparison = _read_json(path, "quantization_comparison")
    if "categories" not in comparison:
        notices.append(Notice("no_categories"))
    analysis_path = path.with_name(ANALYSIS)
    analysis = None
    if exists(analysis_path):
        analysis = _read_json(analysis_path, "statistical_analysis")
    else:
        notices.append(_missing(ANALYSIS, "no_differences_shown"))
    answers_path = path.parent / ANSWERS
    answers = None
    if exists(answers_path):
        answers = _read_parquet(answers_path)
    else:
        notices.append(_missing(ANSWERS.as_posix(), "no_answers_shown"))
    lengths_path = path.parent / ANSWER_STYLE
    lengths = None
    if exists(lengths_path):
        lengths = _read_parquet(lengths_path)
    elif (analysis or {}).get("answer_style"):
        notices.append(_missing(ANSWER_STYLE.as_posix(), "no_lengths_drawn"))
    questions_path = path.parent / QUESTIONS
    questions = None
    if exists(questions_path):
        questions = _read_parquet(questions_path)
    elif answers is not None:
        notices.append(_missing(QUESTIONS.as_posix(), "no_questions_shown"))
    importance_path = path.parent / IMPORTANCE
    importance = None
    if exists(importance_path):
        importance = _read_parquet(importance_path)
    elif comparison["imatrices"]:
        notices.append(_missing(IMPORTANCE.as_posix(), "no_importance_drawn"))
    losses_path = path.parent / LOSSES
    losses = None
    if exists(losses_path):
        losses = _read_parquet(losses_path)
    elif any(arm.get("method") for arm in comparison["arms"]):
        notices.append(_missing(LOSSES.as_posix(), "no_losses_drawn"))
    return Findings(comparison, analysis, answers, tuple(notices), importance, losses, questions, lengths)


def _missing(file: str, what: str) -> Notice:
    return Notice("missing_beside_results", file=file, what=Notice(what))


def _read_json(path: Path, kind: Kind) -> Json:
    next_step = f"Give the path of the {COMPARISON} of a finished run."
    text = read_user_text(path, key="--results", what="JSON file")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(Fault("--results", str(path), f"a JSON file ({error})", next_step)) from error
    try:
        validate(kind, value)
    except ValueError as error:
        raise BadInput(Fault("--results", str(path), f"a valid {kind} file ({error})", next_step)) from error
    return dict(value)


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path).cast({pl.Categorical: pl.String})
    except (pl.exceptions.PolarsError, OSError) as error:
        fault = Fault(
            "--results", str(path), f"a complete parquet file ({error})", "Write the results again, or delete the file."
        )
        raise BadInput(fault) from error


def unscored_of(row: Json) -> int:
    """Return the unscored records of the arm and of the reference in one comparison; 0 in older files."""
    return int(row.get("n_unscored") or 0) + int(row.get("n_unscored_reference") or 0)
