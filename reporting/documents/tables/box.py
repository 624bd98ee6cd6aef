"""The table of a verdict box: one row per file, and one column per cost that all files have."""

from __future__ import annotations

from collections.abc import Sequence

from reporting.documents.tables.results import Table, make_table
from reporting.verdict_box import Cost, FileCost, VerdictBox
from reporting.wording import Words, header

_MAX_COSTS = 6
"""Most columns of costs: a page has no room for more. The tables of results have all of them."""


def box_table(words: Words, box: VerdictBox) -> Table:
    """Return one row per file: what it is, its verdict, and its paired differences from the reference."""
    costs, common = _costs(box)
    shown = _shown(common)
    counts = {what: {one[what].n for one in costs} for what in shown}
    columns = [
        (header(words, "file"), False),
        (header(words, "size"), True),
        (header(words, "bits_per_weight"), True),
        (header(words, "verdict"), False),
        *((_title(what, counts[what]), True) for what in shown),
    ]
    rows = [
        (*_identity(file), *(_cell(own[what], with_n=len(counts[what]) > 1) for what in shown))
        for file, own in zip(box.files, costs, strict=True)
    ]
    return make_table(columns, rows)


def box_notes(words: Words, box: VerdictBox) -> tuple[str, ...]:
    """Return what stands below the table: how to read it, and the costs that only some files have.

    Those are losses on single benchmarks of which the table shows only the average.
    """
    if not box.files:
        return ()
    costs, common = _costs(box)
    kld_ja, kld_en = ("(KLD は平均)", " (KLD: mean)") if any(what.startswith("KLD") for what in common) else ("", "")
    notes = [
        words.say(
            f"数値は {box.reference} との対応のある差{kld_ja}。角括弧: 95%信頼区間。",
            f"Numbers: paired differences from {box.reference}{kld_en}. Brackets: 95% confidence intervals.",
        )
    ]
    for file, own in zip(box.files, costs, strict=True):
        others = [
            words.say(
                f"{what} {cost.value} {cost.interval}({cost.n})", f"{what} {cost.value} {cost.interval}, {cost.n}"
            )
            for what, cost in own.items()
            if what not in common
        ]
        if others:
            listed = words.say("、", "; ").join(others)
            notes.append(words.say(f"{file.arm} のほかの差: {listed}。", f"{file.arm} also differs on {listed}."))
    left_out = [what for what in common if what not in _shown(common)]
    if left_out:
        ja, en = "、".join(left_out), ", ".join(left_out)
        notes.append(
            words.say(f"この表にない差は、結果の表に示す: {ja}。", f"Not in this table, but in the results: {en}.")
        )
    return tuple(notes)


def _shown(common: Sequence[str]) -> list[str]:
    """Return the costs that the table has room for. The last one is a KL divergence if there is any."""
    return list(common) if len(common) <= _MAX_COSTS else [*common[: _MAX_COSTS - 1], common[-1]]


def _costs(box: VerdictBox) -> tuple[list[dict[str, Cost]], list[str]]:
    """Return the costs of each file by what was compared, and what was compared for all files."""
    costs = [{cost.what: cost for cost in file.costs} for file in box.files]
    return costs, [what for what in costs[0] if all(what in one for one in costs)] if costs else []


def _identity(file: FileCost) -> tuple[str, ...]:
    return file.arm, file.size, file.bits_per_weight, file.verdict_word


def _title(what: str, counts: set[str]) -> str:
    return f"{what}\n{counts.copy().pop()}" if len(counts) == 1 else what


def _cell(cost: Cost, *, with_n: bool) -> str:
    return "\n".join(part for part in (cost.value, cost.interval, cost.n if with_n else "") if part)
