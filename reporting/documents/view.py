"""What the templates print: one frozen view of the findings, with every table and sentence ready."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from conf.files import exists
from reporting.advice import advice, worse_arms
from reporting.charts.draw import importance_name
from reporting.documents.answers import ComparedAnswers, answers_to_compare
from reporting.documents.grid_section import GridSection, grid_sections
from reporting.documents.references import Reference, references_of
from reporting.documents.sentences.differences import count_intervals, difference_sentences
from reporting.documents.sentences.early_stop import early_stop_sentences
from reporting.documents.sentences.grids import grid_captions, grid_topics
from reporting.documents.sentences.looks import look_sentences, rule_sentences
from reporting.documents.sentences.pooled import pooled_sentences
from reporting.documents.sentences.verdicts import undecided_sentences, verdict_sentences
from reporting.documents.tables import results
from reporting.documents.tables.budgets import budgets_table
from reporting.documents.tables.categories import categories_table
from reporting.documents.tables.early_stop import early_stop_table
from reporting.documents.tables.lengths import lengths_table
from reporting.documents.tables.performance import performance_table
from reporting.documents.tables.results import Table
from reporting.documents.tables.scores import scores_table
from reporting.documents.tables.verdicts import divergence_table, flips_table, verdicts_table
from reporting.frames import GOLD_COLUMNS
from reporting.results_folder import Findings, Json
from reporting.wording import METRICS, Words, benchmark_title
from stats.intervals import FEW_APART, SMALL_N
from stats.paired import FEW_DIFFERENCES
from stats.sequential import FRACTIONS

CAPTIONS = {
    "quantization_performance": (
        "ベンチマークごとの性能。細い線: 問題についての95%信頼区間。太い線: サンプリングのばらつき(1.96σ/√実行回数)。",
        "Performance on each benchmark. Thin bars: 95% interval over items; thick bars: sampling noise (1.96σ/√runs).",
    ),
    "quantization_efficiency": (
        "ファイルサイズと性能。縦線: 問題についての95%信頼区間。",
        "File size and performance. Vertical bars: 95% confidence interval over items.",
    ),
    "quantization_difference": (
        "基準との対応のある差と95%信頼区間。破線: 許容幅。",
        "Paired difference from the reference with its 95% confidence interval. Dashed: the margin.",
    ),
    "quantization_heatmap": (
        "すべての比較の一覧。色: 効果量 d(正は改善)。",
        "All comparisons at a glance. Colour: effect size d, with its sign set so that positive is better.",
    ),
    "quantization_categories": (
        "カテゴリー別の性能: カテゴリー内のベンチマークの平均値を単純平均した値と、その95%信頼区間。",
        "Performance by category: unweighted mean over the benchmarks of each category, with 95% intervals.",
    ),
    "quantization_divergence": (
        "ファイルサイズと、基準からの平均 KL ダイバージェンス(95%信頼区間つき)。",
        "File size and mean KL divergence from the reference, with its 95% interval.",
    ),
    "quantization_speed": (
        "メモリ使用量、1トークンあたりの時間と性能。縦線: 95%信頼区間。",
        "Memory, time per token and performance. Vertical bars: 95% intervals.",
    ),
    "quantization_error_by_layer": (
        "層ごとの量子化誤差: 重要度行列で重みづけした、重みの相対二乗誤差(要素数による加重平均)。",
        "Quantization error by layer: relative squared error of the weights, weighted with the importance matrix.",
    ),
    "answer_lengths": (
        "回答の長さの分布。上: 基準。点: 各回答。短い縦線: 中央値。",
        "Distribution of answer lengths, with the reference on top. Dots: answers; bars: medians.",
    ),
}
"""File stem -> caption in Japanese and English, in the order of the figures. The figures of a grid follow them."""

TOPICS = {
    "quantization_performance": ("ベンチマークごとの性能", "performance on each benchmark"),
    "quantization_efficiency": ("ファイルサイズと性能", "file size and performance"),
    "quantization_difference": ("基準との差と許容幅", "differences from the reference and margins"),
    "quantization_heatmap": ("すべての比較の一覧", "all comparisons at a glance"),
    "quantization_categories": ("カテゴリー別の性能", "performance by category"),
    "quantization_divergence": ("基準からの乖離", "divergence from the reference"),
    "quantization_speed": ("メモリ・速度と性能", "memory and speed against performance"),
    "quantization_error_by_layer": ("層ごとの量子化誤差", "quantization error by layer"),
    "answer_lengths": ("回答の長さ", "answer lengths"),
}
"""File stem -> what the figure shows, as part of a sentence, in Japanese and English."""

_EXPECTED_CHARTS = ("quantization_performance", "quantization_efficiency", "quantization_difference")
"""Charts that every run has: a notice reports a missing one. Other charts depend on what was measured."""
_REPORT_ONLY = ("quantization_speed", "answer_lengths")
"""Charts that the scorecard has no room for."""


@dataclass(frozen=True)
class Figure:
    """A chart of this run, with its caption."""

    name: str
    caption_ja: str
    caption_en: str
    tall: bool
    """True if it is higher than wide: it gets its own page, while others share one."""
    topic: tuple[str, str] = ("", "")
    """What it shows, as part of a sentence, in Japanese and English; empty if no sentence mentions it."""


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
    """Everything that a template may print. A text that depends on the language is stored by language: `ja`, `en`."""

    words: Words
    comparison: Json
    models: Table
    arms: Table
    budgets: Table
    """Arms whose types were chosen by measured errors within a byte budget, and their controls."""
    benchmarks_used: Table
    benchmarks: tuple[BenchmarkTables, ...]
    performance: Table
    unscored: Table
    settings: Table
    versions: Table
    differences: tuple[str, ...]
    """One sentence per arm and benchmark."""
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
    verdicts: dict[str, tuple[str, ...]]
    """Language -> the verdict of each arm, and the smallest arm that may be shipped."""
    undecided: dict[str, tuple[str, ...]]
    """Language -> what could not be decided, and what would decide it."""
    early_stop: dict[str, tuple[str, ...]]
    """Language -> what ended early, and what that saved; empty without early stop."""
    looks: dict[str, tuple[str, ...]]
    """Language -> what the intervals allow for if somebody looked before, and which further looks are paid for."""
    rule_changes: dict[str, tuple[str, ...]]
    """Language -> the margins that were changed after the evaluation had begun."""
    early_stop_table: Table
    verdicts_table: Table
    flips: Table
    divergence: Table
    lengths: Table
    categories: Table
    references: tuple[Reference, ...]
    notices: tuple[str, ...]
    fixed_benchmark_interval: bool
    """True if the results also have intervals for a fixed set of items."""
    permutation: Json | None
    """`draws` and `seed` of the sign-flip tests; None if the analysis does not have them."""
    margins: Json | None
    """The margins of the verdicts; None if the analysis does not have them."""
    rules_fixed: bool | None
    """True if the margins were fixed before the run; None if the results do not know."""
    pooled: bool
    """True if the claim "no worse on average" is made."""
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
    def margins_by_score(self) -> list[tuple[str, str, float]]:
        """Names in Japanese and English and margins of the scores beside accuracy that some verdict goes by."""
        chosen = {one.get("verdict_score") for one in self.comparison["benchmarks"]}
        scores = [name for name in GOLD_COLUMNS if name in chosen and self.margins is not None]
        return [(*METRICS[name], (self.margins or {})[name]) for name in scores]

    @property
    def scorecard_figures(self) -> tuple[Figure, ...]:
        """The figures that the scorecard has room for."""
        return tuple(figure for figure in self.figures if figure.name not in _REPORT_ONLY)

    @property
    def scorecard_topics(self) -> tuple[tuple[int, str, str], ...]:
        """The number of each figure of the scorecard, and what it shows, in Japanese and English."""
        return tuple((number, *figure.topic) for number, figure in enumerate(self.scorecard_figures, 1))

    def cite(self, key: str) -> str:
        """Return the number of a reference in brackets; an empty string if this run does not cite it."""
        numbers = {reference.key: place for place, reference in enumerate(self.references, 1)}
        return f"[{numbers[key]}]" if key in numbers else ""


def make_view(findings: Findings, words: Words, charts_dir: Path) -> View:
    """Return the view. Charts that are not in `charts_dir` are left out with a notice."""
    captions, topics = CAPTIONS | grid_captions(findings), TOPICS | grid_topics(findings)
    present = [name for name in captions if exists(charts_dir / f"{name}.png")]
    absent = [name for name in _EXPECTED_CHARTS if name not in present]
    importance = {importance_name(matrix): matrix for matrix in findings.matrices}
    absent += [name for name in importance if not exists(charts_dir / f"{name}.png")]
    notices = [*findings.comparison["notices"], *findings.notices]
    notices += [f"{name}.png is missing, so its figure is left out; jobs.visualize draws it." for name in absent]
    n_intervals, n_excluding_zero = count_intervals(findings)
    languages = (Words("ja"), Words("en"))
    return View(
        words=words,
        comparison=findings.comparison,
        models=results.models_table(findings, words),
        arms=results.arms_table(findings, words),
        budgets=budgets_table(findings, words),
        benchmarks_used=results.benchmarks_table(findings, words),
        benchmarks=tuple(_benchmark_tables(findings, words, benchmark) for benchmark in findings.benchmarks),
        performance=performance_table(findings, words),
        unscored=results.unscored_table(findings, words),
        settings=results.settings_table(findings, words),
        versions=results.versions_table(findings, words),
        differences=tuple(difference_sentences(findings, words)),
        advice=tuple(advice(words, one) for one in worse_arms(findings.comparison, findings.analysis)),
        n_intervals=n_intervals,
        n_excluding_zero=n_excluding_zero,
        figures=tuple(
            Figure(name, *captions[name], tall=_is_tall(charts_dir / f"{name}.png"), topic=topics[name])
            for name in present
        ),
        importance_figures=tuple(
            Figure(name, *_importance_caption(matrix), tall=False)
            for name, matrix in importance.items()
            if name not in absent
        ),
        grids=grid_sections(findings, words),
        compared_answers=tuple(answers_to_compare(findings, words)),
        verdicts={
            lang.lang: (*verdict_sentences(findings, lang), *pooled_sentences(findings, lang)) for lang in languages
        },
        undecided={lang.lang: tuple(undecided_sentences(findings, lang)) for lang in languages},
        early_stop={lang.lang: tuple(early_stop_sentences(findings, lang)) for lang in languages},
        looks={lang.lang: tuple(look_sentences(findings, lang)) for lang in languages},
        rule_changes={lang.lang: tuple(rule_sentences(findings, lang)) for lang in languages},
        early_stop_table=early_stop_table(findings, words),
        verdicts_table=verdicts_table(findings, words),
        flips=flips_table(findings, words),
        divergence=divergence_table(findings, words),
        lengths=lengths_table(findings, words),
        categories=categories_table(findings, words, findings.arms),
        references=references_of(findings),
        notices=tuple(notices),
        permutation=None if findings.analysis is None else findings.analysis.get("permutation"),
        margins=None if findings.analysis is None else findings.analysis.get("margins"),
        rules_fixed=None if findings.analysis is None else findings.analysis.get("rules_fixed"),
        pooled=bool(findings.analysis and findings.analysis.get("pooled")),
        has_scores=bool((findings.analysis or {}).get("score_comparisons")),
        fixed_benchmark_interval=any(row.get("ci95_fixed_benchmark") for row in findings.comparison["results"]),
    )


def _importance_caption(matrix: str) -> tuple[str, str]:
    return (
        f"重要度行列 {matrix} の層ごとの統計: 入力の二乗和、エントロピー、外れ値の列の割合、前の層との類似度。",
        f"Statistics of the importance matrix {matrix} by layer: sum of the squared inputs, entropy, share of outlier "
        "columns, similarity to the previous layer.",
    )


def _is_tall(png_path: Path) -> bool:
    """Read width and height from the first chunk of a PNG, at bytes 16 and 20 (PNG specification, 11.2.2)."""
    with open(png_path, "rb") as file:
        width_px, height_px = struct.unpack(">II", file.read(24)[16:24])
    return bool(height_px > 1.2 * width_px)


def _benchmark_tables(findings: Findings, words: Words, benchmark: Json) -> BenchmarkTables:
    return BenchmarkTables(
        name=benchmark["name"],
        title=benchmark_title(words, benchmark),
        results=results.results_table(findings, words, benchmark),
        differences=results.differences_table(findings, words, benchmark),
        scores=scores_table(findings, words, benchmark),
    )
