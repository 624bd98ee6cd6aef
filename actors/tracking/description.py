"""Descriptions of MLflow runs: the verdict box in Markdown, within the length that MLflow allows."""

from __future__ import annotations

from collections.abc import Sequence

from reporting.escape import markdown
from reporting.verdict_box import Cost, FileCost, VerdictBox
from reporting.wording import Words, header

LONGEST_DESCRIPTION = 7_000
"""Characters. MLflow allows 8,000 in a tag."""


def describe_pipeline(boxes: Sequence[tuple[Words, Sequence[VerdictBox]]]) -> str:
    """Return the verdict boxes of each language. What is too long gives the headlines only, and then is cut."""
    for describe in (_whole, _without_undecided, _headline):
        text = "\n\n---\n\n".join("\n\n".join(describe(words, box) for box in some) for words, some in boxes)
        if len(text) <= LONGEST_DESCRIPTION:
            return text
    return text[:LONGEST_DESCRIPTION]


def describe_arm(costs: Sequence[tuple[Words, FileCost]]) -> str:
    """Return an arm's verdict and what it costs, in each language."""
    text = "\n\n---\n\n".join(
        "\n".join([f"**{markdown(file.verdict_word)}**", "", *(f"- {_cost(words, cost)}" for cost in file.costs)])
        for words, file in costs
    )
    return text[:LONGEST_DESCRIPTION]


def _headline(words: Words, box: VerdictBox) -> str:
    return f"**{markdown(box.headline)}**"


def _without_undecided(words: Words, box: VerdictBox) -> str:
    titles = (header(words, "arm"), header(words, "size"), header(words, "bits_per_weight"), header(words, "verdict"))
    cost = words.say("基準との差(95%信頼区間)", "Cost against the reference (95% CI)")
    rows = []
    for file in box.files:
        costs = "\n".join(_plain(words, one) for one in file.costs)
        rows.append([file.arm, file.size, file.bits_per_weight, file.verdict_word, costs])
    table = [_row([*titles, cost]), _row(["---", "---:", "---:", "---", "---"], is_rule=True), *map(_row, rows)]
    return "\n".join([_headline(words, box), "", *(table if rows else [])])


def _whole(words: Words, box: VerdictBox) -> str:
    return "\n".join([_without_undecided(words, box), "", *(f"- {markdown(sentence)}" for sentence in box.undecided)])


def _row(cells: Sequence[str], *, is_rule: bool = False) -> str:
    return "| " + " | ".join(cells if is_rule else map(markdown, cells)) + " |"


def _plain(words: Words, cost: Cost) -> str:
    interval = f" {cost.interval}" if cost.interval else ""
    return f"{cost.what}: {cost.value}{interval}{words.say(f'({cost.n})', f' ({cost.n})')}"


def _cost(words: Words, cost: Cost) -> str:
    return markdown(_plain(words, cost))
