"""Mean of every arm in each category of benchmarks, with its interval: one panel per category.

The mean of a category is the plain mean of its benchmarks' means (`reporting.analysis.categories`). The line below the
title of each panel names these benchmarks.
"""

from __future__ import annotations

from reporting.categories import category_title, shown_row
from reporting.charts.forest import COLUMNS, Forest, Line, Row, forest_panels, mean_row, missing_row
from reporting.charts.layout import figure
from reporting.charts.points import arm_label, domain, in_brackets, methods_text, possible_values
from reporting.charts.style import Specification, colours, counts_text, models_text
from reporting.escape import one_line
from reporting.results_folder import Findings, Json
from reporting.wording import Scale, Words, metric_title, scale_of


def categories_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart; None if no benchmark has a category, or if the results are older than categories."""
    groups: dict[tuple[str, str], list[Json]] = {}
    for row in findings.categories:
        groups.setdefault((row["category"], row["metric"]), []).append(shown_row(row))
    forests = [forest for rows in groups.values() if (forest := _forest(findings, words, rows)) is not None]
    if not forests:
        return None
    title = words.say("カテゴリー別の性能", "Performance by category")
    dashed = ("(破線: 基準の値)", " (dashed: the reference)") if any(forest.lines for forest in forests) else ("", "")
    models = models_text(findings, words)
    subtitle = [
        words.say(
            f"{models}: カテゴリー内のベンチマークの平均の単純平均{dashed[0]}",
            f"{models}: plain mean of the means of a category's benchmarks{dashed[1]}",
        ),
        words.say("線: 95%信頼区間。n は各パネルに示す。", "Bars: 95% interval. n stands above each panel."),
    ]
    return figure(forest_panels(forests, words), title, subtitle, columns=COLUMNS)


def _forest(findings: Findings, words: Words, rows: list[Json]) -> Forest | None:
    of_arm = {row["arm"]: row for row in rows}
    arms = [arm for arm in findings.arms if arm["name"] in of_arm]
    known = [row for row in rows if row["mean"] is not None]
    if not known:
        return None
    metric = known[0]["metric"]
    ends = [end for row in known for end in (row["mean"], *(row["ci95"] or ()))]
    scale, palette = scale_of(metric, ends), colours(findings)
    references = [arm["name"] for arm in arms if findings.role(arm) == "reference"]
    at = of_arm[references[0]]["mean"] if len(references) == 1 else None
    better = (
        words.say("大きいほど良い", "higher is better")
        if known[0]["higher_is_better"]
        else words.say("小さいほど良い", "lower is better")
    )
    return Forest(
        title=category_title(words, known[0]["category"]),
        subtitle=_made_of(words, rows, known),
        axis_title=in_brackets(words, metric_title(words, metric), better),
        domain=domain(ends, possible_values(metric, {})),
        rows=[
            _row(of_arm[arm["name"]], arm_label(findings, words, arm), palette[arm["name"]], scale, words)
            for arm in arms
        ],
        percent=scale.percent,
        lines=[] if at is None else [Line(at)],
    )


def _row(row: Json, label: str, colour: str, scale: Scale, words: Words) -> Row:
    if row["mean"] is None:
        return missing_row(label, row["arm"], words)
    return mean_row(label, row, scale, colour)


def _made_of(words: Words, rows: list[Json], known: list[Json]) -> str:
    names = one_line(", ".join(rows[0]["benchmarks"]), 46)
    unit = words.say("チャンク", "chunks") if rows[0]["category"] == "language_modelling" else words.say("問", "items")
    return f"{names}; n = {counts_text(row['n_items'] for row in known)} {unit}; {methods_text(words, known)}"
