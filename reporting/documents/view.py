"""What the templates print: one frozen view of the findings, with every table and sentence ready."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conf.schema.pipeline import Language
from reporting.advice import advice, worse_arms
from reporting.documents.answers import ComparedAnswers, answers_to_compare
from reporting.documents.figures import Figure, figures_of
from reporting.documents.grid_section import GridSection, grid_sections
from reporting.documents.references import Reference, references_of
from reporting.documents.sentences.differences import count_intervals
from reporting.documents.sentences.early_stop import early_stop_sentences
from reporting.documents.sentences.judging import judging_sentences
from reporting.documents.sentences.looks import look_sentences, look_summary, rule_sentences
from reporting.documents.sentences.pooled import pooled_notes
from reporting.documents.sentences.styles import style_sentences
from reporting.documents.sentences.verdicts import verdict_notes
from reporting.documents.tables import results
from reporting.documents.tables.box import box_notes, box_table
from reporting.documents.tables.budgets import budgets_table
from reporting.documents.tables.categories import categories_table
from reporting.documents.tables.early_stop import early_stop_table
from reporting.documents.tables.item_categories import item_categories_table
from reporting.documents.tables.judging import corrected_table, judged_arms_table, judges_table
from reporting.documents.tables.lengths import across_models_table, lengths_table, styles_table
from reporting.documents.tables.models import model_facts_table
from reporting.documents.tables.performance import performance_table
from reporting.documents.tables.results import Table
from reporting.documents.tables.scores import scores_table
from reporting.documents.tables.thoughts import thinking_table, thoughts_table
from reporting.documents.tables.verdicts import divergence_table, flips_table, undecided_table, verdicts_table
from reporting.frames import GOLD_COLUMNS
from reporting.judging_reasons import JUDGE_SCORE
from reporting.notices import Notice, notices_of, say_notice
from reporting.results_folder import Findings, Json
from reporting.verdict_box import VerdictBox, verdict_boxes
from reporting.wording import Words, benchmark_title, method_title, metric_title
from stats.intervals import FEW_APART, SMALL_N
from stats.paired import FEW_DIFFERENCES
from stats.sequential import FRACTIONS

_REPORT_ONLY = (
    *("quantization_memory", "quantization_speed", "models_memory_and_speed"),
    *("answer_lengths", "answer_length_shifts", "answer_styles", "thought_lengths"),
)
"""Charts that the scorecard has no room for."""


@dataclass(frozen=True)
class BenchmarkTables:
    """The tables of one benchmark."""

    name: str
    title: str
    results: Table
    differences: Table | None
    scores: Table | None
    """Differences by the scores that no verdict goes by."""


@dataclass(frozen=True)
class View:
    """Everything that a template may print, in one language."""

    words: Words
    comparison: Json
    boxes: tuple[VerdictBox, ...]
    """One per reference: which file to take, what each one costs, what is undecided. None without verdicts."""
    box_tables: tuple[Table, ...]
    """The table of each box."""
    box_notes: tuple[tuple[str, ...], ...]
    """What stands below the table of each box."""
    models: Table
    model_facts: Table
    """What the files state about the models."""
    arms: Table
    budgets: Table
    """Arms whose types were chosen by measured errors within a byte budget, and their controls."""
    benchmarks_used: Table
    benchmarks: tuple[BenchmarkTables, ...]
    performance: Table
    unscored: Table
    settings: Table
    versions: Table
    advice: tuple[str, ...]
    """What to try: one sentence per arm that is measurably worse than its reference."""
    n_intervals: int
    """Comparisons that have an interval."""
    n_excluding_zero: int
    """Comparisons whose interval excludes 0."""
    figures: tuple[Figure, ...]
    importance_figures: tuple[Figure, ...]
    """One per importance matrix."""
    grids: tuple[GridSection, ...]
    """One per grid of recipes and importance matrices that the arms form."""
    compared_answers: tuple[ComparedAnswers, ...]
    verdict_notes: tuple[str, ...]
    """What box and table of the verdicts do not say."""
    early_stop: tuple[str, ...]
    """What ended early, and what that saved; empty without early stop."""
    looks: tuple[str, ...]
    """What the intervals allow for if somebody looked before, and which further looks are paid for."""
    look_summary: str
    """The same in one short sentence; empty if there is nothing to say."""
    rule_changes: tuple[str, ...]
    """The margins that were changed after the evaluation had begun."""
    early_stop_table: Table
    verdicts_table: Table
    undecided_table: Table
    flips: Table
    divergence: Table
    lengths: Table
    styles: Table
    style_sentences: tuple[str, ...]
    """What stands out in the length and style of the answers."""
    lengths_across_models: Table
    thinking: Table
    """How arms may think; no rows if none does."""
    thoughts: Table
    judges: Table
    """How far judges agree. This table, the next two and the sentences are empty if nothing was judged."""
    judged_arms: Table
    corrected: Table
    judging: tuple[str, ...]
    categories: Table
    item_categories: Table
    references: tuple[Reference, ...]
    notices: tuple[str, ...]
    own_notices: tuple[Notice, ...]
    """Those that are not in the results: what is missing from the folder."""
    fixed_benchmark_interval: bool
    """True if the results also have intervals for a fixed set of items."""
    permutation: Json | None
    """`draws` and `seed` of the sign-flip tests; None if the analysis does not have them."""
    methods: tuple[tuple[str, str], ...]
    """Names and codes of the methods of intervals and tests that the tables name."""
    margins: Json | None
    """The margins of the verdicts; None if the analysis does not have them."""
    rules_fixed: bool | None
    """True if the margins were fixed before the run; None if the results do not know."""
    pooled: bool
    """True if the claim "no worse on average" is made."""
    side_by_side: Path | None = None
    """The page with all answers side by side, which stands in the folder of the report; None if there is none."""
    has_scores: bool = False
    """True if some benchmark has continuous scores beside accuracy."""
    small_n: int = SMALL_N
    """With fewer items than this, right/wrong metrics get Wilson's interval."""
    few_apart: int = FEW_APART
    """With fewer items than this that are not all wrong, or not all right, they get it at any number of items."""
    early_fractions: int = FRACTIONS.size
    """Number of stakes that the betting sequence of an early stop averages over."""
    few_differences: int = FEW_DIFFERENCES
    """With fewer differing items than this, a right/wrong difference gets Wilson's intervals of gains and losses."""

    @property
    def margins_by_score(self) -> list[tuple[str, float]]:
        """Names and margins of the scores beside accuracy that some verdict goes by."""
        chosen = {one.get("verdict_score") for one in self.comparison["benchmarks"]}
        scores = [name for name in GOLD_COLUMNS if name in chosen and self.margins is not None]
        named = [(metric_title(self.words, name), (self.margins or {})[name]) for name in scores]
        judged = (self.margins or {}).get("judged")
        if judged is not None and any(one.get("rubrics") for one in self.comparison["benchmarks"]):
            named.append((metric_title(self.words, JUDGE_SCORE), judged))
        return named

    @property
    def scorecard_figures(self) -> tuple[Figure, ...]:
        """The figures that the scorecard has room for."""
        return tuple(figure for figure in self.figures if figure.name not in _REPORT_ONLY)

    @property
    def scorecard_topics(self) -> tuple[tuple[int, str], ...]:
        """The number of each figure of the scorecard, and what it shows."""
        return tuple((number, figure.topic) for number, figure in enumerate(self.scorecard_figures, 1) if figure.topic)

    def cite(self, key: str) -> str:
        """Return the number of a reference in brackets; an empty string if this run does not cite it."""
        numbers = {reference.key: place for place, reference in enumerate(self.references, 1)}
        return f"[{numbers[key]}]" if key in numbers else ""


