"""Heat map of the quantization error: one row per arm, one column per layer, the error of the weights as colour.

The error of a tensor is its squared rounding error relative to its squared weights. Both sums are weighted with the
mean squared activations in the importance matrix that the arm was made with (without a matrix, all columns count the
same). The error of a layer is the mean over its tensors, weighted by their number of elements. The colour scale is
cividis, which looks the same with every kind of colour vision. It is logarithmic, because the errors of types differ by
orders of magnitude.
"""

from __future__ import annotations

import altair as alt
import polars as pl

from reporting.charts.labels import arm_text
from reporting.charts.layout import figure, row_px
from reporting.charts.points import ARM_LABEL_CHARS
from reporting.charts.style import Panelled, Specification, at_px, chart_of, model_line, models_text, tooltips
from reporting.results_folder import Findings, Json
from reporting.wording import Words, integer

_WIDTH_PX = 620
_MOST_ROW_PX = 24
_MOST_LAYER_LABELS = 20
_GROUND = "#D9D9D9"
_EMBEDDING, _OUTPUT = "emb.", "out."
_OUTSIDE = {"token_embd": _EMBEDDING, "output": _OUTPUT}
"""Tensors outside the layers that have their own column. Other such tensors (for example a projection) are few and
small, and are not drawn."""


def losses_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart, one panel per model; None if nothing was quantized, or if the results have no errors."""
    if findings.losses is None:
        return None
    height = row_px(len(findings.arms), 1, 1, _MOST_ROW_PX)
    drawn = [panel for model in findings.models if (panel := _panel(findings, words, model, height)) is not None]
    if not drawn:
        return None
    models = models_text(findings, words)
    subtitle = [
        words.say(
            f"{models}: 重みの相対二乗誤差(右端: モデル全体)", f"{models}: relative squared error of the weights"
        ),
        words.say(
            "n: 量子化したテンソルの数。値は実測値で、区間はない。灰色: 誤差なし。",
            "n: quantized tensors, all measured, so there is no interval. Right: the whole model. Grey: no error.",
        ),
    ]
    return figure(drawn, words.say("層ごとの量子化誤差", "Quantization error by layer"), subtitle, columns=1)


def errors_by_layer(losses: pl.DataFrame) -> pl.DataFrame:
    """Return a table with `arm`, `place` (the number of a layer, or `emb.` or `out.`) and `error` (the mean error)."""
    known = losses.filter(pl.col("energy") > 0).with_columns(
        place=pl.col("layer").cast(pl.String).fill_null(pl.col("kind").replace_strict(_OUTSIDE, default=None))
    )
    return known.drop_nulls("place").group_by("arm", "place", maintain_order=True).agg(error=_mean_error())


def _mean_error() -> pl.Expr:
    """Return the mean of the relative errors, weighted by each tensor's number of elements."""
    relative = pl.col("error") / pl.col("energy")
    return (pl.col("n_elements") * relative).sum() / pl.col("n_elements").sum()


def _panel(findings: Findings, words: Words, model: Json, height_px: int) -> Panelled | None:
    assert findings.losses is not None
    names = [arm["name"] for arm in findings.arms if arm["model"] == model["name"]]
    own = findings.losses.filter(pl.col("arm").is_in(names))
    if own.height == 0:
        return None
    table = errors_by_layer(own)
    # Zero has no logarithm: a layer without any error shows the background.
    squares = [
        {"arm": arm_text(arm, ARM_LABEL_CHARS), "place": place, "error": 100 * error if error > 0 else None}
        | {"value": _percent(error)}
        for arm, place, error in table.iter_rows()
    ]
    if all(square["error"] is None for square in squares):
        return None
    whole = own.filter(pl.col("energy") > 0).group_by("arm").agg(error=_mean_error())
    totals = {str(arm): float(error) for arm, error in whole.iter_rows()}
    shown = {arm_text(name, ARM_LABEL_CHARS): _percent(totals[name]) for name in names if name in totals}
    labels = list(shown)
    y = alt.Y("arm:N", scale=alt.Scale(domain=labels), axis=alt.Axis(title=None, ticks=False))
    marks = (
        chart_of(squares)
        .mark_rect()
        .encode(
            x=_layer_axis(table, words),
            y=y,
            color=_colour(words),
            tooltip=tooltips(
                {
                    "arm": words.say("アーム", "arm"),
                    "place": words.say("層", "layer"),
                    "value": words.say("相対誤差", "error"),
                }
            ),
        )
    )
    texts = chart_of([{"arm": label, "text": text} for label, text in shown.items()])
    beside = texts.mark_text(align="left", fontSize=10.5).encode(y=y, x=at_px(_WIDTH_PX + 6), text=alt.Text("text:N"))
    n = integer(own["tensor"].n_unique())
    return alt.layer(
        marks,
        beside,
        width=_WIDTH_PX,
        height=max(2 * _MOST_ROW_PX, height_px * len(labels)),
        view=alt.ViewBackground(fill=_GROUND),
        title=alt.TitleParams(text=model_line(model, words), subtitle=f"n = {n} {words.say('テンソル', 'tensors')}"),
    )


def _layer_axis(table: pl.DataFrame, words: Words) -> alt.X:
    """Return the axis: the embedding, the layers in order, the output."""
    found = set(table["place"])
    layers = sorted(found - {_EMBEDDING, _OUTPUT}, key=int)
    ends = [[place] if place in found else [] for place in (_EMBEDDING, _OUTPUT)]
    places = [*ends[0], *layers, *ends[1]]
    step = -(-len(layers) // _MOST_LAYER_LABELS) or 1
    axis = alt.Axis(
        title=words.say("層", "Layer"),
        values=[*ends[0], *layers[::step], *ends[1]],
        labelAngle=0,
        ticks=False,
        labelOverlap=False,
    )
    return alt.X("place:O", scale=alt.Scale(domain=places), axis=axis)


def _colour(words: Words) -> alt.Color:
    legend = alt.Legend(
        title=words.say("相対誤差 (%)", "Relative error (%)"),
        orient="bottom",
        gradientLength=240,
        gradientThickness=10,
        format="~g",
        titleLimit=300,
    )
    return alt.Color("error:Q", scale=alt.Scale(type="log", scheme="cividis", reverse=True), legend=legend)


def _percent(error: float) -> str:
    return f"{100 * error:.2g}%"
