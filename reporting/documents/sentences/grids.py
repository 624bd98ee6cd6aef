"""Sentences about a grid of recipes, importance matrices and test languages, and the captions of its figures.

No effect is judged by its estimate alone: a sentence claims a difference only if its adjusted p value is below 0.05. If
two matrices differ in both the amount and the text of their calibration, the sentence says that neither explains the
difference.
"""

from __future__ import annotations

from reporting.charts.grid import PREFIX
from reporting.documents.phrases import LOSS_DIGITS, effect_interval
from reporting.results_folder import Findings, Json
from reporting.wording import Words, benchmark_title, difference_words, integer, number, probability
from stats.verdict import ALPHA


def grid_captions(findings: Findings, words: Words) -> dict[str, str]:
    """Return file stem -> caption of each grid figure."""
    return {
        f"{PREFIX}{benchmark['name']}": words.say(
            f"重要度行列の効果、{benchmark_title(words, benchmark)}。左: 型と行列ごとの値。線は基準との対応のある差の"
            "95%信頼区間、破線は基準。右: 行列どうしの差(型の平均)。",
            f"Effect of the importance matrix, {benchmark_title(words, benchmark)}. Left: each recipe with each matrix;"
            " bars are 95% intervals of the paired difference from the reference (dashed). Right: differences between "
            "every two matrices, averaged over the recipes.",
        )
        for benchmark in _grid_benchmarks(findings)
    }


def grid_topics(findings: Findings, words: Words) -> dict[str, str]:
    """Return file stem -> what each grid figure shows, as part of a sentence."""
    return {
        f"{PREFIX}{benchmark['name']}": words.say(
            f"{benchmark_title(words, benchmark)}での重要度行列の効果",
            f"the effect of the importance matrix on {benchmark_title(words, benchmark)}",
        )
        for benchmark in _grid_benchmarks(findings)
    }


def _grid_benchmarks(findings: Findings) -> list[Json]:
    """Return the benchmarks on which some grid of arms was measured."""
    grids = [] if findings.analysis is None else findings.analysis.get("factorial", [])
    return [
        benchmark for benchmark in findings.benchmarks if any(benchmark["name"] in grid["languages"] for grid in grids)
    ]


def grid_definition(findings: Findings, words: Words, grid: Json) -> str:
    """Define loss, main effect and interaction for one grid, with its reference and baseline levels.

    Args:
        findings: the results.
        words: the language.
        grid: one grid of the analysis.
    """
    reference = grid["reference"]
    baselines = f"{grid['recipes'][0]}, {grid['imatrices'][0]}, {_title(findings, words, grid['languages'][0])}"
    return words.say(
        f"損失は、同じチャンクでの「アームの ln PPL − 基準 {reference} の ln PPL」(nat/トークン)である。主効果は、"
        f"ある要因の各水準とベースライン水準({baselines})との損失の差を、ほかの要因の水準について平均した値である。"
        "負なら損失が小さい。0.01 はパープレキシティの約1%にあたる。交互作用は、この差どうしの差である。区間は95%で、"
        "多重性の補正はない。p は、すべての効果とすべての行列の組について、それぞれ Holm の方法で補正した。",
        f"The loss is ln PPL of an arm minus ln PPL of the reference {reference}, on the same chunks (nats per token). "
        f"A main effect is the difference in loss between a level of a factor and its baseline level ({baselines}), "
        "averaged over the levels of the other factors. Negative means a smaller loss; 0.01 is about one percent of "
        "perplexity. An interaction is a difference between such differences. Intervals are 95% and not adjusted. P "
        "values are adjusted by Holm's method, separately over all effects and over all pairs of matrices.",
    )


def grid_sentences(findings: Findings, words: Words, grid: Json) -> list[str]:
    """Return the sizes of the test texts, the recipes with equal results, and what each pair of matrices shows.

    Args:
        findings: the results.
        words: the language.
        grid: one grid of the analysis.
    """
    sentences = [_size_sentence(findings, words, grid)]
    sentences += [
        words.say(
            f"このモデルでは {first} と {second} が同じ重みになり、すべてのチャンクで結果が一致した"
            "(型の平均では二重に数えられる)。",
            f"For this model, {first} and {second} gave the same result on every chunk because they produce the same "
            "weights (means over the recipes count these weights twice).",
        )
        for first, second in grid.get("equal_recipes", [])
    ]
    pairs = dict.fromkeys((row["levels"][0], row["baselines"][0]) for row in grid["contrasts"])
    return sentences + [_pair_sentence(findings, words, grid, *pair) for pair in pairs]


def _size_sentence(findings: Findings, words: Words, grid: Json) -> str:
    counts = grid["n_chunks"]
    if len(set(counts.values())) == 1:
        n = integer(next(iter(counts.values())))
        return words.say(
            f"テストテキストのサイズは等しい(各 {n} チャンク、採点トークン数も等しい)。",
            f"The test texts are of equal size: {n} chunks each, with the same number of scored tokens.",
        )
    listed = ", ".join(f"{_title(findings, words, name)}: {integer(count)}" for name, count in counts.items())
    return words.say(
        f"テストテキストのサイズは等しくない(チャンク数 {listed})。平均では各言語を同じ重みで扱う。",
        f"The test texts are not of equal size (chunks: {listed}); means give each language the same weight.",
    )


def _pair_sentence(findings: Findings, words: Words, grid: Json, level: str, baseline: str) -> str:
    """Say what the comparison of two matrices shows in each language."""
    rows = [row for row in grid["contrasts"] if (row["levels"][0], row["baselines"][0]) == (level, baseline)]
    inside = [row for row in rows if row["within"] is not None] or rows[:1]
    differs = rows[0]["differs_in"]
    heads = {
        ("text",): (
            "較正テキストの量は同じで、内容だけが違う: 言語の効果",
            "same amount of calibration text, different text: the effect of its language",
        ),
        ("amount",): ("内容は同じで、量だけが違う: 量の効果", "same text, different amount: the effect of more text"),
        ("amount", "text"): (
            "量も内容も違うので、どちらの効果かは分けられない",
            "amount and text both differ, so neither alone explains the difference",
        ),
        (): ("量も内容も同じ", "same amount, same text"),
    }
    head = difference_words(words, rows[0]) if differs is None else words.say(*heads[tuple(differs)])
    found = "; ".join(_finding(findings, words, row) for row in inside)
    return words.say(f"{level} − {baseline}({head}): {found}。", f"{level} − {baseline} ({head}): {found}.")


def _finding(findings: Findings, words: Words, row: Json) -> str:
    where = words.say("全体", "over all texts") if row["within"] is None else _title(findings, words, row["within"])
    value = f"{number(row['estimate'], LOSS_DIGITS, sign=True)} {effect_interval(words, row)}"
    adjusted = row["p_adjusted"]
    if adjusted is None:
        return f"{where}: {value}"
    if adjusted >= ALPHA:
        shown = words.say("差があるとは言えない", "no difference is shown")
    elif row["estimate"] < 0:
        shown = words.say("損失が小さい", "shown to lose less")
    else:
        shown = words.say("損失が大きい", "shown to lose more")
    return f"{where}: {value}, p {probability(adjusted)}, {shown}"


def _title(findings: Findings, words: Words, name: str) -> str:
    benchmark = next((one for one in findings.benchmarks if one["name"] == name), None)
    return name if benchmark is None else benchmark_title(words, benchmark)
