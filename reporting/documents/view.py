"""What the templates are given: one frozen view of the findings, tables ready, nothing to compute left."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from conf.files import exists
from reporting.advice import advice, worse_arms
from reporting.charts.draw import importance_name
from reporting.documents.answers import Question, sample_questions
from reporting.documents.references import Reference, references_of
from reporting.documents.sentences.differences import evidence_counts, summary_sentences
from reporting.documents.sentences.early_stop import early_sentences, early_table
from reporting.documents.sentences.grids import GridView, grid_captions, grid_shows, grid_views
from reporting.documents.sentences.verdicts import undecided_sentences, verdict_sentences
from reporting.documents.tables import results
from reporting.documents.tables.budgets import budgets_table
from reporting.documents.tables.categories import categories_table
from reporting.documents.tables.lengths import lengths_table
from reporting.documents.tables.results import Table
from reporting.documents.tables.verdicts import divergence_view, flips_table, verdicts_table
from reporting.results_folder import Findings, Json
from reporting.wording import Words, benchmark_title
from stats.intervals import SMALL_N
from stats.paired import FEW_DIFFERENCES
from stats.sequential import FRACTIONS

CHARTS = {
    "quantization_performance": (
        "ベンチマークごとの性能。細い線は問題の抽出に対する95%信頼区間、太い線は標本化の揺れ(1.96σ/√実行回数)。",
        "Performance on each benchmark. Thin bars: 95% interval over items; thick bars: sampling noise (1.96σ/√runs).",
    ),
    "quantization_efficiency": (
        "ファイルサイズと性能。縦線は問題の抽出に対する95%信頼区間。",
        "File size against performance. Vertical bars: 95% confidence interval over items.",
    ),
    "quantization_difference": (
        "基準との対応のある差と95%信頼区間。破線は許容幅。",
        "Paired difference from the reference with its 95% confidence interval. Dashed: the margin.",
    ),
    "quantization_heatmap": (
        "すべての比較の一覧。色は効果量 d(良い向きが正)。",
        "All comparisons at a glance; the colour is the effect size d, turned so that positive is better.",
    ),
    "quantization_categories": (
        "カテゴリー別の性能: 各カテゴリーのベンチマークの平均の単純平均と95%信頼区間。",
        "Performance by category: plain mean of the means of each category's benchmarks, with 95% intervals.",
    ),
    "quantization_divergence": (
        "ファイルサイズと、基準からの平均KLダイバージェンス(95%信頼区間)。",
        "File size against the mean KL divergence from the reference, with its 95% interval.",
    ),
    "quantization_speed": (
        "メモリおよび1トークンの時間と性能。縦線は95%信頼区間。",
        "Memory and time per token against performance. Vertical bars: 95% intervals.",
    ),
    "quantization_error_by_layer": (
        "層ごとの量子化誤差: 重みの相対二乗誤差(重要度行列で重みづけ、要素数についての平均)。",
        "Quantization error by layer: relative squared error of the weights, weighted with the importance matrix.",
    ),
    "answer_lengths": (
        "回答の長さの分布。上が基準。点は回答、短い縦線は中央値。",
        "Distribution of the answers' lengths, the reference above. Dots: answers; bars: medians.",
    ),
}
"""File stem -> caption, in the order in which they are shown; after them come the figures of a grid."""

SHOWS = {
    "quantization_performance": ("ベンチマークごとの性能", "performance on each benchmark"),
    "quantization_efficiency": ("ファイルサイズと性能", "file size against performance"),
    "quantization_difference": ("基準との差と許容幅", "the differences from the reference beside the margins"),
    "quantization_heatmap": ("すべての比較の一覧", "all comparisons at a glance"),
    "quantization_categories": ("カテゴリー別の性能", "performance by category"),
    "quantization_divergence": ("基準からの乖離", "the divergence from the reference"),
    "quantization_speed": ("メモリ・速度と性能", "memory and speed against performance"),
    "quantization_error_by_layer": ("層ごとの量子化誤差", "the quantization error by layer"),
    "answer_lengths": ("回答の長さ", "the length of the answers"),
}
"""File stem -> what a sentence says that the figure shows."""

_ALWAYS = ("quantization_performance", "quantization_efficiency", "quantization_difference")
"""Charts that every run has, so that their absence is told; others depend on what was measured."""
_LEFT_TO_THE_REPORT = ("quantization_speed", "answer_lengths")
"""Charts that the scorecard has no room for."""


@dataclass(frozen=True)
class Figure:
    """A chart that exists."""

    name: str
    caption_ja: str
    caption_en: str
    tall: bool
    """Higher than wide: it gets a page of its own, where others share one."""
    shows: tuple[str, str] = ("", "")
    """What a sentence says that it shows, in Japanese and English; empty where none does."""


@dataclass(frozen=True)
class BenchmarkView:
    """One benchmark with its tables."""

    name: str
    title: str
    results: Table
    differences: Table | None


@dataclass(frozen=True)
class View:
    """Everything that a template may print."""

    words: Words
    comparison: Json
    models: Table
    arms: Table
    budgets: Table
    """Arms whose bytes were shared out by measured errors, and their controls."""
    benchmarks_used: Table
    benchmarks: tuple[BenchmarkView, ...]
    performance: Table
    unscored: Table
    settings: Table
    versions: Table
    summary: tuple[str, ...]
    ways_out: tuple[str, ...]
    """What to try, an arm that is measurably worse than its reference."""
    n_intervals: int
    n_excluding_zero: int
    figures: tuple[Figure, ...]
    importance_figures: tuple[Figure, ...]
    """One for each importance matrix."""
    grids: tuple[GridView, ...]
    """Where arms form a grid of recipes and importance matrices."""
    questions: tuple[Question, ...]
    verdicts: dict[str, tuple[str, ...]]
    """Language -> a sentence an arm, and which one may be taken."""
    undecided: dict[str, tuple[str, ...]]
    """Language -> what could not be decided, and what would decide it."""
    early: dict[str, tuple[str, ...]]
    """Language -> what ended early and what that saved; empty without early stop."""
    early_table: Table
    verdicts_table: Table
    flips: Table
    divergence: Table
    lengths: Table
    categories: Table
    references: tuple[Reference, ...]
    notices: tuple[str, ...]
    fixed_benchmark_interval: bool
    """Whether the results carry the interval of the fixed benchmark too."""
    permutation: Json | None
    """`draws` and `seed` of the sign-flip tests, where the analysis has them."""
    margins: Json | None
    """What verdicts go by, where the analysis has them."""
    small_n: int = SMALL_N
    """Items below which right/wrong metrics get Wilson's interval."""
    early_fractions: int = FRACTIONS.size
    """Stakes that the gamblers of an early stop average over."""
    few_differences: int = FEW_DIFFERENCES
    """Differing items below which a right/wrong difference gets Wilson's intervals of gains and losses."""

    @property
    def scorecard_figures(self) -> tuple[Figure, ...]:
        """Those that the scorecard has room for."""
        return tuple(figure for figure in self.figures if figure.name not in _LEFT_TO_THE_REPORT)

    @property
    def figure_labels(self) -> tuple[tuple[int, str, str], ...]:
        """Number of each of the scorecard's figures, and what it shows, in Japanese and English."""
        return tuple((number, *figure.shows) for number, figure in enumerate(self.scorecard_figures, 1))

    def cite(self, key: str) -> str:
        """The number of a reference in brackets; nothing where this run does not use it."""
        numbers = {reference.key: place for place, reference in enumerate(self.references, 1)}
        return f"[{numbers[key]}]" if key in numbers else ""


