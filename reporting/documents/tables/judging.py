"""The tables of judges: how far they agree, what each gives every arm, and what human scores make of it.

The tables have no rows if no answer was judged. Judges outside the jury of the latest command are marked.
"""

from __future__ import annotations

from reporting.documents.phrases import SCORE_DIGITS, code_in_words, dash_with_reason, judge_name, token_step
from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, header, integer, number


def judges_table(findings: Findings, words: Words) -> Table:
    """Return one row per benchmark and judge: verdicts, and agreement with itself, with others and with people."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "judge"), False),
        (words.say("採点数 (失敗)", "Verdicts (none)"), True),
        (words.say("反復間の α", "α repeats"), True),
        (words.say("採点モデル間の α", "α judges"), True),
        (words.say("人との α", "α people"), True),
    ]
    rows = []
    for entry in findings.judging:
        for judge in entry["judges"]:
            among = judge["judge"] in entry["agreement_between"]
            missing = f" ({integer(judge['n_without_verdict'])})" if judge["n_without_verdict"] else ""
            rows.append(
                (
                    str(entry["benchmark"]),
                    judge_name(words, judge) + ("" if judge["in_jury"] else words.say(" (参考)", " (not in the jury)")),
                    integer(judge["n_verdicts"]) + missing,
                    _alpha(words, judge, "repeats"),
                    _alpha(words, entry, "agreement") if among else DASH,
                    _alpha(words, judge, "with_people") if entry["human_scores"] else DASH,
                )
            )
    return make_table(columns, rows)


def judged_arms_table(findings: Findings, words: Words) -> Table:
    """Return one row per benchmark, arm and judge: means, differences, and how scores go with length."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "arm"), False),
        (header(words, "judge"), False),
        (words.say("n (問)", "n items"), True),
        (header(words, "mean"), True),
        (words.say("基準との差", "Difference"), True),
        (words.say("同じ長さでの差", "Difference at\nequal length"), True),
        (words.say("点/トークン", "Points\nper tokens"), True),
        (words.say("採点モデルの寄与", "Share of\nthe judge"), True),
    ]
    rows = [
        (
            str(entry["benchmark"]),
            row["arm"],
            judge_name(words, row),
            integer(row["n_items"]),
            *_arm_cells(words, row, token_step(findings, entry)),
        )
        for entry in findings.judging
        for row in _by_arm(findings, entry)
    ]
    return make_table(columns, rows)


def corrected_table(findings: Findings, words: Words) -> Table:
    """Return one row per benchmark, arm and judge with enough human scores: uncorrected and corrected values."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "arm"), False),
        (header(words, "judge"), False),
        (words.say("n (人が採点)", "n labelled"), True),
        (words.say("平均\n→ 補正後", "Mean\n→ corrected"), True),
        (words.say("差\n→ 補正後", "Difference\n→ corrected"), True),
        (words.say("採点モデル − 人", "Judge − people"), True),
        (words.say("重み", "Weight"), True),
    ]
    rows = [
        (
            str(entry["benchmark"]),
            row["arm"],
            judge_name(words, row),
            integer(row["n_labelled"]),
            *_corrected_cells(words, row),
        )
        for entry in findings.judging
        for row in _by_arm(findings, entry)
        if row["corrected"] or (row["comparison"] or {}).get("corrected")
    ]
    return make_table(columns, rows)


def _by_arm(findings: Findings, entry: Json) -> list[Json]:
    """Return the rows of an entry, the judges of each arm together."""
    order = {arm["name"]: place for place, arm in enumerate(findings.arms)}
    return sorted(entry["rows"], key=lambda row: order.get(row["arm"], len(order)))


def _alpha(words: Words, row: Json, name: str) -> str:
    found = row[name]
    if found is None:
        return dash_with_reason(words, row, name)
    return _with_interval(number(found["alpha"], SCORE_DIGITS), found["ci95"])


def _arm_cells(words: Words, row: Json, step: int) -> tuple[str, ...]:
    """Return the cells of one row. `step`: the number of tokens that points are given for."""
    mean = (
        dash_with_reason(words, row, "mean")
        if row["mean"] is None
        else _with_interval(_plain(row["mean"]), row["ci95"])
    )
    shares = row["variance_shares"]
    share = (
        dash_with_reason(words, row, "variance_shares") if shares is None else f"{number(100 * shares['judge'], 0)}%"
    )
    compared = row["comparison"]
    if compared is None:
        return mean, DASH, DASH, DASH, share
    length = compared["length"]
    if length is None:
        reason = dash_with_reason(words, compared, "length")
        return mean, _difference(words, compared), reason, reason, share
    adjusted = _signed(length["adjusted_difference"], length["adjusted_difference_ci95"])
    slope, ends = (
        length["points_per_100_tokens"] * step / 100,
        [end * step / 100 for end in length["points_per_100_tokens_ci95"]],
    )
    per = words.say(f"{_signed(slope, ends)}\n({step} トークンあたり)", f"{_signed(slope, ends)}\n(per {step} tokens)")
    return mean, _difference(words, compared), adjusted, per, share


def _corrected_cells(words: Words, row: Json) -> tuple[str, ...]:
    found, compared = row["corrected"], row["comparison"]
    mean = _plain(row["mean"]) + _corrected(words, row, signed=False)
    bias = DASH if found is None else _signed(found["bias"], found["bias_ci95"])
    if compared is None:
        return mean, DASH, bias, _weight(found)
    difference = number(compared["difference"], SCORE_DIGITS, sign=True) + _corrected(words, compared, signed=True)
    return mean, difference, bias, _weight(found, compared["corrected"])


def _corrected(words: Words, row: Json, *, signed: bool) -> str:
    """Return an arrow and the corrected value with its interval, or the reason why there is none."""
    found = row["corrected"]
    if found is None:
        return f" → {dash_with_reason(words, row, 'corrected')}"
    value = f" → {number(found['value'], SCORE_DIGITS, sign=signed)}"
    if found["ci95"] is None:
        return f"{value}\n({code_in_words(words, found['ci95_reason'])})"
    return _with_interval(value, found["ci95"], sign=signed)


def _weight(*found: Json | None) -> str:
    return " / ".join(number(one["weight"], SCORE_DIGITS) for one in found if one) or DASH


def _difference(words: Words, row: Json) -> str:
    if row["difference"] is None:
        return dash_with_reason(words, row, "difference")
    return _signed(row["difference"], row["ci95"])


def _plain(value: float | None) -> str:
    return number(value, SCORE_DIGITS)


def _signed(value: float, ci: list[float] | None) -> str:
    return _with_interval(number(value, SCORE_DIGITS, sign=True), ci, sign=True)


def _with_interval(value: str, ci: list[float] | None, *, sign: bool = False) -> str:
    if ci is None:
        return value
    low, high = (number(end, SCORE_DIGITS, sign=sign) for end in ci)
    return f"{value}\n[{low}, {high}]"
