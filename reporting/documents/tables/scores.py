"""The differences by the scores of multiple choice that no verdict goes by (`reporting.analysis.scores`)."""

from __future__ import annotations

from reporting.documents.phrases import dash_with_reason
from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import Words, difference_scale, header, integer, metric_title, number, probability


def scores_table(findings: Findings, words: Words, benchmark: Json) -> Table | None:
    """Return the differences by the scores that no verdict goes by; None if there are none."""
    found = findings.compared_by_other_scores(benchmark["name"])
    if not found:
        return None
    columns = [
        (words.say("アーム − 基準", "Arm − reference"), False),
        (header(words, "metric"), False),
        (words.say("n (組)", "n pairs"), True),
        (header(words, "difference"), True),
        (header(words, "ci95"), True),
        (header(words, "margin"), True),
        ("p", True),
        ("Cohen's d", True),
    ]
    rows = []
    for row in found:
        scale = difference_scale([one for one in found if one["metric"] == row["metric"]])
        interval = row["ci95"]
        cells = (
            f"{row['arm']} − {row['reference']}",
            metric_title(words, row["metric"]),
            integer(row["n_items"]),
            scale.difference(row["difference"]),
            dash_with_reason(words, row, "ci95") if interval is None else scale.signed_interval(interval),
            scale.value(row["margin"]),
            probability(row["p_value"]),
            number(row["cohens_d"], 2, sign=True),
        )
        rows.append(cells)
    return make_table(columns, rows)