def make_view(findings: Findings, words: Words, charts_dir: Path) -> View:
    """The view; charts that are not in `charts_dir` are left out with a notice."""
    captions, shows = CHARTS | grid_captions(findings), SHOWS | grid_shows(findings)
    present = [name for name in captions if exists(charts_dir / f"{name}.png")]
    absent = [name for name in _ALWAYS if name not in present]
    importance = {importance_name(matrix): matrix for matrix in findings.matrices}
    absent += [name for name in importance if not exists(charts_dir / f"{name}.png")]
    notices = [*findings.comparison["notices"], *findings.notices]
    notices += [f"The chart {name}.png is not there: its figure is left out." for name in absent]
    n_intervals, n_excluding_zero = evidence_counts(findings)
    languages = (Words("ja"), Words("en"))
    return View(
        words=words,
        comparison=findings.comparison,
        models=results.models_table(findings, words),
        arms=results.arms_table(findings, words),
        budgets=budgets_table(findings, words),
        benchmarks_used=results.benchmarks_table(findings, words),
        benchmarks=tuple(_benchmark(findings, words, benchmark) for benchmark in findings.benchmarks),
        performance=results.performance_table(findings, words),
        unscored=results.unscored_table(findings, words),
        settings=results.settings_table(findings, words),
        versions=results.versions_table(findings, words),
        summary=tuple(summary_sentences(findings, words)),
        ways_out=tuple(advice(words, one) for one in worse_arms(findings.comparison, findings.comparisons)),
        n_intervals=n_intervals,
        n_excluding_zero=n_excluding_zero,
        figures=tuple(
            Figure(name, *captions[name], tall=_is_tall(charts_dir / f"{name}.png"), shows=shows[name])
            for name in present
        ),
        importance_figures=tuple(
            Figure(name, *_importance_caption(matrix), tall=False)
            for name, matrix in importance.items()
            if name not in absent
        ),
        grids=grid_views(findings, words),
        questions=tuple(sample_questions(findings, words)),
        verdicts={lang.lang: tuple(verdict_sentences(findings, lang)) for lang in languages},
        undecided={lang.lang: tuple(undecided_sentences(findings, lang)) for lang in languages},
        early={lang.lang: tuple(early_sentences(findings, lang)) for lang in languages},
        early_table=early_table(findings, words),
        verdicts_table=verdicts_table(findings, words),
        flips=flips_table(findings, words),
        divergence=divergence_view(findings, words),
        lengths=lengths_table(findings, words),
        categories=categories_table(findings, words, findings.arms),
        references=references_of(findings),
        notices=tuple(notices),
        permutation=None if findings.analysis is None else findings.analysis.get("permutation"),
        margins=None if findings.analysis is None else findings.analysis.get("margins"),
        fixed_benchmark_interval=any(row.get("ci95_fixed_benchmark") for row in findings.comparison["results"]),
    )


def _importance_caption(matrix: str) -> tuple[str, str]:
    return (
        f"重要度行列 {matrix} の統計。入力の二乗の和、エントロピー、外れた列の割合、前の層との類似を層ごとに示す。",
        f"Statistics of the importance matrix {matrix} by layer: sum of the squared inputs, entropy, part of outlying "
        "columns, similarity to the layer before.",
    )


def _is_tall(png_path: Path) -> bool:
    """Width and height stand in a PNG's first chunk, at bytes 16 and 20 (PNG specification, 11.2.2)."""
    with open(png_path, "rb") as file:
        width_px, height_px = struct.unpack(">II", file.read(24)[16:24])
    return bool(height_px > 1.2 * width_px)


def _benchmark(findings: Findings, words: Words, benchmark: Json) -> BenchmarkView:
    return BenchmarkView(
        name=benchmark["name"],
        title=benchmark_title(words, benchmark),
        results=results.results_table(findings, words, benchmark),
        differences=results.differences_table(findings, words, benchmark),
    )
