"""Sentences about judges: what a reader in a hurry has to know before trusting a judged score.

Alpha is put into words by Krippendorff's rule of thumb: from 0.8 on conclusions are safe, from 0.667 on they are
tentative, below that they are not. A leaning or a correction is told only if its interval excludes 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from reporting.documents.phrases import SCORE_DIGITS, judge_name, token_step
from reporting.results_folder import Findings, Json
from reporting.wording import Words, integer, listed, number

SAFE, TENTATIVE = 0.8, 0.667


def judging_sentences(findings: Findings, words: Words) -> list[str]:
    """Return the sentences of all judged benchmarks; none if nothing was judged."""
    return [
        sentence for entry in findings.judging for sentence in _of_benchmark(words, entry, token_step(findings, entry))
    ]


def _of_benchmark(words: Words, entry: Json, step: int) -> Iterator[str]:
    name = entry["benchmark"]
    for judge in entry["judges"]:
        if judge["judge"] is not None and judge["repeats"] is not None:
            yield _repeats(words, name, judge)
    if entry["agreement"] is not None:
        yield _between(words, entry)
    yield from _leanings(words, entry, step)
    if entry["human_scores"] is None:
        yield words.say(
            f"{name}: 人による採点がないため、採点モデルの点が人の評価とどれだけ一致するかは不明である。",
            f"{name}: no answer was scored by people, so nobody knows how far the judges agree with people.",
        )
        return
    yield from _corrections(words, entry)


def _repeats(words: Words, benchmark: str, judge: Json) -> str:
    alpha = judge["repeats"]["alpha"]
    shown = number(alpha, SCORE_DIGITS)
    if alpha >= SAFE:
        ja, en = "、同じ回答にほぼ同じ点を付ける", "gives an answer nearly the same score each time"
    elif alpha >= TENTATIVE:
        ja, en = "、同じ回答でも点がやや変わる", "is fairly steady when it judges an answer again"
    else:
        ja, en = (
            "、同じ回答でも採点のたびに点が変わり、個々の点は当てにならない",
            "often changes its score of an answer",
        )
        en += ", so a single score says little"
    name = judge_name(words, judge)
    return words.say(f"{benchmark}: {name} は{ja}(α = {shown})。", f"{benchmark}: {name} {en} (α = {shown}).")


def _between(words: Words, entry: Json) -> str:
    alpha = entry["agreement"]["alpha"]
    names, shown = listed(words, entry["agreement_between"]), number(alpha, SCORE_DIGITS)
    if alpha >= SAFE:
        ja, en = "よく一致する", "agree well"
    elif alpha >= TENTATIVE:
        ja, en = "おおむね一致する", "agree fairly well"
    else:
        ja, en = "一致しない。平均だけで結論を出してはならない", "disagree: do not rely on their mean alone"
    return words.say(
        f"{entry['benchmark']}: {names} の点は、互いに{ja}(α = {shown})。",
        f"{entry['benchmark']}: {names} {en} (α = {shown}).",
    )


def _leanings(words: Words, entry: Json, step: int) -> Iterator[str]:
    """Yield one sentence per judge, on the arm whose difference the length changes most."""
    for judge in entry["judges"]:
        rows = [row for row in entry["rows"] if row["judge"] == judge["judge"] and _leans(row)]
        if rows:
            yield _leaning(words, entry["benchmark"], max(rows, key=_moved_by_length), step)


def _leans(row: Json) -> bool:
    length = (row["comparison"] or {}).get("length")
    return length is not None and _excludes_zero(length["points_per_100_tokens_ci95"])


def _moved_by_length(row: Json) -> float:
    compared = row["comparison"]
    return abs(float(compared["length"]["adjusted_difference"] - compared["difference"]))


def _leaning(words: Words, benchmark: str, row: Json, step: int) -> str:
    compared, arm, reference = row["comparison"], row["arm"], row["comparison"]["reference"]
    length = compared["length"]
    slope, plain, adjusted = (
        number(value, SCORE_DIGITS, sign=True)
        for value in (
            length["points_per_100_tokens"] * step / 100,
            compared["difference"],
            length["adjusted_difference"],
        )
    )
    return words.say(
        f"{benchmark}: {_ja_name(words, row)}の点は、{arm} の回答が {reference} より {step} トークン長いごとに"
        f" {slope} 点変わる。差は {plain} 点、同じ長さに換算すると {adjusted} 点である。"
        "長い回答ほど実際に良い可能性もある。",
        f"{benchmark}: with {judge_name(words, row)}, {slope} points go with each {step} tokens that {arm} answers"
        f" longer than {reference}. The difference is {plain}; at equal length it would be {adjusted}. Longer answers"
        " may really be better.",
    )


def _corrections(words: Words, entry: Json) -> Iterator[str]:
    name, n_items = entry["benchmark"], integer(entry["human_scores"]["n_items"])
    shown_judge = entry["judges"][0]["judge"]  # the mean of the jury, or its only judge
    rows = [row for row in entry["rows"] if row["judge"] == shown_judge]
    biased = [row for row in rows if row["corrected"] and _known_not_zero(row["corrected"], "bias_ci95")]
    if biased:
        yield _bias(words, name, max(biased, key=lambda row: abs(float(row["corrected"]["bias"]))))
    corrected = [row for row in rows if (row["comparison"] or {}).get("corrected")]
    shown = [row for row in corrected if _known_not_zero(row["comparison"]["corrected"], "ci95")]
    yield from (_corrected_difference(words, name, row) for row in shown)
    if corrected and not shown:
        yield words.say(
            f"{name}: 人の採点で補正しても、基準との差が確認できるアームはない。",
            f"{name}: corrected by human scores, no arm is shown to differ from its reference.",
        )
    if biased or corrected:
        yield words.say(
            f"{name}: 補正は、人が採点した {n_items} 問が無作為に選ばれている場合に限り正しい。",
            f"{name}: a correction is right only if the {n_items} items that people scored were drawn at random.",
        )
    else:
        yield words.say(
            f"{name}: 人が採点した問題({n_items} 問)が少なく、補正した値を示せない。",
            f"{name}: people scored too few items ({n_items}) to correct anything.",
        )


def _known_not_zero(found: Json, name: str) -> bool:
    return found[name] is not None and _excludes_zero(found[name])


def _bias(words: Words, benchmark: str, row: Json) -> str:
    bias = row["corrected"]["bias"]
    size, arm = number(abs(bias), SCORE_DIGITS), row["arm"]
    return words.say(
        f"{benchmark}: {arm} の回答に、{_ja_name(words, row)}は人より {size} 点{'高い' if bias > 0 else '低い'}"
        "点を付ける。",
        f"{benchmark}: {judge_name(words, row)} scores {arm} {size} points {'higher' if bias > 0 else 'lower'} than"
        " people do.",
    )


def _corrected_difference(words: Words, benchmark: str, row: Json) -> str:
    compared, arm, reference = row["comparison"], row["arm"], row["comparison"]["reference"]
    found, plain = compared["corrected"], number(compared["difference"], SCORE_DIGITS, sign=True)
    value, low, high = (number(one, SCORE_DIGITS, sign=True) for one in (found["value"], *found["ci95"]))
    return words.say(
        f"{benchmark}: 人の採点で補正した {arm} と {reference} の差は {value} 点である"
        f"(95%信頼区間 [{low}, {high}]、補正前 {plain} 点)。",
        f"{benchmark}: corrected by human scores, {arm} differs from {reference} by {value} points [{low}, {high}];"
        f" the judge alone says {plain}.",
    )


def _ja_name(words: Words, row: Json) -> str:
    """Return the name of a judge before a Japanese particle: a name in Latin letters is set off by a space."""
    name = judge_name(words, row)
    return name if row["judge"] is None else f"{name} "


def _excludes_zero(ci: list[float]) -> bool:
    return ci[0] > 0 or ci[1] < 0
