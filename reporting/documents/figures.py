"""The figures of the documents: which charts are there, with their captions."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

from conf.files import exists
from conf.schema.pipeline import Language
from reporting.charts.difference import drawn_differences
from reporting.charts.draw import importance_name
from reporting.charts.points import unjudged_note
from reporting.charts.render import page_stem
from reporting.documents.sentences.grids import grid_captions, grid_topics
from reporting.file_names import localized
from reporting.results_folder import Findings
from reporting.wording import Words

CAPTIONS = {
    "quantization_verdict": (
        "量子化で失われる品質: ファイルサイズと、基準との対応のある差。下ほど悪い。縦線: 差の95%信頼区間。",
        "What each file loses: paired difference from the reference against file size; further down is worse. Bars:"
        " 95% intervals of the difference.",
    ),
    "quantization_heatmap": (
        "判定の一覧。色と記号: 許容幅による判定。数値: 基準との対応のある差。角括弧: 差の95%信頼区間。",
        "Verdicts at a glance. Colour and symbol: verdict by the margin. Numbers: paired differences from the"
        " reference. Brackets: 95% intervals of the difference.",
    ),
    "models": (
        "モデルごとの、量子化前と後の平均値。無地: 基準。斜線: 量子化後。黒い線: 問題についての95%信頼区間。"
        "「比較なし」は、片側だけを評価したモデルである。トークナイザーが異なるモデルの間では比べられないため、"
        "パープレキシティは含まない。",
        "Mean of each model before and after quantization. Plain: reference; hatched: quantized. Black bars: 95%"
        " intervals over items. Not compared: a model of which only one side was evaluated. Perplexities are left out,"
        " because they cannot be compared between models with different tokenizers.",
    ),
    "models_memory_and_speed": (
        "モデルごとの、量子化前と後のメモリ使用量と1トークンあたりの時間。無地: 基準。斜線: 量子化後。",
        "Memory and time per token of each model before and after quantization. Plain: reference; hatched: quantized.",
    ),
    "quantization_difference": (
        "基準との対応のある差と、その95%信頼区間(多重性の補正なし)。",
        "Paired difference from the reference with its 95% confidence interval (not adjusted).",
    ),
    "quantization_performance": (
        "ベンチマークごとの性能。細い線: 問題についての95%信頼区間。太い線: サンプリングのばらつき(1.96σ/√実行回数)。",
        "Performance on each benchmark. Thin bars: 95% interval over items; thick bars: sampling noise (1.96σ/√runs).",
    ),
    "quantization_efficiency": (
        "ファイルサイズと性能。縦線: 問題についての95%信頼区間。差は対応のある差で判断し、区間の重なりでは判断しない。",
        "File size and performance. Vertical bars: 95% confidence intervals over items. Differences are judged by the "
        "paired differences, not by whether these intervals overlap.",
    ),
    "quantization_categories": (
        "カテゴリー別の性能: カテゴリー内のベンチマークの平均値を単純平均した値と、その95%信頼区間。",
        "Performance by category: unweighted mean over the benchmarks of each category, with 95% intervals.",
    ),
    "quantization_divergence": (
        "ファイルサイズと、基準からの平均 KL ダイバージェンス(95%信頼区間つき)。",
        "File size and mean KL divergence from the reference, with its 95% interval.",
    ),
    "quantization_memory": (
        "メモリ使用量と性能。縦線: 95%信頼区間。",
        "Memory against performance. Vertical bars: 95% intervals.",
    ),
    "quantization_speed": (
        "1トークンあたりの時間と性能。縦線: 95%信頼区間。",
        "Time per token against performance. Vertical bars: 95% intervals.",
    ),
    "quantization_error_by_layer": (
        "層ごとの量子化誤差: 重みの相対二乗誤差(要素数による加重平均)。",
        "Quantization error by layer: relative squared error of the weights, a mean over their elements.",
    ),
    "answer_lengths": (
        "回答の長さの分布。上: 基準。点: 各回答。太い縦線: 中央値。",
        "Distribution of answer lengths, with the reference on top. Dots: answers; thick bars: medians.",
    ),
    "thought_lengths": (
        "回答前の思考の長さ。上: 基準。細線: 中央80%。太線: 中央50%。縦線: 中央値。",
        "Length of the thoughts before an answer, with the reference on top. Thin lines: middle 80%; thick lines: "
        "middle 50%; bars: medians.",
    ),
    "answer_length_shifts": (
        "基準の回答の長さと、量子化による長さの変化。点: 問題。破線: 変化なし。太線: 平均の差。"
        "ρ は差と前後の平均の長さとの順位相関(基準の長さとの相関には、平均への回帰による見かけの関係が現れる)。",
        "Length of the reference's answers, and how quantization shifts it. Dots: items; dashed: no shift; thick: mean"
        " shift. ρ is the rank correlation of the shift with the mean of both lengths; with the reference's length"
        " alone, regression to the mean would show one where there is none.",
    ),
    "answer_styles": (
        "回答のスタイル: 各スタイルの回答の割合と95%信頼区間。どの回答にもないスタイルは省く。",
        "Style of the answers: share of the answers with each style, and its 95% interval. Styles that no answer has"
        " are left out.",
    ),
}
"""File stem -> caption in Japanese and English, in the order of the figures. The figures of a grid follow them."""

_WITH_MARGIN = {
    "quantization_verdict": (
        "網掛け: 許容幅を超える低下。「許容内」と判定するには、区間全体が網掛けより上にある必要がある。"
        "パネルの範囲より大きい低下は、下端に値とともに示す。",
        " Shaded: a loss beyond the margin. To be no worse, a bar must be wholly above the shaded area. A loss beyond"
        " the range of a panel stands at its lower border, with its value.",
    ),
    "quantization_difference": ("破線: 許容幅。", " Dashed: the margin."),
}
"""File stem -> what else the caption says if a margin is drawn."""
_WEIGHTED = (
    "重要度行列を使ったアームでは、それで重みづけした。",
    " It is weighted with the importance matrix where an arm has one.",
)
_NOT_WEIGHTED = ("重みづけはない(重要度行列なし)。", " It is not weighted: no arm has an importance matrix.")
_OF_MEANS = (
    *("models", "quantization_performance", "quantization_efficiency"),
    *("quantization_memory", "quantization_speed"),
)
"""Charts with a panel of means for each benchmark."""

TOPICS = {
    "quantization_verdict": ("量子化で失われる品質", "what each file loses"),
    "quantization_heatmap": ("判定の一覧", "the verdicts at a glance"),
    "models": ("モデルごとの性能", "the models before and after quantization"),
    "models_memory_and_speed": ("モデルごとのメモリと速度", "memory and speed of the models"),
    "quantization_difference": ("基準との差と許容幅", "differences from the reference and margins"),
    "quantization_performance": ("ベンチマークごとの性能", "performance on each benchmark"),
    "quantization_efficiency": ("ファイルサイズと性能", "file size and performance"),
    "quantization_categories": ("カテゴリー別の性能", "performance by category"),
    "quantization_divergence": ("基準からの乖離", "divergence from the reference"),
    "quantization_memory": ("メモリと性能", "memory against performance"),
    "quantization_speed": ("速度と性能", "speed against performance"),
    "quantization_error_by_layer": ("層ごとの量子化誤差", "quantization error by layer"),
    "answer_lengths": ("回答の長さ", "answer lengths"),
    "thought_lengths": ("思考の長さ", "length of the thoughts"),
    "answer_length_shifts": ("回答の長さの変化", "shifts of answer lengths"),
    "answer_styles": ("回答のスタイル", "styles of answers"),
}
"""File stem -> what the figure shows, as part of a sentence, in Japanese and English."""

_ALWAYS_DRAWN = ("quantization_performance", "quantization_efficiency")
"""Charts that every run has. Others depend on what was measured."""


@dataclass(frozen=True)
class Figure:
    """A chart of this run, with its caption."""

    name: str
    stem: str
    """Its files in the folder of charts, without suffix: the name, with the language if there are two."""
    caption: str
    topic: str = ""
    """What it shows, as part of a sentence; empty if no sentence mentions it."""
    tall: bool = False
    """True if it is higher than wide: it gets its own page, while others share one."""


def figures_of(
    findings: Findings, words: Words, charts_dir: Path, wanted: Language
) -> tuple[tuple[Figure, ...], tuple[Figure, ...], list[str]]:
    """Return the charts that are there, those of importance matrices apart, and the stems of missing ones.

    Args:
        findings: the results.
        words: the language.
        charts_dir: the folder of the charts.
        wanted: the languages that the user asked for. They decide the names of the files.
    """
    captions = {name: _caption(findings, words, name) for name in CAPTIONS} | grid_captions(findings, words)
    topics = {name: words.say(*texts) for name, texts in TOPICS.items()} | grid_topics(findings, words)
    matrices = {importance_name(matrix): _importance_caption(words, matrix) for matrix in findings.matrices}
    found = {
        name: _pages(words, charts_dir, Figure(name, localized(name, words.lang, wanted), text, topics.get(name, "")))
        for name, text in (captions | matrices).items()
    }
    # A notice reports these if they are missing: `jobs.visualize` draws them.
    expected = [*_ALWAYS_DRAWN, *(["quantization_difference"] if drawn_differences(findings) else []), *matrices]
    return (
        tuple(figure for name in captions for figure in found[name]),
        tuple(figure for name in matrices for figure in found[name]),
        [localized(name, words.lang, wanted) for name in expected if not found[name]],
    )


def _caption(findings: Findings, words: Words, name: str) -> str:
    """Return the caption of a chart, with what is special about it in this run."""
    text = words.say(*CAPTIONS[name])
    if name == "quantization_error_by_layer":
        weighted = any(arm["imatrix"] for arm in findings.arms)
        return text + words.say(*(_WEIGHTED if weighted else _NOT_WEIGHTED))
    if name in _WITH_MARGIN and any(row.get("margin") is not None for row in drawn_differences(findings)):
        text += words.say(*_WITH_MARGIN[name])
    left_out = unjudged_note(findings, words) if name in _OF_MEANS else ""
    return text + left_out


def _pages(words: Words, charts_dir: Path, figure: Figure) -> list[Figure]:
    """Return a chart and its further pictures, if it is too high for one; nothing if it is not there."""
    if not exists(charts_dir / f"{figure.stem}.png"):
        return []
    found = [replace(figure, tall=_is_tall(charts_dir / f"{figure.stem}.png"))]
    while exists(path := charts_dir / f"{(stem := page_stem(figure.stem, len(found) + 1))}.png"):
        caption = f"{words.say('(続き)', '(continued)')} {figure.caption}"
        found.append(Figure(figure.name, stem, caption, tall=_is_tall(path)))
    return found


def _importance_caption(words: Words, matrix: str) -> str:
    return words.say(
        f"重要度行列 {matrix} の層ごとの統計: 入力の二乗和、エントロピー、外れ値の列の割合、前の層との類似度。",
        f"Statistics of the importance matrix {matrix} by layer: sum of the squared inputs, entropy, share of outlier "
        "columns, similarity to the previous layer.",
    )


def _is_tall(png_path: Path) -> bool:
    """Read width and height from the first chunk of a PNG, at bytes 16 and 20 (PNG specification, 11.2.2)."""
    with open(png_path, "rb") as file:
        width_px, height_px = struct.unpack(">II", file.read(24)[16:24])
    return bool(height_px > 1.2 * width_px)
