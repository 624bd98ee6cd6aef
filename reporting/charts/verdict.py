"""The picture that answers the question: what each file loses, against its size.

One panel for the claim on average, then one for each benchmark. Each point is the paired difference of an arm from its
reference. Worse is always further down, whichever sign it has. The shaded area is a loss beyond the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from reporting.charts.difference import difference_title, margin_of, pairs_text
from reporting.charts.efficiency import size_cost
from reporting.charts.forest import panel_title
from reporting.charts.labels import Box, Spot, arm_text
from reporting.charts.layout import columns_of, figure, height_of
from reporting.charts.points import Range, domain, possible_differences
from reporting.charts.scatter import (
    LEAST_HEIGHT_PX,
    Cost,
    Place,
    cost_axis,
    label_layers,
    side_by_side,
    width_of,
    y_axis,
)
from reporting.charts.style import (
    GREY,
    INK,
    TEXT_PX,
    VERDICTS,
    Panelled,
    Specification,
    at_px,
    chart_of,
    interval_tooltips,
    models_text,
    verdict_code,
    verdict_title,
)
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import RIGHT_OR_WRONG, Scale, Words, benchmark_title, difference_scale, integer, number

_MOST_HEIGHT_PX = 280
_FAR = 2
"""An arm whose whole interval is a loss of more than so many margins may stand at the lower border, with its value."""
_SQUEEZED = 2
"""It does so if the y axis would else be more than so many times as long, and if most arms do not."""
_ROOM, _BORDER = 0.25, 0.05
"""Room for such arms, relative to the axis without it; how far from the border they stand, as a share of the height."""
_RIGHT_PX = 74
"""Room for the names of the lines, right of the panel."""
_LINE_PX = 14.0
_BEYOND = "#FBEBE0"


@dataclass(frozen=True)
class _Part:
    """The content of one panel."""

    title: str
    subtitle: str
    axis_title: str
    rows: Sequence[Json]
    scale: Scale
    margin: float | None
    """In the unit of the axis, with its sign."""
    downwards: bool
    possible: Range

    @property
    def factor(self) -> int:
        return 100 if self.scale.percent else 1


def verdict_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart; None if nothing was compared, or if no arm that was compared has a file size."""
    cost = size_cost(findings, words)
    parts = [
        part for part in (_on_average(findings, words, cost), *_singles(findings, words, cost)) if part is not None
    ]
    if not parts:
        return None
    columns = columns_of(len(parts))
    size_px = (
        width_of(columns) - (_RIGHT_PX if columns > 1 else 0),
        height_of(len(parts), columns, _MOST_HEIGHT_PX, LEAST_HEIGHT_PX),
    )
    codes = [code for code in VERDICTS if any(verdict_code(row) == code for part in parts for row in part.rows)]
    drawn = [_panel(part, cost, size_px, codes, words) for part in parts]
    models = models_text(findings, words)
    subtitle = [
        words.say(
            f"{models}: ファイルサイズと、基準との対応のある差(下ほど悪い)",
            f"{models}: paired difference from the reference against file size; further down is worse",
        ),
        _about_bars(words, has_margin=any(part.margin is not None for part in parts)),
    ]
    title = words.say("量子化で失われる品質", "What each quantization loses")
    return figure(drawn, title, subtitle, columns=columns, shared=("color", "shape", "fill"))


def _about_bars(words: Words, *, has_margin: bool) -> str:
    """Return what the bars are, and what of them decides. Nothing is shaded where no margin is set."""
    if not has_margin:
        return words.say(
            "縦線: 差の95%信頼区間。許容幅が未設定のため、判定はない。",
            "Bars: 95% interval. No margin is set, so there are no verdicts.",
        )
    return words.say(
        "縦線: 差の95%信頼区間。全体が網掛け(許容幅を超える低下)より上にあることが「許容内」の条件。",
        "Bars: 95% interval. To be no worse, it must be wholly above the shaded area (a loss beyond the margin).",
    )


