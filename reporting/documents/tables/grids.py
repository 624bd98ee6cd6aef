"""Tables of a grid: the mixes, every effect, and every two importance matrices against each other."""

from __future__ import annotations

from reporting.documents.reasons import in_words
from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, difference_words, integer, number, probability
from stats.verdict import ALPHA

DIGITS = 4
"""Of ln PPL: 0.0001 is a hundredth of a percent of perplexity."""


def mixes_table(findings: Findings, words: Words, grid: Json) -> Table:
    """What each matrix was made from."""
    columns = [
        (words.say("重要度行列", "Imatrix", "\n"), False),
        (words.say("トークン", "Tokens", "\n"), True),
        (words.say("テキスト(割合)", "Texts (share)", "\n"), False),
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
        (words.say("損失の差", "Difference in loss", "\n"), True),
        (words.say("95%信頼区間", "95% CI", "\n"), True),
        ("p", True),
        (words.say("p (Holm)", "p (Holm's)", "\n"), True),
    ]


def _number_cells(words: Words, row: Json) -> tuple[str, ...]:
    adjusted = row["p_adjusted"]
    mark = "†" if adjusted is not None and adjusted < ALPHA else ""
    return (
        number(row["estimate"], DIGITS, sign=True) + mark,
        interval_text(words, row),
        probability(row["p_value"]),
        probability(adjusted),
    )


def short_name(benchmark: str) -> str:
    """All texts of a grid are perplexity's: in narrow columns its name says nothing."""
    return benchmark.removeprefix("perplexity_")


def interval_text(words: Words, row: Json) -> str:
    """An effect's interval, or why there is none."""
    if row["ci95"] is None:
        return f"({in_words(words, row.get('ci95_reason'))})"
    low, high = (number(end, DIGITS, sign=True) for end in row["ci95"])
    return f"[{low}, {high}]"


_FACTORS = {"recipe": ("型", "recipe"), "imatrix": ("行列", "matrix"), "language": ("言語", "language")}
"""Japanese, English."""


def effects_table(words: Words, effects: list[Json]) -> Table:
    """Main effects and interactions, each against the baselines."""
    columns = [
        (words.say("要因", "Factor", "\n"), False),
        (words.say("対比", "Contrast", "\n"), False),
        *_number_columns(words),
    ]
    rows = [
        (
            words.say(_factors(row, 0), _factors(row, 1), "\n"),
            _contrast_text(row),
            *_number_cells(words, row),
        )
        for row in effects
    ]
    return make_table(columns, rows)


def _factors(row: Json, language: int) -> str:
    return " × ".join(_FACTORS[name][language] for name in row["factors"])


def _contrast_text(row: Json) -> str:
    """`en − none`, and `(en − none)` a line for each factor of an interaction."""
    pairs = zip(row["levels"], row["baselines"], strict=True)
    parts = [f"{short_name(level)} − {short_name(baseline)}" for level, baseline in pairs]
    return parts[0] if len(parts) == 1 else "\n× ".join(f"({part})" for part in parts)


def contrasts_table(words: Words, contrasts: list[Json]) -> Table:
    """Every two matrices, averaged over the recipes: on the mean of the texts, in each, and between them."""
    columns = [
        (words.say("行列どうし", "Matrices", "\n"), False),
        (words.say("違い", "What differs", "\n"), False),
        (words.say("テスト文", "Test text", "\n"), False),
        *_number_columns(words),
    ]
    rows = [
        (
            f"{row['levels'][0]} − {row['baselines'][0]}",
            difference_words(words, row, "\n"),
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
    return words.say("平均", "mean", "\n")