def make_view(findings: Findings, words: Words, charts_dir: Path, wanted: Language | None = None) -> View:
    """Return the view. Charts that are not in `charts_dir` are left out with a notice.

    Args:
        findings: the results.
        words: the language.
        charts_dir: the folder of the charts.
        wanted: the languages that the user asked for, which decide the names of the charts; None: only this one.
    """
    figures, importance_figures, absent = figures_of(findings, words, charts_dir, wanted or words.lang)
    own_notices = (*findings.notices, *(Notice("figure_missing", name=name) for name in absent))
    boxes = verdict_boxes(findings.comparison, findings.analysis, words)
    n_intervals, n_excluding_zero = count_intervals(findings)
    return View(
        words=words,
        comparison=findings.comparison,
        boxes=boxes,
        box_tables=tuple(box_table(words, box) for box in boxes),
        box_notes=tuple(box_notes(words, box) for box in boxes),
        models=results.models_table(findings, words),
        model_facts=model_facts_table(findings, words),
        arms=results.arms_table(findings, words),
        budgets=budgets_table(findings, words),
        benchmarks_used=results.benchmarks_table(findings, words),
        benchmarks=tuple(
            _benchmark_tables(findings, words, benchmark)
            for benchmark in findings.benchmarks
            if benchmark not in findings.unjudged
        ),
        performance=performance_table(findings, words),
        unscored=results.unscored_table(findings, words),
        settings=results.settings_table(findings, words),
        versions=results.versions_table(findings, words),
        advice=tuple(advice(words, one) for one in worse_arms(findings.comparison, findings.analysis)),
        n_intervals=n_intervals,
        n_excluding_zero=n_excluding_zero,
        figures=figures,
        importance_figures=importance_figures,
        grids=grid_sections(findings, words),
        compared_answers=tuple(answers_to_compare(findings, words)),
        verdict_notes=(*verdict_notes(findings, words), *pooled_notes(findings, words)),
        early_stop=tuple(early_stop_sentences(findings, words)),
        looks=tuple(look_sentences(findings, words)),
        look_summary=look_summary(findings, words),
        rule_changes=tuple(rule_sentences(findings, words)),
        early_stop_table=early_stop_table(findings, words),
        verdicts_table=verdicts_table(findings, words),
        undecided_table=undecided_table(findings, words),
        flips=flips_table(findings, words),
        divergence=divergence_table(findings, words),
        lengths=lengths_table(findings, words),
        styles=styles_table(findings, words),
        style_sentences=tuple(style_sentences(findings, words)),
        lengths_across_models=across_models_table(findings, words),
        thinking=thinking_table(findings, words),
        thoughts=thoughts_table(findings, words),
        judges=judges_table(findings, words),
        judged_arms=judged_arms_table(findings, words),
        corrected=corrected_table(findings, words),
        judging=tuple(judging_sentences(findings, words)),
        categories=categories_table(findings, words, findings.arms),
        item_categories=item_categories_table(findings, words),
        references=references_of(findings),
        notices=tuple(say_notice(words, one) for one in (*notices_of(findings.comparison), *own_notices)),
        own_notices=own_notices,
        permutation=None if findings.analysis is None else findings.analysis.get("permutation"),
        methods=_methods(findings, words),
        margins=None if findings.analysis is None else findings.analysis.get("margins"),
        rules_fixed=None if findings.analysis is None else findings.analysis.get("rules_fixed"),
        pooled=bool(findings.analysis and findings.analysis.get("pooled")),
        has_scores=bool((findings.analysis or {}).get("score_comparisons")),
        fixed_benchmark_interval=any(row.get("ci95_fixed_benchmark") for row in findings.comparison["results"]),
    )


def _methods(findings: Findings, words: Words) -> tuple[tuple[str, str], ...]:
    rows = [*findings.comparison["results"], *findings.comparisons]
    codes = dict.fromkeys(row[name] for name in ("ci_method", "test") for row in rows if row.get(name))
    return tuple((method_title(words, code), code) for code in codes)


def _benchmark_tables(findings: Findings, words: Words, benchmark: Json) -> BenchmarkTables:
    return BenchmarkTables(
        name=benchmark["name"],
        title=benchmark_title(words, benchmark),
        results=results.results_table(findings, words, benchmark),
        differences=results.differences_table(findings, words, benchmark),
        scores=scores_table(findings, words, benchmark),
    )