def _on_average(findings: Findings, words: Words, cost: Cost) -> _Part | None:
    rows = _drawable((findings.analysis or {}).get("pooled") or [], cost)
    if not rows:
        return None
    names = [one["benchmark"] for one in rows[0]["benchmarks"]]
    margin = -100 * float(rows[0]["margin"])
    return _Part(
        title=words.say(f"{len(names)} ベンチマークの平均", f"On average over {len(names)} benchmarks"),
        subtitle=pairs_text(words, rows),
        axis_title=difference_title(words, "accuracy", [row["reference"] for row in rows], "pp"),
        rows=rows,
        scale=RIGHT_OR_WRONG,
        margin=margin,
        downwards=False,
        possible=(-100.0, 100.0),
    )


def _singles(findings: Findings, words: Words, cost: Cost) -> list[_Part]:
    parts = []
    for benchmark in findings.benchmarks:
        rows = _drawable(findings.compared(benchmark["name"]), cost)
        if not rows:
            continue
        scale, metric = difference_scale(rows), rows[0]["metric"]
        unit, references = "pp" if scale.percent else "", [row["reference"] for row in rows]
        factor, better = 100 if scale.percent else 1, benchmark["higher_is_better"]
        low, high = possible_differences(metric, benchmark)
        parts.append(
            _Part(
                title=benchmark_title(words, benchmark),
                subtitle=pairs_text(words, rows),
                axis_title=difference_title(words, metric, references, unit),
                rows=rows,
                scale=scale,
                margin=next((at for row in rows if (at := margin_of(row, better, factor)) is not None), None),
                downwards=not better,
                possible=(factor * low, factor * high),
            )
        )
    return parts


def _drawable(rows: Sequence[Json], cost: Cost) -> list[Json]:
    return [row for row in rows if row["difference"] is not None and row["arm"] in cost.values]


def _panel(part: _Part, cost: Cost, size_px: tuple[int, int], codes: Sequence[str], words: Words) -> Panelled:
    place = Place(*size_px, cost_axis([cost.values[row["arm"]] for row in part.rows]), _ends(part), part.downwards)
    y_scale = alt.Scale(domain=place.y_ends, nice=False, zero=False, reverse=part.downwards)
    y = alt.Y("difference:Q", scale=y_scale, axis=y_axis(part.axis_title, place))
    x = place.x_axis.encoding("cost:Q", cost.title)
    drawn = side_by_side([cost.values[row["arm"]] for row in part.rows], place)
    values = [
        _value(row, part, place, words) | {"cost": at, "size": cost.text(row["arm"])}
        for row, at in zip(part.rows, drawn, strict=True)
    ]
    base, look = chart_of(values).encode(x=x), _verdict_encodings(codes, words)
    bars = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.5, clip=True)
        .encode(y=alt.Y("low:Q", scale=y_scale), y2=alt.Y2("high:Q"), color=look["color"])
    )
    marks = base.mark_point(size=75, opacity=1, strokeWidth=1.7).encode(
        y=y, tooltip=[*interval_tooltips(words, words.say("差", "difference")), cost.tooltip()], **look
    )
    spots = [
        Spot(
            x=place.x(value["cost"]),
            y=place.y(value["difference"]),
            top=min(place.y(value[end]) for end in ("low", "high", "difference") if value[end] is not None),
            bottom=max(place.y(value[end]) for end in ("low", "high", "difference") if value[end] is not None),
            label=value["label"],
        )
        for value in values
    ]
    lines = [Box(place.width / 2, place.y(at), place.width, 1.0) for at in _line_places(part)]
    labels = label_layers(spots, [value["arm"] for value in values], place, lines, alt.value(INK))
    return alt.layer(
        *_ground(part, place, y_scale, words),
        bars,
        marks,
        *labels,
        width=place.width,
        height=place.height,
        title=panel_title(part.title, part.subtitle, place.width + 40 + _RIGHT_PX),
    )


def _verdict_encodings(codes: Sequence[str], words: Words) -> dict[str, Any]:
    """Return colour, shape and inside of the points. They share one legend, because field, title and domain agree."""
    titles = [verdict_title(words, code) for code in codes]
    legend = alt.Legend(
        title=words.say("判定", "Verdict"), orient="bottom", direction="horizontal", symbolSize=80, titleOrient="left"
    )

    def scale(values: list[str]) -> alt.Scale:
        return alt.Scale(domain=titles, range=values)

    styles = [VERDICTS[code] for code in codes]
    return {
        "color": alt.Color("verdict:N", scale=scale([style.colour for style in styles]), legend=legend),
        "shape": alt.Shape("verdict:N", scale=scale([style.shape for style in styles]), legend=legend),
        "fill": alt.Fill("verdict:N", scale=scale([style.fill for style in styles]), legend=legend),
    }


