"""Tables of verdicts, of flips between right and wrong, and of divergence on text.

They have no rows if the results file is older than these numbers, or if the analysis is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from reporting.analysis.scored_arms import AA_SUFFIX
from reporting.deciding import is_to_be_decided, items_there
from reporting.documents.phrases import code_in_words, count_with_unscored
from reporting.documents.tables.results import Table, make_table
from reporting.results_folder import Findings, Json, unscored_of
from reporting.shown_verdict import shown_verdict_of_arm, shown_word
from reporting.wording import (
    DASH,
    RIGHT_OR_WRONG,
    Scale,
    Words,
    difference_scale,
    header,
    integer,
    number,
    verdict_word,
)


def verdicts_table(findings: Findings, words: Words) -> Table:
    """Return one row per arm: its verdict over all benchmarks."""
    columns = [
        (header(words, "arm"), False),
        (header(words, "reference"), False),
        (header(words, "verdict"), False),
        (words.say("劣化あり", "Worse on"), False),
        (words.say("判定保留", "Undecided on"), False),
        (words.say("許容内", "No worse on"), False),
        (words.say("採点不能の記録", "Unscored records"), True),
    ]
    verdicts = [] if findings.analysis is None else findings.analysis.get("verdicts", [])
    claims = {row["arm"]: row for row in (findings.analysis or {}).get("pooled") or ()}
    if claims:
        columns.append((words.say("平均では", "On average"), False))
    lists = ("worse_on", "undecided_on", "no_worse_on")
    rows = [
        (
            str(row["arm"]),
            str(row["reference"]),
            shown_word(words, shown_verdict_of_arm(row, findings.analysis or {})),
            *("\n".join(row[name]) or DASH for name in lists),
            _unscored(row),
            *((_on_average(words, claims.get(row["arm"])),) if claims else ()),
        )
        for row in verdicts
        if not row["arm"].endswith(AA_SUFFIX)
    ]
    return make_table(columns, rows)


def undecided_table(findings: Findings, words: Words) -> Table:
    """Return one row per undecided comparison: why it is open, the smallest loss that it can detect, what decides."""
    columns = [
        (header(words, "benchmark"), False),
        (header(words, "arm"), False),
        (words.say("n (組)", "n pairs"), True),
        (header(words, "margin"), True),
        (words.say("理由", "Why"), False),
        (words.say("検出できる\n最小の低下", "Smallest loss\nit can detect"), True),
        (words.say("必要な問題数\n(五分五分)", "Items to decide\n(even chances)"), True),
        (words.say("必要な問題数\n(80%の確率)", "Items to decide\n(80%)"), True),
    ]
    rows = []
    for benchmark in findings.benchmarks:
        compared = findings.compared(benchmark["name"])
        scale = difference_scale(compared) if compared else RIGHT_OR_WRONG
        rows += [_open_cells(words, benchmark, row, scale) for row in compared if _is_open(row)]
    claims = (findings.analysis or {}).get("pooled") or ()
    rows += [_open_cells(words, None, row, RIGHT_OR_WRONG) for row in claims if _is_open(row)]
    return make_table(columns, rows)


def _is_open(row: Json) -> bool:
    return is_to_be_decided(row) and not row["arm"].endswith(AA_SUFFIX)


def _open_cells(words: Words, benchmark: Json | None, row: Json, scale: Scale) -> tuple[str, ...]:
    """Return the cells of one comparison; without a benchmark, of the claim on average."""
    even, likely = row.get("items_to_decide_range") or (row.get("items_to_decide"),) * 2
    there = None if benchmark is None else items_there(row, benchmark)
    has_only = "" if there is None else words.say(f"\n(全 {integer(there)} 問)", f"\n(there are {integer(there)})")
    return (
        words.say("平均", "on average") if benchmark is None else str(benchmark["name"]),
        str(row["arm"]),
        count_with_unscored(words, row["n_items"], unscored_of(row)),
        scale.difference(row.get("margin")).removeprefix("+"),
        "\n".join(code_in_words(words, code) for code in row.get("verdict_grounds") or ["no_margin"]),
        scale.difference(row.get("detectable_drop")).removeprefix("+"),
        integer(even),
        integer(likely) + has_only,
    )


def _unscored(row: Json) -> str:
    """Return the unscored records of the arm among all its records; a dash in older files."""
    if row.get("n_records") is None:
        return DASH
    return f"{integer(row['n_unscored'])} / {integer(row['n_records'])}"


def _on_average(words: Words, claim: Json | None) -> str:
    """Return the verdict on average, and the mean difference with its interval."""
    if claim is None or claim["difference"] is None:
        return DASH
    verdict = verdict_word(words, claim["verdict"])
    return (
        f"{verdict}\n{RIGHT_OR_WRONG.difference(claim['difference'])}\n{RIGHT_OR_WRONG.signed_interval(claim['ci95'])}"
    )


def flips_table(findings: Findings, words: Words) -> Table:
    """Return how many answers flipped between right and wrong, and in two runs of the reference."""
    columns = [
        (header(words, "benchmark"), False),
        (words.say("アーム − 基準", "Arm − reference"), False),
        (words.say("n (組)", "n pairs"), True),
        (words.say("正 → 誤", "Right → wrong"), True),
        (words.say("誤 → 正", "Wrong → right"), True),
        (header(words, "flips"), True),
        (header(words, "noise_floor"), True),
        (words.say("ノイズフロア超過分", "Above the floor"), True),
        (words.say("オッズ比", "Odds ratio"), True),
    ]
    rows = [
        (
            str(benchmark["name"]),
            f"{row['arm']} − {row['reference']}",
            integer(row["flips"]["n_items"]),
            *(_percent(row["flips"], name) for name in ("lost", "gained", "flipped", "noise_floor", "above_floor")),
            _with_interval(row["flips"], "odds_ratio", 1, 2),
        )
        for benchmark in findings.benchmarks
        for row in findings.compared(benchmark["name"])
        if row.get("flips")
    ]
    return make_table(columns, rows)


def divergence_table(findings: Findings, words: Words) -> Table:
    """Return how far each arm's predictions are from the reference's on text (see `reporting.analysis.divergence`)."""
    results = findings.comparison["results"]
    known = [row for row in results if "token_class" in row and row["mean"] is not None]
    found = {(row["benchmark"], row["arm"], row["metric"]): row for row in known}
    classes = [name for name in _CLASSES if any(metric == f"kld_{name}" for *_, metric in found)]
    columns = [
        (words.say("テキスト", "Text"), False),
        (header(words, "arm"), False),
        (words.say("トークン数", "Tokens"), True),
        (words.say("平均 KLD", "Mean KLD"), True),
        (words.say("PPL の比", "PPL ratio"), True),
        (words.say("最尤トークンの一致率", "Same top token"), True),
        ("Δp RMS", True),
        *((words.say(*_CLASSES[name]), True) for name in classes),
    ]
    rows = [
        (
            str(benchmark["name"]),
            str(arm["name"]),
            *_divergence_cells(
                {metric: row for (text, name, metric), row in found.items() if (text, name) == key}, classes
            ),
        )
        for benchmark in findings.benchmarks
        for arm in findings.arms
        if (*(key := (benchmark["name"], arm["name"])), "kld") in found
    ]
    return make_table(columns, rows)


_CLASSES = {
    "mathematics": ("KLD 数学", "KLD maths"),
    "science": ("KLD 科学", "KLD science"),
    "other": ("KLD その他", "KLD other"),
}


def _divergence_cells(of: dict[str, Json], classes: Sequence[str]) -> tuple[str, ...]:
    def cell(metric: str, factor: int, digits: int) -> str:
        row = of.get(metric)
        if row is None:
            return DASH
        return _with_interval({"value": row["mean"], "value_ci95": row["ci95"]}, "value", factor, digits)

    return (
        integer(of["kld"].get("n_tokens")),
        cell("kld", 1, 4),
        cell("perplexity_ratio", 1, 4),
        cell("top_agreement", 100, 1),
        cell("p_change_rms", 100, 1),
        *(cell(f"kld_{name}", 1, 4) for name in classes),
    )


def _percent(flips: Json, name: str) -> str:
    return _with_interval(flips, name, 100, 1)


def _with_interval(row: Json, name: str, factor: int, digits: int) -> str:
    value, interval = row.get(name), row.get(f"{name}_ci95")
    if value is None:
        return DASH
    unit = "%" if factor == 100 else ""
    text = number(factor * value, digits) + unit
    if interval is None:
        return text
    low, high = (number(factor * bound, digits) for bound in interval)
    return f"{text}\n[{low}, {high}]"
