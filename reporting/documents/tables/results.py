"""The tables of report, methodology and scorecard, as plain text cells. The templates do the markup.

Every number comes from the results folder. Null is a dash with its reason. A value without sampling says "no sampling",
never ±0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reporting.documents.phrases import (
    code_in_words,
    count_with_unscored,
    dash_with_reason,
    describe_interval,
)
from reporting.results_folder import Findings, Json, unscored_of
from reporting.shown_verdict import shown_verdict, shown_word
from reporting.wording import (
    DASH,
    Words,
    difference_scale,
    header,
    integer,
    method_title,
    metric_title,
    number,
    probability,
    scale_of,
    size_unit,
    term,
)
from stats.verdict import ALPHA

HASH_CHARS = 12


@dataclass(frozen=True)
class Table:
    """One table of plain text cells. `numeric` says per column whether it holds numbers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]


def make_table(columns: Sequence[tuple[str, bool]], rows: Sequence[tuple[str, ...]]) -> Table:
    """Return a table made of columns (header, does it hold numbers) and rows."""
    return Table(tuple(name for name, _ in columns), tuple(rows), tuple(is_number for _, is_number in columns))


def models_table(findings: Findings, words: Words) -> Table:
    """Return one row per model, with its source."""
    columns = [
        (header(words, "model"), False),
        (header(words, "architecture"), False),
        (words.say("パラメータ数", "Parameters"), True),
        (words.say("元の型", "Source type"), False),
        (words.say("逆量子化前の型", "Dequantized from"), False),
        (header(words, "size"), True),
        ("sha256", False),
    ]
    rows = [
        (
            str(model["name"]),
            str(model["architecture"]),
            integer(model["n_parameters"]),
            str(model["source_type"]),
            model["dequantized_from"] or DASH,
            size_unit(model["size_bytes"] or 0).text(model["size_bytes"]),
            short_hash(model["sha256"]),
        )
        for model in findings.models
    ]
    return make_table(columns, rows)


def arms_table(findings: Findings, words: Words) -> Table:
    """Return one row per arm, with how it was made."""
    unit = size_unit(max((arm["size_bytes"] or 0 for arm in findings.arms), default=0))
    columns = [
        (header(words, "arm"), False),
        (header(words, "model"), False),
        (header(words, "reference"), False),
        (header(words, "recipe"), False),
        (header(words, "imatrix"), False),
        (header(words, "size"), True),
        (header(words, "bits_per_weight"), True),
        (header(words, "fallback_tensors"), True),
        ("sha256", False),
    ]
    rows = [
        (
            str(arm["name"]),
            str(arm["model"]),
            arm["reference"] or DASH,
            arm["recipe"] or DASH,
            arm["imatrix"] or DASH,
            unit.text(arm["size_bytes"]),
            number(arm["bits_per_weight"], 2),
            fallback_text(arm),
            short_hash(arm["sha256"]),
        )
        for arm in findings.arms
    ]
    return make_table(columns, rows)


def fallback_text(arm: Json) -> str:
    """Return how many tensors got a type other than the recipe's, out of all quantized ones."""
    fallbacks = arm["fallbacks"]
    return DASH if fallbacks is None else f"{fallbacks['count']} / {fallbacks['tensors_quantized']}"


def benchmarks_table(findings: Findings, words: Words) -> Table:
    """Return one row per benchmark, as this run used it."""
    columns = [
        (header(words, "benchmark"), False),
        (words.say("評価方式", "Kind"), False),
        (header(words, "metric"), False),
        (words.say("問題数 (全体)", "Items (of all)"), True),
        (header(words, "shots"), True),
        (words.say("シード", "Seeds"), False),
        (header(words, "version"), False),
        (words.say("データのハッシュ", "Data hash"), False),
    ]
    rows = [
        (
            str(benchmark["name"]),
            code_in_words(words, benchmark["kind"]),
            _metrics(words, benchmark),
            f"{integer(benchmark['n_items'])} ({integer(benchmark['n_items_total'])})",
            integer(benchmark["shots"]),
            term(words, "no_sampling") if benchmark["deterministic"] else ", ".join(map(str, benchmark["seeds"])),
            str(benchmark["version"]),
            short_hash(benchmark["data_hash"]),
        )
        for benchmark in findings.benchmarks
    ]
    return make_table(columns, rows)


def _metrics(words: Words, benchmark: Json) -> str:
    """Return the benchmark's metric, and the score that its verdict goes by if that is another one."""
    metric = str(benchmark["metric"])
    score = str(benchmark.get("verdict_score", metric))
    own = metric_title(words, metric)
    if score == metric:
        return own
    return f"{own}\n{term(words, 'verdict')}: {metric_title(words, score)}"


