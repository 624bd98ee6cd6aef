"""The common style of all charts: palette, shapes, verdicts, texts.

The colours are those of Okabe and Ito ("Color Universal Design", 2008), which can be told apart with every kind of
colour vision. Shapes repeat what the colours say, so that a grey print can also be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import altair as alt

from reporting.escape import one_line
from reporting.results_folder import Findings, Json, Role
from reporting.shown_verdict import INFORMS_ONLY, NO_MARGIN, shown_verdict, shown_word
from reporting.wording import Words, listed

Specification = Json
"""A chart in Vega-Lite, with its data inside."""
Panelled = alt.Chart | alt.LayerChart | alt.FacetChart

BLACK: Final = "#000000"
PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY: Final = "#767676"
INK: Final = "#444444"
TEXT_PX: Final = 10.5
"""Size of the texts inside and beside a panel."""
_MOST_NAMED: Final = 3
"""With more models, a chart says how many there are, and its labels name them."""

_SHAPES: Final[dict[Role, str]] = {"reference": "diamond", "compared": "circle", "alone": "square"}
_ROLES: Final[dict[Role, tuple[str, str]]] = {
    "reference": ("基準", "reference"),
    "compared": ("基準と比較", "compared"),
    "alone": ("比較なし", "not compared"),
}


class VerdictStyle(NamedTuple):
    """How a verdict looks: a point, and a cell of the heat map. The cells differ in brightness, too."""

    colour: str
    shape: str
    fill: str
    """Inside of the point."""
    cell: str
    ink: str
    """Text on the cell."""
    symbol: str
    """The point as a letter."""


VERDICTS: Final[Mapping[str, VerdictStyle]] = {
    "no_worse": VerdictStyle("#0072B2", "circle", "#0072B2", "#A9CFE8", "#1A1A1A", "●"),
    "undecided": VerdictStyle("#5F5F5F", "diamond", "#FFFFFF", "#FFFFFF", "#1A1A1A", "◇"),
    "worse": VerdictStyle("#D55E00", "triangle-down", "#D55E00", "#B34700", "#FFFFFF", "▼"),
    INFORMS_ONLY: VerdictStyle("#5F5F5F", "square", "#FFFFFF", "#ECECEC", "#1A1A1A", "□"),
    NO_MARGIN: VerdictStyle("#5F5F5F", "square", "#FFFFFF", "#ECECEC", "#1A1A1A", "□"),
    "": VerdictStyle("#5F5F5F", "square", "#FFFFFF", "#ECECEC", "#1A1A1A", "□"),
}
"""Code of a verdict, or of what stands in its place -> its style. An empty code: older results have no verdicts."""


def verdict_code(row: Mapping[str, Any]) -> str:
    """Return the code of what is shown of a row; an empty string if it has no verdict, or one that is unknown here."""
    code = shown_verdict(row)
    return code if code in VERDICTS else ""


def verdict_title(words: Words, code: str) -> str:
    """Return the name of a verdict, also of a missing one."""
    return shown_word(words, code) or words.say("判定なし", "no verdict")


def role_title(words: Words, role: Role) -> str:
    """Return the name of an arm's role."""
    return words.say(*_ROLES[role])


def shape_encoding(words: Words) -> alt.Shape:
    """Return the encoding of the role as a shape, the same in every chart."""
    scale = alt.Scale(domain=[role_title(words, role) for role in _SHAPES], range=list(_SHAPES.values()))
    return alt.Shape("role:N", scale=scale, legend=None)


def colours(findings: Findings) -> dict[str, str]:
    """Return arm name -> colour. References are black; all other arms of one model have the same colour."""
    models = [model["name"] for model in findings.models]
    palette: dict[str, str] = {}
    for arm in findings.arms:
        index = models.index(arm["model"]) if arm["model"] in models else len(models)
        palette[arm["name"]] = BLACK if findings.role(arm) == "reference" else PALETTE[index % len(PALETTE)]
    return palette


def colour_encoding(palette: Mapping[str, str]) -> alt.Color:
    """Return the encoding of an arm's name as its colour, without a legend."""
    return alt.Color("arm:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None)


def chart_of(rows: list[Json]) -> alt.Chart:
    """Return a chart whose rows are part of its specification. The encodings give the types of the fields."""
    # altair copies a list with every call on the chart, a tuple never.
    return alt.Chart(alt.Data(values=tuple(rows)))  # type: ignore[no-untyped-call]


def at_px(x: float) -> alt.XValue:
    """Return the encoding of one x for all rows, in pixels from the panel's left. `alt.value` takes altair longer."""
    return alt.XValue(x)  # type: ignore[no-untyped-call]


def tooltips(fields: Mapping[str, str]) -> list[alt.Tooltip]:
    """Return what a page shows when the mouse is on a mark: field of the row -> its name."""
    return [alt.Tooltip(f"{field}:N", title=name) for field, name in fields.items()]


def interval_tooltips(words: Words, value: str) -> list[alt.Tooltip]:
    """Return the tooltips of a value with its interval. The rows have the texts `arm`, `value`, `interval` and `n`."""
    return tooltips(
        {"arm": words.say("アーム", "arm"), "value": value} | {"interval": words.say("95%信頼区間", "95% CI"), "n": "n"}
    )


def models_text(findings: Findings, words: Words) -> str:
    """Return the names of the models with what they were dequantized from, or how many there are if these are many.

    The first line of every chart has them.
    """
    if len(findings.models) > _MOST_NAMED:
        return words.say(f"{len(findings.models)} 個のモデル", f"{len(findings.models)} models")
    return one_line(listed(words, (model_line(model, words) for model in findings.models)), 110)


def model_line(model: Json, words: Words) -> str:
    """Return a model's name, with the type it was dequantized from, if any."""
    source = model["dequantized_from"]
    note = words.say(f"({source} を逆量子化)", f" (dequantized from {source})") if source else ""
    return one_line(model["name"] + note, 100)


def counts_text(counts: Iterable[int]) -> str:
    """Return a number, or the smallest and the largest of several."""
    known = sorted(set(counts))
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,}–{known[-1]:,}"
