"""The table of a verdict box, for Markdown: one row per file, with its costs in lines."""

from __future__ import annotations

from reporting.documents.tables.results import Table, make_table
from reporting.verdict_box import Cost, VerdictBox
from reporting.wording import DASH, Words, header


def box_table(words: Words, box: VerdictBox) -> Table:
    """Return one row per file: what it is, its verdict, and each paired difference from the reference."""
    columns = [
        (header(words, "file"), False),
        (header(words, "size"), True),
        (header(words, "bits_per_weight"), True),
        (header(words, "verdict"), False),
        (
            words.say(
                f"{box.reference} との差 [95%信頼区間]", f"Difference from {box.reference} [95% confidence interval]"
            ),
            False,
        ),
    ]
    rows = [
        (
            file.arm,
            file.size,
            file.bits_per_weight,
            file.verdict_word,
            "\n".join(_line(words, cost) for cost in file.costs) or DASH,
        )
        for file in box.files
    ]
    return make_table(columns, rows)


def _line(words: Words, cost: Cost) -> str:
    value = f"{cost.value} {cost.interval}".strip()
    return words.say(f"{cost.what}: {value}({cost.n})", f"{cost.what}: {value} ({cost.n})")