def results_table(findings: Findings, words: Words, benchmark: Json) -> Table:
    """Return the results of every arm on one benchmark, one row per metric."""
    columns = [
        (header(words, "arm"), False),
        (header(words, "metric"), False),
        (words.say("n (問)", "n items"), True),
        (header(words, "mean"), True),
        (header(words, "ci95"), True),
        (words.say("区間の求め方", "CI method"), False),
        (words.say("σ (問題間)", "σ items"), True),
        (words.say("σ (実行間)", "σ runs"), True),
        (words.say("1.96σ/√実行回数", "1.96σ/√runs"), True),
        (header(words, "unscored"), True),
    ]
    rows = [row for row in findings.comparison["results"] if row["benchmark"] == benchmark["name"]]
    # Divergence has its own table.
    found = [row for row in rows if "token_class" not in row]
    order = {arm["name"]: place for place, arm in enumerate(findings.arms)}
    found.sort(key=lambda row: (not row["primary"], order.get(row["arm"], len(order))))
    return make_table(columns, [_result_cells(words, row, found) for row in found])


def _result_cells(words: Words, row: Json, found: list[Json]) -> tuple[str, ...]:
    same = [other for other in found if other["metric"] == row["metric"]]
    values = [value for other in same for value in (other["mean"], *(other["ci95"] or ())) if value is not None]
    scale = scale_of(row["metric"], values)

    def cell(name: str) -> str:
        if row[name] is not None:
            return scale.value(row[name])
        if row["deterministic"] and name in ("sigma_runs", "error_bar_runs"):
            return term(words, "no_sampling")
        return dash_with_reason(words, row, name)

    return (
        str(row["arm"]),
        metric_title(words, row["metric"]),
        integer(row["n_items"]),
        cell("mean"),
        scale.interval(row["ci95"]) if row["ci95"] is not None else dash_with_reason(words, row, "ci95"),
        method_title(words, row["ci_method"]),
        cell("sigma_items"),
        cell("sigma_runs"),
        cell("error_bar_runs"),
        integer(row["n_unscored"]),
    )


def differences_table(findings: Findings, words: Words, benchmark: Json) -> Table | None:
    """Return the differences (arm minus reference) on one benchmark; None if nothing was compared."""
    found = findings.compared(benchmark["name"])
    if not found:
        return None
    scale = difference_scale(found)
    columns = [
        (words.say("アーム − 基準", "Arm − reference"), False),
        (words.say("n (組)", "n pairs"), True),
        (header(words, "difference"), True),
        (header(words, "ci95"), True),
        (words.say("p (Holm 補正後)", "p (Holm)"), True),
        (words.say("区間の求め方、検定", "CI method, test"), False),
        ("Cohen's d", True),
        (header(words, "verdict"), True),
        (words.say("区間の位置", "Interval vs. 0"), False),
    ]
    rows = [
        (
            f"{row['arm']} − {row['reference']}",
            count_with_unscored(words, row["n_items"], unscored_of(row)),
            scale.difference(row["difference"]) + _mark(row),
            scale.signed_interval(row["ci95"]) if row["ci95"] is not None else dash_with_reason(words, row, "ci95"),
            f"{probability(row['p_value'])} ({probability(row.get('p_adjusted'))})",
            f"{method_title(words, row['ci_method'])}\n{method_title(words, row['test'])}",
            number(row["cohens_d"], 2, sign=True)
            if row["cohens_d"] is not None
            else dash_with_reason(words, row, "cohens_d"),
            shown_word(words, shown_verdict(row)) or DASH,
            describe_interval(words, row, benchmark["higher_is_better"]),
        )
        for row in found
    ]
    return make_table(columns, rows)


def _mark(row: Json) -> str:
    """Return a dagger if p < .05 after Holm's adjustment over the arm's benchmarks."""
    adjusted = row.get("p_adjusted")
    return "†" if adjusted is not None and adjusted < ALPHA else ""


def unscored_table(findings: Findings, words: Words) -> Table:
    """Return the counts of records that could not be scored, with their reasons. No rows if there are none."""
    columns = [
        (header(words, "arm"), False),
        (header(words, "benchmark"), False),
        (words.say("採点不能の記録数", "Unscored records"), True),
        (words.say("理由", "Reasons"), False),
    ]
    rows = [
        (
            str(row["arm"]),
            str(row["benchmark"]),
            integer(row["n_unscored"]),
            "; ".join(f"{code_in_words(words, reason)}: {count}" for reason, count in row["unscored_reasons"].items()),
        )
        for row in findings.comparison["results"]
        if row["primary"] and row["n_unscored"]
    ]
    return make_table(columns, rows)


def versions_table(findings: Findings, words: Words) -> Table:
    """Return the versions of all software used, and facts about the machine."""
    columns = [(header(words, "component"), False), (header(words, "version"), False)]
    return make_table(columns, [(str(name), str(version)) for name, version in findings.comparison["versions"].items()])


def settings_table(findings: Findings, words: Words) -> Table:
    """Return the settings of the run, nested ones under dotted names."""
    columns = [(header(words, "setting"), False), (words.say("値", "Value"), False)]
    return make_table(columns, [*_flat("", findings.comparison["settings"])])


def _flat(prefix: str, value: object) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [row for key, part in value.items() for row in _flat(f"{prefix}.{key}" if prefix else str(key), part)]
    if isinstance(value, list):
        value = ", ".join(str(part) for part in value)
    return [(prefix, DASH if value is None or value == "" else str(value))]


def short_hash(value: str | None) -> str:
    """Return the first digits of a hash, enough to tell files apart. The results file has the whole hash."""
    return DASH if value is None else value[:HASH_CHARS]
