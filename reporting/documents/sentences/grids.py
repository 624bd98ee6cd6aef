"""What a grid of recipes, importance matrices and test languages says, for templates: tables, and their meaning.

No effect is judged by its point alone: sentences name a difference only where its adjusted p value is below 0.05, and
say of matrices that differ in amount and text together that neither explains the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from reporting.charts.grid import PREFIX
from reporting.documents.tables.grids import DIGITS, contrasts_table, effects_table, interval_text, mixes_table
from reporting.documents.tables.results import Table
from reporting.results_folder import Findings, Json
from reporting.wording import Words, benchmark_title, difference_words, integer, number, probability
from stats.verdict import ALPHA

_SCORECARD_FACTORS = (["recipe"], ["imatrix"], ["language"], ["imatrix", "language"])
"""Effects that the scorecard has room for; the report has them all."""


@dataclass(frozen=True)
class GridView:
    """One grid."""

    reference: str
    what: dict[str, str]
    """Language -> what an effect is, against which baselines."""
    said: dict[str, tuple[str, ...]]
    """Language -> sizes of the texts, equal recipes, and what the contrasts show."""
    mixes: Table
    effects: Table
    chief_effects: Table
    """Main effects, and whether that of the matrix depends on the language."""
    contrasts: Table
    controlled: bool
    """Two matrices differ in their text alone: language is told apart from amount."""


def grid_views(findings: Findings, words: Words) -> tuple[GridView, ...]:
    """All grids of a run that carry their contrasts; none in an older results file."""
    grids = [] if findings.analysis is None else findings.analysis.get("factorial", [])
    return tuple(_grid_view(findings, words, grid) for grid in grids if "contrasts" in grid)


def grid_captions(findings: Findings) -> dict[str, tuple[str, str]]:
    """File stem -> caption of each grid figure, Japanese and English."""
    ja, en = Words("ja"), Words("en")
    return {
        f"{PREFIX}{benchmark['name']}": (
            f"重要度行列の効果、{benchmark_title(ja, benchmark)}。左: 型と行列ごとの値。線は基準との対応のある差の"
            "95%信頼区間、破線は基準。右: 行列どうしの差(型の平均)。",
            f"What the importance matrix does, {benchmark_title(en, benchmark)}. Left: each recipe with each matrix; "
            "bars are 95% intervals of the paired difference from the reference (dashed). Right: every two matrices "
            "against each other, mean of the recipes.",
        )
        for benchmark in _texts(findings)
    }


def grid_shows(findings: Findings) -> dict[str, tuple[str, str]]:
    """File stem -> what a sentence says that each grid figure shows, Japanese and English."""
    return {
        f"{PREFIX}{benchmark['name']}": (
            f"{benchmark_title(Words('ja'), benchmark)}での重要度行列の効果",
            f"what the importance matrix does on {benchmark_title(Words('en'), benchmark)}",
        )
        for benchmark in _texts(findings)
    }


def _texts(findings: Findings) -> list[Json]:
    """The benchmarks that some grid of arms was measured on."""
    grids = [] if findings.analysis is None else findings.analysis.get("factorial", [])
    return [
        benchmark for benchmark in findings.benchmarks if any(benchmark["name"] in grid["languages"] for grid in grids)
    ]


def _grid_view(findings: Findings, words: Words, grid: Json) -> GridView:
    languages = (Words("ja"), Words("en"))
    told = [row for row in grid["effects"] if not _is_of_equals(row, grid.get("equal_recipes", []))]
    chief = [row for row in told if row["factors"] in _SCORECARD_FACTORS]
    return GridView(
        reference=grid["reference"],
        what={one.lang: _what(findings, one, grid) for one in languages},
        said={one.lang: tuple(_said(findings, one, grid)) for one in languages},
        mixes=mixes_table(findings, words, grid),
        effects=effects_table(words, told),
        chief_effects=effects_table(words, chief),
        contrasts=contrasts_table(words, grid["contrasts"]),
        controlled=any(row["differs_in"] == ["text"] for row in grid["contrasts"]),
    )


def _is_of_equals(row: Json, equal_recipes: list[list[str]]) -> bool:
    """An effect of two recipes that make the same weights is 0, which is said once and in words."""
    return "recipe" in row["factors"] and [row["baselines"][0], row["levels"][0]] in equal_recipes


# --- words ----------------------------------------------------------------------------------------


def _what(findings: Findings, words: Words, grid: Json) -> str:
    """`words`: ja or en, not both."""
    reference = grid["reference"]
    baselines = f"{grid['recipes'][0]}, {grid['imatrices'][0]}, {_title(findings, words, grid['languages'][0])}"
    return words.say(
        f"損失とは、同じチャンクでのアームの ln PPL から基準 {reference} の ln PPL を引いたもの(nat/トークン)。"
        f"主効果は、要因のある水準とその基準水準({baselines})との損失の差で、他の要因の水準について平均したもの。"
        "負なら損失が小さい。0.01 はパープレキシティの約1%にあたる。交互作用は、そのような差どうしの差。"
        "区間は95%で補正なし。p は、すべての効果について、またすべての行列の対について、"
        "それぞれ Holm の方法で補正した。",
        f"The loss is ln PPL of an arm minus that of the reference {reference}, on the same chunks (nats a token). A "
        f"main effect is the difference in loss between a level of a factor and the factor's baseline ({baselines}), "
        "averaged over the levels of the other factors; negative: less is lost. 0.01 is about one percent of "
        "perplexity. An interaction is a difference of such differences. Intervals are 95%, not adjusted; p is "
        "adjusted by Holm's method, over all effects and over all pairs of matrices, each by themselves.",
    )


def _said(findings: Findings, words: Words, grid: Json) -> list[str]:
    sentences = [_sizes(findings, words, grid)]
    sentences += [
        words.say(
            f"{first} と {second} は、このモデルではすべてのチャンクで同じ結果であり、同じ重みになる"
            "(型についての平均では二度数えられる)。",
            f"{first} and {second} gave the same result on every chunk: of this model they make the same weights "
            "(which count twice in means over the recipes).",
        )
        for first, second in grid.get("equal_recipes", [])
    ]
    pairs = dict.fromkeys((row["levels"][0], row["baselines"][0]) for row in grid["contrasts"])
    return sentences + [_pair(findings, words, grid, *pair) for pair in pairs]


def _sizes(findings: Findings, words: Words, grid: Json) -> str:
    counts = grid["n_chunks"]
    if len(set(counts.values())) == 1:
        n = integer(next(iter(counts.values())))
        return words.say(
            f"テスト文は同じ大きさに揃えてある(各 {n} チャンク、採点トークン数も等しい)。",
            f"The test texts are of equal size: {n} chunks each, with as many scored tokens.",
        )
    listed = ", ".join(f"{_title(findings, words, name)}: {integer(count)}" for name, count in counts.items())
    return words.say(
        f"テスト文の大きさは等しくない(チャンク数 {listed})。平均では各言語を等しく数える。",
        f"The test texts are not of equal size (chunks: {listed}); in means each language counts the same.",
    )


def _pair(findings: Findings, words: Words, grid: Json, level: str, baseline: str) -> str:
    """What one pair of matrices shows in each language."""
    rows = [row for row in grid["contrasts"] if (row["levels"][0], row["baselines"][0]) == (level, baseline)]
    inside = [row for row in rows if row["within"] is not None] or rows[:1]
    differs = rows[0]["differs_in"]
    heads = {
        ("text",): (
            "較正テキストの量が等しく、内容だけが違う",
            "equal amount of calibration text, another text: what its language does",
        ),
        ("amount",): ("内容が等しく、量だけが違う", "the same text, another amount: what more text does"),
        ("amount", "text"): (
            "量も内容も違うので、どちらの効果かは分けられない",
            "amount and text both differ, so neither explains the difference",
        ),
        (): ("量も内容も同じ", "same amount, same text"),
    }
    head = difference_words(words, rows[0]) if differs is None else words.say(*heads[tuple(differs)])
    found = "; ".join(_found(findings, words, row) for row in inside)
    return words.say(f"{level} − {baseline}({head}): {found}。", f"{level} − {baseline} ({head}): {found}.")


def _found(findings: Findings, words: Words, row: Json) -> str:
    where = words.say("全体", "over all texts") if row["within"] is None else _title(findings, words, row["within"])
    value = f"{number(row['estimate'], DIGITS, sign=True)} {interval_text(words, row)}"
    adjusted = row["p_adjusted"]
    if adjusted is None:
        return f"{where}: {value}"
    if adjusted >= ALPHA:
        shown = words.say("差は示されていない", "no difference is shown")
    elif row["estimate"] < 0:
        shown = words.say("損失が小さいと示された", "shown to lose less")
    else:
        shown = words.say("損失が大きいと示された", "shown to lose more")
    return f"{where}: {value}, p {probability(adjusted)}, {shown}"


def _title(findings: Findings, words: Words, name: str) -> str:
    benchmark = next((one for one in findings.benchmarks if one["name"] == name), None)
    return name if benchmark is None else benchmark_title(words, benchmark)
