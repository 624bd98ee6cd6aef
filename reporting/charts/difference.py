"""Difference of each arm from its reference, with its interval: one forest plot per benchmark.

If an interval includes 0, no difference is shown. The plot therefore marks 0 with a line.
"""

from __future__ import annotations

from collections.abc import Sequence

from reporting.charts.forest import COLUMNS, MOST_ROW_PX, Forest, Line, Row, forest_panel, label_px
from reporting.charts.labels import arm_text
from reporting.charts.layout import figure, row_px
from reporting.charts.points import domain, in_brackets, possible_differences
from reporting.charts.style import INK, PALETTE, VERDICTS, Specification, counts_text, models_text, verdict_code
from reporting.escape import one_line
from reporting.results_folder import Findings, Json, unscored_of
from reporting.shown_verdict import shown_verdict, shown_word
from reporting.wording import (
    Scale,
    Words,
    benchmark_title,
    difference_scale,
    integer,
    listed,
    method_title,
    metric_title,
)

_NAME_CHARS = 24


def drawn_differences(findings: Findings) -> list[Json]:
    """Return the comparisons that have a difference to draw."""
    rows = (row for benchmark in findings.benchmarks for row in findings.compared(benchmark["name"]))
    return [row for row in rows if row["difference"] is not None]


def difference_chart(findings: Findings, words: Words) -> Specification | None:
    """Return the chart; None if there is no comparison to draw."""
    differences = drawn_differences(findings)
    forests = [
        _forest(benchmark, rows, words)
        for benchmark in findings.benchmarks
        if (rows := [row for row in differences if row["benchmark"] == benchmark["name"]])
    ]
    if not forests:
        return None
    height = row_px(max(len(forest.rows) for forest in forests), len(forests), COLUMNS, MOST_ROW_PX)
    room = label_px(forests)
    title = words.say("基準との差", "Difference from the reference")
    models = models_text(findings, words)
    has_margin = any(line.dashed for forest in forests for line in forest.lines)
    dashed = ("破線: 許容幅。", "Dashed: the margin. ") if has_margin else ("", "")
    subtitle = [
        words.say(f"{models}: 対応のある差(アーム − 基準)", f"{models}: paired difference, arm minus reference"),
        words.say(
            f"線: 差の95%信頼区間(多重性の補正なし)。{dashed[0]}n は各パネルに示す。",
            f"Bars: 95% interval of the difference, uncorrected. {dashed[1]}n stands above each panel.",
        ),
    ]
    drawn = [forest_panel(forest, height, room, words) for forest in forests]
    return figure(drawn, title, subtitle, columns=COLUMNS)


def difference_title(words: Words, metric: str, references: Sequence[str], *more: str) -> str:
    """Return what the difference is: of which metric, from which reference, and what else stands in brackets."""
    what = words.say("ln PPL の差", "Difference of ln PPL") if metric == "nll" else words.say("差", "Difference")
    brackets = words.say("、", "; ").join(one for one in more if one)
    names = {one_line(name, _NAME_CHARS) for name in references}
    if len(names) == 1:
        (name,) = names
        gap = " " if what[0].isascii() else ""
        what = words.say(f"{name} との{gap}{what}", f"{what} from {name}")
    return in_brackets(words, what, brackets) if brackets else what


def direction(words: Words, higher_is_better: bool) -> str:
    """Return which sign of a difference is worse."""
    if higher_is_better:
        return words.say("負は悪化", "negative: worse")
    return words.say("正は悪化", "positive: worse")


def pairs_text(words: Words, rows: Sequence[Json]) -> str:
    """Return how many items were compared, and how many records are unscored."""
    text = f"n = {counts_text(row['n_items'] for row in rows)} {words.say('組', 'pairs')}"
    unscored = max(unscored_of(row) for row in rows)
    if unscored:
        text += words.say(f"; 採点不能の記録 最大 {unscored:,}", f"; up to {unscored:,} unscored records")
    return text


def margin_of(row: Json, higher_is_better: bool, factor: int) -> float | None:
    """Return the position of the margin on the axis of the difference; None if there is no margin."""
    margin = row.get("margin")
    if margin is None:
        return None
    return float(-factor * margin if higher_is_better else factor * margin)


def _forest(benchmark: Json, rows: list[Json], words: Words) -> Forest:
    scale = difference_scale(rows)
    factor = 100 if scale.percent else 1
    metric, better = rows[0]["metric"], benchmark["higher_is_better"]
    drawn = [_row(row, scale, factor, words, single=len({row["reference"] for row in rows}) == 1) for row in rows]
    margin = next((at for row in rows if (at := margin_of(row, better, factor)) is not None), None)
    bounds = [end for row in drawn for end in (row.low, row.high, row.middle) if end is not None]
    low, high = (factor * end for end in possible_differences(metric, benchmark))
    references = [row["reference"] for row in rows]
    unit = "pp" if scale.percent else ""
    tests = listed(words, (method_title(words, code) for code in sorted({row["test"] for row in rows if row["test"]})))
    own = "" if metric == benchmark["metric"] else f"{metric_title(words, metric)}; "
    return Forest(
        title=benchmark_title(words, benchmark),
        subtitle=own + pairs_text(words, rows) + (f"; {tests}" if tests else ""),
        axis_title=difference_title(words, metric, references, unit, direction(words, better)),
        domain=domain([*bounds, 0.0, *([] if margin is None else [margin])], (low, high)),
        rows=drawn,
        lines=[Line(0.0, INK, dashed=False), *([] if margin is None else [Line(margin, PALETTE[1])])],
    )


def _row(row: Json, scale: Scale, factor: int, words: Words, *, single: bool) -> Row:
    low, high = row["ci95"] or (None, None)
    style = VERDICTS[verdict_code(row)]
    value, interval = scale.difference(row["difference"]), scale.signed_interval(row["ci95"])
    name, reference = arm_text(row["arm"], 40), str(row["reference"])
    model = reference[: reference.rfind("~") + 1]
    if str(row["arm"]).startswith(model):
        reference = reference.removeprefix(model)
    return Row(
        label=name if single else f"{name} − {one_line(reference, _NAME_CHARS)}",
        arm=row["arm"],
        middle=factor * row["difference"],
        low=None if low is None else factor * low,
        high=None if high is None else factor * high,
        text=" ".join(part for part in (value, interval, shown_word(words, shown_verdict(row))) if part),
        value=value,
        interval=interval,
        n=integer(row["n_items"]),
        colour=style.colour,
        shape=style.shape,
        fill=style.fill,
    )