def _ends(part: _Part) -> list[float]:
    """Return the ends of the y axis: all intervals, but without arms that would squeeze the rest (see `_FAR`)."""
    near = [row for row in part.rows if not _is_far(part, row)]
    low, high = _ends_of(part, near)
    lowest, highest = _ends_of(part, part.rows)
    if 2 * len(near) <= len(part.rows) or highest - lowest <= _SQUEEZED * (high - low):
        return [lowest, highest]
    room = _ROOM * (high - low)
    return [low, high + room] if part.downwards else [low - room, high]


def _ends_of(part: _Part, rows: Sequence[Json]) -> list[float]:
    bounds = [part.factor * end for row in rows for end in (row["difference"], *(row["ci95"] or ()))]
    return domain([*bounds, *_line_places(part)], part.possible, margin=0.1)


def _is_far(part: _Part, row: Json) -> bool:
    if part.margin is None:
        return False
    sign = 1 if part.downwards else -1
    losses = [sign * part.factor * float(end) for end in row["ci95"] or (row["difference"],)]
    return min(losses) > _FAR * abs(part.margin)


def _line_places(part: _Part) -> list[float]:
    return [0.0] if part.margin is None else [0.0, part.margin]


def _value(row: Json, part: _Part, place: Place, words: Words) -> Json:
    low, high = row["ci95"] or (None, None)
    difference = part.factor * row["difference"]
    text = part.scale.difference(row["difference"])
    label, drawn = arm_text(row["arm"], 30), difference
    bottom, top = reversed(place.y_ends) if part.downwards else place.y_ends
    if not min(bottom, top) <= difference <= max(bottom, top):
        label, low, high = f"{label} {text} ↓", None, None
        drawn = bottom + _BORDER * (top - bottom)
    return {
        "arm": row["arm"],
        "label": label,
        "verdict": verdict_title(words, verdict_code(row)),
        "difference": drawn,
        "low": None if low is None else part.factor * low,
        "high": None if high is None else part.factor * high,
        "value": text,
        "interval": part.scale.signed_interval(row["ci95"]),
        "n": integer(row["n_items"]),
    }


def _ground(part: _Part, place: Place, y_scale: alt.Scale, words: Words) -> list[alt.Chart]:
    """Return the shaded area, the lines at 0 and at the margin, and their names right of the panel."""
    names = {row["reference"] for row in part.rows}
    reference = one_line(names.pop(), 12) if len(names) == 1 else words.say("基準", "reference")
    at = {"zero": place.y(0.0)}
    texts = {"zero": f"0: {reference}"}
    layers = []
    if part.margin is not None:
        at["margin"] = place.y(part.margin)
        value = number(part.margin, 1, sign=True) + " pp" if part.scale.percent else f"{part.margin:+g}"
        texts["margin"] = words.say(f"許容幅 {value}", f"margin {value}")
        end = place.y_ends[1] if part.downwards else place.y_ends[0]
        area = chart_of([{"from": part.margin, "to": end}]).mark_rect(color=_BEYOND, opacity=1)
        layers.append(area.encode(y=alt.Y("from:Q", scale=y_scale), y2=alt.Y2("to:Q")))
        gap = at["margin"] - at["zero"]
        if gap < _LINE_PX:
            at = {"zero": at["zero"] - (_LINE_PX - gap) / 2, "margin": at["margin"] + (_LINE_PX - gap) / 2}
    rules = chart_of([{"at": one, "dash": one != 0.0} for one in _line_places(part)])
    layers += [
        rules.transform_filter("!datum.dash").mark_rule(color=INK).encode(y=alt.Y("at:Q", scale=y_scale)),
        rules.transform_filter("datum.dash")
        .mark_rule(color=VERDICTS["worse"].colour, strokeDash=[5, 3])
        .encode(y=alt.Y("at:Q", scale=y_scale)),
    ]
    names_at = chart_of([{"y": at[name], "text": texts[name]} for name in at])
    named = names_at.mark_text(align="left", fontSize=TEXT_PX - 0.5, color=GREY)
    layers.append(
        named.encode(x=at_px(place.width + 5), y=alt.Y("y:Q", scale=None, axis=None), text=alt.Text("text:N"))
    )
    return layers
