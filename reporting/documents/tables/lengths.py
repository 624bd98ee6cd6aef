"""The tables of answer lengths, of how quantization shifts them, and of the answers' style, for report and scorecard.

They only describe the answers: no verdict depends on them.
"""

from __future__ import annotations

from reporting.documents.phrases import code_in_words
from reporting.documents.tables.results import Table, make_table
from reporting.frames import STYLES
from reporting.results_folder import Findings, Json
from reporting.style_words import in_unit, share_differs, shown_shift, style_title
from reporting.wording import DASH, RIGHT_OR_WRONG, Words, header, integer, number, probability


def lengths_table(findings: Findings, words: Words) -> Table:
    """Return the length of each arm's answers, and its paired shift from the reference."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "arm"), False),
        (words.say("n (回答)", "n\nanswers"), True),
        (words.say("平均\nトークン数", "Mean\ntokens"), True),
        (words.say("中央値", "Median"), True),
        (words.say("平均\n文字数", "Mean\ncharacters"), True),
        (words.say("基準との差", "Shift"), True),
        ("Cohen's d", True),
        (words.say("ρ(差,\n長さ)", "ρ(shift,\nlength)"), True),
        (words.say("ρ(差,\n得点差)", "ρ(shift,\nscore)"), True),
    ]
    return make_table(columns, [_length_cells(words, row) for row in findings.answer_style])


def _length_cells(words: Words, row: Json) -> tuple[str, ...]:
    of_unit = {one["unit"]: one for one in row["lengths"]}
    tokens, characters = of_unit.get("tokens"), of_unit.get("characters")
    cells = (
        str(row["benchmark"]),
        str(row["arm"]),
        integer(row["n_answers"]),
        DASH if tokens is None else number(tokens["mean"], 1),
        DASH if tokens is None else number(tokens["median"], 1),
        DASH if characters is None else number(characters["mean"], 1),
    )
    shift = shown_shift(row)
    return (*cells, *((DASH, DASH, DASH, DASH) if shift is None else _shift_cells(words, shift)))


def _shift_cells(words: Words, shift: Json) -> tuple[str, ...]:
    difference = number(shift["difference"], 1, sign=True)
    if shift["unit"] != "tokens":
        difference = in_unit(words, difference, shift["unit"])
    if shift["relative"] is not None:
        difference += f" ({number(100 * shift['relative'], 0, sign=True)}%)"
    return (
        _with_interval(words, difference, shift, "ci95", 1) + _p_value(shift),
        _with_interval(words, number(shift["cohens_d"], 2, sign=True), shift, "cohens_d_ci95", 2),
        _rho(words, shift["against_length"]),
        _rho(words, shift["against_score"]),
    )


def _p_value(shift: Json) -> str:
    if shift["p_value"] is None:
        return ""
    text = probability(shift["p_value"])
    return f"\np {text}" if text.startswith("<") else f"\np = {text}"


def _with_interval(words: Words, value: str, row: Json, name: str, digits: int) -> str:
    """Return a value and its interval below it, or the reason why there is none."""
    if row[name] is None:
        return f"{value}\n({code_in_words(words, row[f'{name}_reason'])})"
    low, high = (number(end, digits, sign=True) for end in row[name])
    return f"{value}\n[{low}, {high}]"


def _rho(words: Words, found: Json) -> str:
    if found["rho"] is None:
        return f"{DASH}\n({code_in_words(words, found['rho_reason'])})"
    return _with_interval(words, number(found["rho"], 2, sign=True), found, "ci95", 2)


def styles_table(findings: Findings, words: Words) -> Table:
    """Return the share of each arm's answers with each style. A mark shows a difference from the reference."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "arm"), False),
        (words.say("n (回答)", "n answers"), True),
        *((style_title(words, style), True) for style in STYLES),
    ]
    rows = [
        (
            str(row["benchmark"]),
            str(row["arm"]),
            integer(row["n_answers"]),
            *(_share(words, share) for share in row["shares"]),
        )
        for row in findings.answer_style
    ]
    return make_table(columns, rows)


def _share(words: Words, share: Json) -> str:
    if share["share"] is None:
        return f"{DASH}\n({code_in_words(words, share['share_reason'])})"
    mark = "†" if share_differs(share) else ""
    interval = "" if share["ci95"] is None else f"\n{RIGHT_OR_WRONG.interval(share['ci95'])}"
    return f"{RIGHT_OR_WRONG.value(share['share'])}{mark}{interval}"


def across_models_table(findings: Findings, words: Words) -> Table:
    """Return how the shift of the length is related to length and score over models."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "recipe"), False),
        (words.say("n (モデル)", "n models"), True),
        (words.say("差の平均", "Mean shift"), True),
        (words.say("ρ(差, 基準の長さ)", "ρ(shift, length)"), True),
        (words.say("ρ(差,\n得点差)", "ρ(shift,\nscore)"), True),
    ]
    rows = [
        (
            str(one["benchmark"]),
            one["recipe"] or DASH,
            integer(len(one["points"])),
            f"{number(100 * sum(point['relative'] for point in one['points']) / len(one['points']), 1, sign=True)}%",
            _rho(words, one["against_length"]),
            _rho(words, one["against_score"]),
        )
        for one in findings.length_across_models
    ]
    return make_table(columns, rows)
