"""Tables of one grid: calibration mixes, effects, and comparisons of every two importance matrices."""

from __future__ import annotations

from reporting.documents.phrases import LOSS_DIGITS, effect_interval
from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, difference_words, header, integer, number, probability
from stats.verdict import ALPHA


def mixes_table(findings: Findings, words: Words, grid: Json) -> Table:
    """Return one row per importance matrix: the texts that it was made from."""
    columns = [
        (header(words, "imatrix"), False),
        (words.say("トークン数", "Tokens"), True),
        (words.say("較正テキスト(割合)", "Calibration texts (share)"), False),
    ]
    known = {one["name"]: one for one in findings.comparison["imatrices"]}
    rows = [(mix, *_mix_cells(known.get(mix))) for mix in grid["imatrices"]]
    return make_table(columns, rows)


def _mix_cells(matrix: Json | None) -> tuple[str, str]:
    if matrix is None:
        return DASH, DASH
    parts = []
    for text in matrix["texts"]:
        counted = text.get("n_chunks") is not None and matrix["n_chunks"]
        share = f" ({number(100 * text['n_chunks'] / matrix['n_chunks'], 0)}%)" if counted else ""
        parts.append(f"{text['name']}{share}")
    return integer(matrix["n_tokens"]), "\n".join(parts) or DASH


def _number_columns(words: Words) -> list[tuple[str, bool]]:
    return [
        (words.say("損失の差", "Difference in loss"), True),
        (header(words, "ci95"), True),
        ("p", True),
        (words.say("p (Holm 補正後)", "p (Holm)"), True),
    ]


def _number_cells(words: Words, row: Json) -> tuple[str, ...]:
    adjusted = row["p_adjusted"]
    mark = "†" if adjusted is not None and adjusted < ALPHA else ""
    return (
        number(row["estimate"], LOSS_DIGITS, sign=True) + mark,
        effect_interval(words, row),
        probability(row["p_value"]),
        probability(adjusted),
    )


def short_name(benchmark: str) -> str:
    """Return a benchmark's name without `perplexity_`: in a grid every benchmark measures perplexity."""
    return benchmark.removeprefix("perplexity_")


_FACTORS = {"recipe": ("型", "recipe"), "imatrix": ("行列", "matrix"), "language": ("言語", "language")}
"""Factor -> Japanese and English name."""


def effects_table(words: Words, effects: list[Json]) -> Table:
    """Return one row per main effect or interaction, each relative to the baseline levels."""
    columns = [
        (words.say("要因", "Factor"), False),
        (words.say("対比", "Contrast"), False),
        *_number_columns(words),
    ]
    rows = [
        (
            " × ".join(words.say(*_FACTORS[name]) for name in row["factors"]),
            _contrast_text(row),
            *_number_cells(words, row),
        )
        for row in effects
    ]
    return make_table(columns, rows)


def _contrast_text(row: Json) -> str:
    """Return `en − none` for a main effect; for an interaction, one line `(en − none)` per factor."""
    pairs = zip(row["levels"], row["baselines"], strict=True)
    parts = [f"{short_name(level)} − {short_name(baseline)}" for level, baseline in pairs]
    return parts[0] if len(parts) == 1 else "\n× ".join(f"({part})" for part in parts)


def contrasts_table(words: Words, contrasts: list[Json]) -> Table:
    """Return the difference of every two matrices, averaged over the recipes: on all texts, on each, between texts."""
    columns = [
        (words.say("比較した行列", "Matrices"), False),
        (words.say("行列の違い", "What differs"), False),
        (words.say("テストテキスト", "Test text"), False),
        *_number_columns(words),
    ]
    rows = [
        (
            f"{row['levels'][0]} − {row['baselines'][0]}",
            difference_words(words, row),
            _where(words, row),
            *_number_cells(words, row),
        )
        for row in contrasts
    ]
    return make_table(columns, rows)


def _where(words: Words, row: Json) -> str:
    if row["within"] is not None:
        return short_name(row["within"])
    if "language" in row["factors"]:
        return f"{short_name(row['levels'][1])} − {short_name(row['baselines'][1])}"
    return words.say("平均", "mean")
