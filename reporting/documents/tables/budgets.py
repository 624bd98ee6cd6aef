"""What became of the arms' budgets, as a table for report and methodology; empty where no arm has one."""

from __future__ import annotations

from reporting.documents.tables.results import Table
from reporting.results_folder import Findings
from reporting.wording import DASH, Words, integer, number


def budgets_table(findings: Findings, words: Words) -> Table:
    """Every arm with a budget: what was spent, and the error that is predicted with and without it."""
    columns = (
        (words.say("アーム", "Arm", "\n"), False),
        (words.say("土台の型", "Method", "\n"), False),
        (words.say("追加ビット/重み", "Added bits/weight", "\n"), True),
        (words.say("上げた / 下げたテンソル", "Tensors raised / lowered", "\n"), True),
        (words.say("予測誤差 J", "Predicted error J", "\n"), True),
        (words.say("土台の型だけの J", "J of the method alone", "\n"), True),
        (words.say("下界", "Bound", "\n"), True),
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
    """Errors differ by orders of magnitude: in units of a millionth."""
    return DASH if value is None else f"{number(1e6 * value, 2)}e-6"
