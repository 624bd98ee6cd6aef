"""The verdict box: which file to take, what each file costs, and what is undecided, in one language.

Every output begins with it. All of it follows the codes and numbers of the two result files: nothing is judged here.
Texts are plain; each output escapes them in its own way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.deciding import is_to_be_decided, unit_of, what_decides
from reporting.shown_verdict import INFORMS_ONLY, NO_MARGIN, UNDECIDED, shown_verdict, shown_verdict_of_arm, shown_word
from reporting.verdict_headline import headline
from reporting.wording import RIGHT_OR_WRONG, Words, difference_scale, integer, listed, metric_title, number, size_unit

_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """One paired difference of a file from its reference, or its KL divergence from it."""

    what: str
    value: str
    interval: str
    """95%, in brackets; empty if there is none."""
    n: str
    """Number of items (or tokens), and of unscored records if there are any."""


@dataclass(frozen=True)
class FileCost:
    """A file that can be taken in place of the reference, and what it costs."""

    arm: str
    size: str
    bits_per_weight: str
    verdict: str
    """Its code: `no_worse`, `worse`, `undecided`, or `no_verdict` if nothing could decide it."""
    verdict_word: str
    costs: tuple[Cost, ...]


@dataclass(frozen=True)
class VerdictBox:
    """What a reader in a hurry needs about the files that share a reference."""

    model: str
    reference: str
    """Empty if nothing was compared."""
    headline: str
    files: tuple[FileCost, ...]
    """From the largest to the smallest."""
    undecided: tuple[str, ...]
    """One sentence per benchmark: which of the undecided files it leaves open, and what would decide them; then one
    about the benchmarks that no judge has scored."""


def verdict_boxes(comparison: _Row, analysis: _Row | None, words: Words) -> tuple[VerdictBox, ...]:
    """Return one box per reference, model by model; none if the results folder has no verdicts.

    A model of which nothing was compared has a box that says so.

    Args:
        comparison: `quantization_comparison.json`.
        analysis: `statistical_analysis.json`; None if the results folder has none.
        words: `ja` or `en`.
    """
    if analysis is None or "verdicts" not in analysis:
        return ()
    arms = {arm["name"]: arm for arm in comparison["arms"]}
    boxes: list[VerdictBox] = []
    for model in dict.fromkeys([*(model["name"] for model in comparison["models"]), *_owners(arms.values())]):
        own = [one for one in analysis["selections"] if arms[one["reference"]]["model"] == model]
        boxes += [_box(comparison, analysis, words, selection) for selection in own]
        if not own:
            boxes.append(_nothing_compared(words, model, [arm for arm in arms.values() if arm["model"] == model]))
    return tuple(boxes)


def _owners(arms: Iterable[_Row]) -> list[str]:
    return [str(arm["model"]) for arm in arms]


def _box(comparison: _Row, analysis: _Row, words: Words, selection: _Row) -> VerdictBox:
    arms = {arm["name"]: arm for arm in comparison["arms"]}
    verdicts = {
        row["arm"]: shown_verdict_of_arm(row, analysis)
        for row in analysis["verdicts"]
        if row["reference"] == selection["reference"] and not row["arm"].endswith(AA_SUFFIX)
    }
    unit = size_unit(max((arm["size_bytes"] or 0 for arm in arms.values()), default=0))
    files = tuple(
        FileCost(
            arm=name,
            size=unit.text(arms[name]["size_bytes"]),
            bits_per_weight=number(arms[name]["bits_per_weight"], 2),
            verdict=verdicts[name],
            verdict_word=shown_word(words, verdicts[name]),
            costs=tuple(_costs(comparison, analysis, words, name)),
        )
        for name in sorted(verdicts, key=lambda name: (-(arms[name]["size_bytes"] or 0), name))
    )
    return VerdictBox(
        model=str(arms[selection["reference"]]["model"]),
        reference=selection["reference"],
        headline=headline(analysis, words, selection, sizes={file.arm: file.size for file in files}, verdicts=verdicts),
        files=files,
        undecided=tuple(
            _undecided(comparison, analysis, words, {file.arm for file in files if file.verdict == UNDECIDED})
        ),
    )


def _nothing_compared(words: Words, model: str, arms: Sequence[_Row]) -> VerdictBox:
    """Return the box of a model without a comparison, for example because only one side of it exists."""
    names = listed(words, [str(arm["name"]) for arm in arms])
    if len(arms) == 1:
        text = words.say(
            f"{names} だけを評価し、何とも比較していないため、推奨できるファイルはない。",
            f"Only {names} was evaluated, and compared with nothing: no file can be recommended.",
        )
    else:
        text = words.say(
            "基準がなく、どのファイルも比較していないため、推奨できるファイルはない。",
            "Nothing was compared, because no arm has a reference: no file can be recommended.",
        )
    return VerdictBox(model=model, reference="", headline=text, files=(), undecided=())


# --- what each file costs -------------------------------------------------------------------------


def _costs(comparison: _Row, analysis: _Row, words: Words, arm: str) -> Iterable[Cost]:
    """Yield the claim on average, the benchmarks that it does not cover or that got worse, then the KL divergence."""
    claim = next((row for row in analysis.get("pooled") or () if row["arm"] == arm), None)
    averaged: list[str] = []
    if claim is not None and claim["difference"] is not None:
        averaged = [one["benchmark"] for one in claim["benchmarks"]]
        names = listed(words, averaged)
        yield Cost(
            what=words.say(f"正答率の平均({names})", f"accuracy on average over {names}"),
            value=RIGHT_OR_WRONG.difference(claim["difference"]),
            interval=RIGHT_OR_WRONG.signed_interval(claim["ci95"]),
            n=_n_items(words, claim),
        )
    for row in analysis["comparisons"]:
        shown = row["benchmark"] not in averaged or row["verdict"] == "worse"
        if row["arm"] == arm and shown and row["difference"] is not None:
            yield _difference(words, row)
    for row in comparison["results"]:
        if row["arm"] == arm and row["metric"] == "kld" and row["mean"] is not None:
            interval, n_tokens = row["ci95"], integer(row["n_tokens"])
            yield Cost(
                what=f"KLD ({row['benchmark']})",
                value=number(row["mean"], 4),
                interval="" if interval is None else f"[{number(interval[0], 4)}, {number(interval[1], 4)}]",
                n=words.say(f"{n_tokens} トークン", f"{n_tokens} tokens"),
            )


def _difference(words: Words, row: _Row) -> Cost:
    """Return the difference on one benchmark. That of perplexity is in percent: exp(difference in ln PPL) - 1."""
    interval = row["ci95"]
    if row["metric"] == "nll":
        value, metric = f"{_percent(row['difference'])}%", "perplexity"
        bounds = "" if interval is None else f"[{', '.join(map(_percent, interval))}]"
    else:
        scale = difference_scale([dict(row)])
        value, metric = scale.difference(row["difference"]), row["metric"]
        bounds = "" if interval is None else scale.signed_interval(interval)
    title = metric_title(words, metric)
    return Cost(f"{row['benchmark']} ({words.say(title, title.lower())})", value, bounds, _n_items(words, row))


def _percent(loss: float) -> str:
    return number(100 * math.expm1(loss), 2, sign=True)


def _n_items(words: Words, row: _Row) -> str:
    missing = int(row.get("n_unscored") or 0) + int(row.get("n_unscored_reference") or 0)
    unscored = words.say(f"、採点不能 {integer(missing)} 件", f", {integer(missing)} unscored") if missing else ""
    return f"{integer(row['n_items'])} {unit_of(words, row)}{unscored}"


# --- what could not be decided --------------------------------------------------------------------


def _undecided(comparison: _Row, analysis: _Row, words: Words, arms: set[str]) -> Iterable[str]:
    tiers = analysis.get("tiers") or {}
    for benchmark in comparison["benchmarks"]:
        rows = [row for row in analysis["comparisons"] if row["benchmark"] == benchmark["name"]]
        needs = [_open(words, row, what_decides(words, row, benchmark)) for row in rows if _is_open(row, arms)]
        if needs:
            yield words.say(
                f"{benchmark['name']} では判定保留: {'、'.join(needs)}",
                f"Undecided on {benchmark['name']}: {'; '.join(needs)}",
            )
    claims = [row for row in analysis.get("pooled") or () if row["decides"]]
    needs = [_open(words, row, _smallest_loss(words, row)) for row in claims if _is_open(row, arms)]
    if needs:
        yield words.say(f"平均では判定保留: {'、'.join(needs)}", f"Undecided on average: {'; '.join(needs)}")
    unjudged = [name for name in tiers.get("not_judged") or () if name in (tiers.get("inform") or ())]
    if unjudged:
        names = listed(words, unjudged)
        are, them = ("is", "it") if len(unjudged) == 1 else ("are", "them")
        yield words.say(
            f"{names} は未採点のため、判定に使わない", f"{names} {are} not judged, so no verdict depends on {them}"
        )
    yield from _no_margin(comparison, analysis, words)


def _no_margin(comparison: _Row, analysis: _Row, words: Words) -> Iterable[str]:
    """Yield which benchmarks have no verdict because nobody has said which loss is small."""
    informing = _shown_as(comparison, analysis, INFORMS_ONLY)
    if informing:
        names = listed(words, informing)
        have, them = ("has", "it") if len(informing) == 1 else ("have", "them")
        yield words.say(
            f"{names} は許容幅が未設定のため、判定に使わない",
            f"{names} {have} no margin, so no verdict depends on {them}",
        )
    needing = _shown_as(comparison, analysis, NO_MARGIN)
    if needing:
        names = listed(words, needing)
        have, them = ("has", "it") if len(needing) == 1 else ("have", "them")
        yield words.say(
            f"{names} は許容幅が未設定のため、判定できない(statistics.margins.judged で設定する)",
            f"{names} {have} no margin, so nothing can be decided on {them}: set statistics.margins.judged",
        )


def _shown_as(comparison: _Row, analysis: _Row, code: str) -> list[str]:
    """Return the benchmarks whose comparisons are shown with this code, in the order of the run."""
    found = {row["benchmark"] for row in analysis["comparisons"] if shown_verdict(row) == code}
    return [str(one["name"]) for one in comparison["benchmarks"] if one["name"] in found]


def _is_open(row: _Row, arms: set[str]) -> bool:
    return row["arm"] in arms and is_to_be_decided(row) and not row.get("informs_only")


def _open(words: Words, row: _Row, needed: str) -> str:
    return words.say(f"{row['arm']}({needed})", f"{row['arm']} ({needed})")


def _smallest_loss(words: Words, claim: _Row) -> str:
    if claim["detectable_drop"] is None:
        return words.say("区間を計算できない", "has no interval")
    loss = RIGHT_OR_WRONG.difference(claim["detectable_drop"]).removeprefix("+")
    return words.say(f"この問題数で検出できる最小の低下は {loss}", f"the smallest loss that these items find is {loss}")
