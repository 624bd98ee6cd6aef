"""The table of byte budgets, for report and methodology. It has no rows if no arm has a budget."""

from __future__ import annotations

from reporting.documents.tables.results import Table
from reporting.results_folder import Findings
from reporting.wording import DASH, Words, header, integer, number


def budgets_table(findings: Findings, words: Words) -> Table:
    """Return one row per arm with a budget: bytes spent, and the predicted error with and without the budget."""
    columns = (
        (header(words, "arm"), False),
        (words.say("ベースの型", "Base type"), False),
        (header(words, "added_bits_per_weight"), True),
        (words.say("型を上げた / 下げたテンソル", "Tensors raised / lowered"), True),
        (words.say("予測誤差 J", "Predicted error J"), True),
        (words.say("ベースの型のみの J", "J of base type alone"), True),
        (words.say("J の下界", "Lower bound of J"), True),
    )
    rows = []
    for arm in findings.arms:
        budget = arm.get("budget")
        if not budget:
            continue
        row = (
            str(arm["name"]),
            arm["method"] or DASH,
            number(budget["added_bpw"], 3, sign=True),
            f"{integer(budget['raised'])} / {integer(budget['lowered'])}",
            *(_error(budget[name]) for name in ("predicted_error", "predicted_error_base", "bound")),
        )
        rows.append(row)
    return Table(tuple(name for name, _ in columns), tuple(rows), tuple(is_number for _, is_number in columns))


def _error(value: float | None) -> str:
    """Return an error in millionths, because errors differ by orders of magnitude."""
    return DASH if value is None else f"{number(1e6 * value, 2)}e-6"
