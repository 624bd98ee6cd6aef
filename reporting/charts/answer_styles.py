"""Style of the answers: one panel per benchmark and style that some answer has, one row per arm.

A point is the share of the answers that have the style, with its interval. It is filled if the interval of the
difference from the reference excludes 0, so a grey print shows that, too.
"""

from __future__ import annotations

from dataclasses import replace

from reporting.charts.forest import COLUMNS, Forest, Line, Row, forest_panels, mean_row
from reporting.charts.layout import figure
from reporting.charts.points import arm_label, domain
from reporting.charts.style import Specification, colours, counts_text, models_text
from reporting.results_folder import Findings, Json
from reporting.style_words import share_differs, style_title
from reporting.wording import RIGHT_OR_WRONG, Words, benchmark_title

_SHAPES = {"reference": "diamond", "compared": "circle", "alone": "square"}


def answer_styles_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart; None if no answer has any of the styles, or if the results are older than them."""
    forests = [
        _forest(findings, words, benchmark, style, shares)
        for benchmark in findings.benchmarks
        for style, shares in _shares(findings, benchmark["name"]).items()
        if any(share["share"] for share in shares.values())
    ]
    if not forests:
        return None
    models = models_text(findings, words)
    dashed = ("(破線: 基準の値)", " (dashed: the reference)") if any(forest.lines for forest in forests) else ("", "")
    subtitle = [
        words.say(
            f"{models}: 各スタイルの回答の割合{dashed[0]}",
            f"{models}: share of the answers with each style{dashed[1]}",
        ),
        words.say(
            "線: 問題についての95%信頼区間。塗りつぶし: 基準との差の95%信頼区間が0を含まない。n は各パネルに示す。",
            "Bars: 95% interval over items. Filled: interval of the difference excludes 0. n stands above each panel.",
        ),
    ]
    return figure(
        forest_panels(forests, words), words.say("回答のスタイル", "Style of the answers"), subtitle, columns=COLUMNS
    )


def _shares(findings: Findings, benchmark: str) -> dict[str, dict[str, Json]]:
    """Return the shares by style and arm, each with the row's `arm` and `n_items`."""
    found: dict[str, dict[str, Json]] = {}
    for row in findings.answer_style:
        if row["benchmark"] == benchmark:
            for share in row["shares"]:
                found.setdefault(share["style"], {})[row["arm"]] = share | {
                    "arm": row["arm"],
                    "n_items": row["n_items"],
                }
    return found


def _forest(findings: Findings, words: Words, benchmark: Json, style: str, shares: dict[str, Json]) -> Forest:
    arms = [arm for arm in findings.arms if arm["name"] in shares]
    palette = colours(findings)
    references = [arm["name"] for arm in arms if findings.role(arm) == "reference"]
    lines = [Line(shares[references[0]]["share"])] if len(references) == 1 else []
    ends = [end for share in shares.values() for end in (share["share"], *(share["ci95"] or ()))]
    counted = f"n = {counts_text(one['n_items'] for one in shares.values())} {words.say('問', 'items')}"
    return Forest(
        title=style_title(words, style) if words.ja else style_title(words, style).capitalize(),
        subtitle=f"{benchmark_title(words, benchmark)}; {counted}",
        axis_title=words.say("回答の割合", "share of the answers"),
        domain=domain([0.0, *ends], (0.0, 1.0)),
        rows=[
            _row(shares[arm["name"]], arm_label(findings, words, arm), findings.role(arm), palette[arm["name"]])
            for arm in arms
        ],
        percent=True,
        lines=lines,
    )


def _row(share: Json, label: str, role: str, colour: str) -> Row:
    row = mean_row(label, share | {"mean": share["share"]}, RIGHT_OR_WRONG, colour)
    filled = role == "reference" or share_differs(share)
    return replace(row, shape=_SHAPES[role], fill=colour if filled else "#FFFFFF")
