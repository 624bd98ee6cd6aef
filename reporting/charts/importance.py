"""Heat maps of an importance matrix: four statistics of each input in each layer.

Weight matrices that are multiplied with the same input (for example attn_q, attn_k and attn_v) have the same statistics
and share a row. The colour scale is cividis: it looks the same with every kind of colour vision, and its brightness
changes steadily, so it also works in grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from reporting.charts.forest import panel_title
from reporting.charts.layout import figure, height_of
from reporting.charts.style import Panelled, Specification, chart_of, tooltips
from reporting.escape import one_line
from reporting.results_folder import Json
from reporting.wording import DASH, Words

_WIDTH_PX = 330
_MOST_ROW_PX = 26
_LEAST_HEIGHT_PX = 78
_MOST_LAYER_LABELS = 12
_GROUND = "#D9D9D9"


@dataclass(frozen=True)
class _Measure:
    """One of the statistics that are drawn: its column in the table, its title and its meaning."""

    column: str
    ja: str
    en: str
    meaning_ja: str
    meaning_en: str
    percent: bool = False
    logarithmic: bool = False


_MEASURES = (
    _Measure(
        "total", "Σ 活性²", "Σ act²", "列ごとの二乗平均の和", "mean squares, summed over columns", logarithmic=True
    ),
    _Measure("entropy_share", "エントロピー", "Entropy", "最大値に対する割合", "share of its maximum", percent=True),
    _Measure(
        "outliers", "外れ値の列", "Outlying columns", "平均+1σを超える列", "more than 1σ above the mean", percent=True
    ),
    _Measure("cosine", "前の層との類似", "Similarity to the layer before", "コサイン類似度", "cosine"),
)


def importance_chart(table: pl.DataFrame, model: str, words: Words) -> Specification | None:
    """Return the chart of one importance matrix; None if it has no statistics of any layer.

    Args:
        table: the matrix's rows, with the columns of `reporting.frames.IMPORTANCE_SCHEMA`.
        model: the model that the matrix belongs to; empty if it is unknown.
        words: the language.
    """
    inside = table.drop_nulls("layer")
    if inside.height == 0:
        return None
    rows = inputs_of(inside)
    named = words.say("重要度行列", "Importance matrix")
    title = f"{named}: {one_line(str(inside['matrix'][0]), 60)}"
    what = words.say(
        "横: 層。縦: 同じ入力を受ける重み行列", "Columns: layers; rows: weight matrices with the same input"
    )
    subtitle = [
        one_line(f"{model}: {what}" if model else what, 150),
        words.say(
            f"n = {inside.height} 行列。値は実測値で、区間はない。灰色: 値なし。",
            f"n = {inside.height} matrices, all measured, so there is no interval. Grey: no value.",
        ),
    ]
    return figure([_panel(rows, measure, words) for measure in _MEASURES], title, subtitle)


def inputs_of(table: pl.DataFrame) -> list[Json]:
    """Return one row per input and layer: matrices with the same input are merged, and `input` names all of them."""
    by_kind: dict[tuple[Any, ...], list[str]] = {}
    for (kind,), own in sorted(table.partition_by("kind", as_dict=True).items()):
        content = tuple(own.sort("layer").drop("kind", "name").iter_rows())
        by_kind.setdefault(content, []).append(str(kind))
    names = {kinds[0]: one_line(", ".join(kinds), 60) for kinds in by_kind.values()}
    shown = table.filter(pl.col("kind").is_in(list(names))).sort("kind", "layer")
    return [row | {"input": names[row["kind"]]} for row in shown.to_dicts()]


def _panel(rows: list[Json], measure: _Measure, words: Words) -> Panelled:
    factor = 100 if measure.percent else 1
    values = [
        {"layer": row["layer"], "input": row["input"], "value": _drawn(row[measure.column], measure, factor)}
        | {"shown": DASH if row[measure.column] is None else f"{factor * row[measure.column]:.3g}"}
        for row in rows
    ]
    layers = sorted({row["layer"] for row in rows})
    inputs = list(dict.fromkeys(row["input"] for row in rows))
    step = -(-len(layers) // _MOST_LAYER_LABELS)
    x = alt.X(
        "layer:O",
        scale=alt.Scale(domain=layers),
        axis=alt.Axis(title=words.say("層", "Layer"), values=layers[::step], labelAngle=0, ticks=False),
    )
    y = alt.Y("input:N", scale=alt.Scale(domain=inputs), axis=alt.Axis(title=None, ticks=False, labelLimit=200))
    scale = alt.Scale(type="log" if measure.logarithmic else "linear", scheme="cividis", reverse=True, zero=False)
    legend = alt.Legend(title="%" if measure.percent else None, gradientLength=_MOST_ROW_PX * 3, gradientThickness=10)
    title = words.say(measure.ja, measure.en)
    tips = tooltips({"input": words.say("行列", "matrix"), "layer": words.say("層", "layer"), "shown": title})
    colour = alt.Color("value:Q", scale=scale, legend=legend)
    marks = chart_of(values).mark_rect().encode(x=x, y=y, color=colour, tooltip=tips)
    most = height_of(len(_MEASURES), 2, _MOST_ROW_PX * len(inputs), _LEAST_HEIGHT_PX)
    return alt.layer(
        marks,
        width=_WIDTH_PX,
        height=max(_LEAST_HEIGHT_PX, most),
        # A square without a value is not drawn, so the background shows.
        view=alt.ViewBackground(fill=_GROUND),
        title=panel_title(title, words.say(measure.meaning_ja, measure.meaning_en), _WIDTH_PX + 120),
    )


def _drawn(value: float | None, measure: _Measure, factor: int) -> float | None:
    # Zero has no logarithm.
    if value is None or (measure.logarithmic and value <= 0):
        return None
    return factor * value
