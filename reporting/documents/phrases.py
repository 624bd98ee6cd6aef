"""Short phrases for table cells and sentences: codes of the result files in words, and what an interval shows.

An unknown code is shown as it is, so that a newer results file stays readable.
"""

from __future__ import annotations

from reporting.results_folder import Findings, Json
from reporting.wording import DASH, Words, integer, number

SCORE_DIGITS = 2
"""Decimals of judged scores and of alpha."""
LOSS_DIGITS = 4
"""Decimals of differences in ln PPL: 0.0001 is a hundredth of a percent of perplexity."""

_LONG = 100
"""Tokens of an answer from which on the leaning is given for so many."""

_CODES = {
    "no_sampling": ("サンプリングなし", "no sampling"),
    "one_run": ("実行は1回のみ", "one run only"),
    "no_scored_items": ("採点できた問題なし", "no scored items"),
    "one_item": ("1問のみ", "one item only"),
    "too_few_items": ("問題数が不足", "too few items"),
    "no_item_in_all_runs": ("全実行で採点できた問題なし", "no item scored in all runs"),
    "zero_variance": ("値がすべて等しい", "all values equal"),
    "no_paired_items": ("両方で採点できた問題なし", "no paired items"),
    "planned_sets_differ": ("計画した問題が異なる", "planned items differ"),
    "one_cluster": ("出典が1つのみ", "one source only"),
    "vocabularies_differ": ("語彙が異なる", "vocabularies differ"),
    "benchmark_missing": ("結果のないベンチマークあり", "a benchmark gave no result"),
    "scales_differ": ("得点のスケールが異なる", "scores on different scales"),
    "spans_margin": ("許容幅を超える低下を否定できない", "a loss beyond the margin cannot be excluded"),
    "spans_share": (
        "基準の正答のうち失ってよい割合を超える低下を否定できない",
        "a loss of more than the allowed share of the reference's right answers cannot be excluded",
    ),
    "loss_shown": (
        "低下を確認したが、許容幅を超えるかは未確定",
        "a loss is shown; whether it exceeds the margin is open",
    ),
    "floor": ("基準の正答が少なすぎて測れない", "the reference gets too little right to measure a loss"),
    "ceiling": (
        "問題が易しすぎて測れない(基準の誤答が許容幅より少ない)",
        "too easy to measure a loss: the reference gets less wrong than the margin",
    ),
    "nothing_unscored": ("採点不能なし", "nothing unscored"),
    "no_worst_score": ("最悪値のないスケール", "no worst score on this scale"),
    "no_margin": ("許容幅の設定なし", "no margin is set"),
    "not_judged": ("未採点", "not judged"),
    "looks_spent": ("以前の評価で水準を使い切った", "earlier looks have spent the level"),
    "kept_for_later_looks": ("水準の残りは以後の評価に充てる", "the rest of the level is kept for later looks"),
    "nothing_repeated": ("反復なし", "judged once"),
    "one_judge": ("採点モデルは1つのみ", "one judge only"),
    "too_few_labels": ("人の採点が不足", "too few human scores"),
    "no_lengths": ("長さが不明、または差が一定", "lengths unknown, or no spread in them"),
    "no_interval": ("区間なし", "no interval"),
    "see_flips": ("正誤の反転を参照", "see the flips"),
    "early_stop": ("早期終了のため非表示", "not shown because of early stop"),
    "not_compared": ("基準と同じ条件で計測していない", "not measured beside the reference"),
    "derived": ("主指標から換算", "derived from the primary metric"),
    "not_measured": ("未計測", "not measured"),
    "machine_busy": ("未計測: マシンが他の処理中", "not measured: the machine was busy"),
    "machine_not_watched": ("未計測: マシンの負荷が不明", "not measured: the machine's load is unknown"),
    "one_block": ("ブロックが1つのみ", "one block"),
    "no_language": ("問題の言語が不明", "the language of the questions is not known"),
    "block_failed": ("ブロックの失敗", "block failed"),
    "context_too_long": ("文脈長の超過", "context length exceeded"),
    "conversation_too_long": ("会話が文脈長を超過", "conversation exceeds the context length"),
    "empty_prompt": ("プロンプトが空", "empty prompt"),
    "chat_template_failed": ("チャットテンプレートの失敗", "chat template failed"),
    "no_answer": ("答えを抽出できない", "no answer found"),
    "cut_at_token_limit": ("トークン上限で打ち切り", "cut off at the token limit"),
    "cut_while_thinking": ("思考の途中でトークン上限に到達", "cut off at the token limit while thinking"),
    "other_answer": ("別の答え", "different answer"),
    "no_judge": ("採点モデルなし", "no judge"),
    "judge_failed": ("採点モデルの失敗", "the judge failed"),
    "unreadable_verdict": ("採点結果を読み取れない", "the verdict of the judge cannot be read"),
    "call_limit": ("採点の呼び出し上限に到達", "the limit of calls to the judge was reached"),
    "empty_answer": ("空の回答", "empty answer"),
    "wrong_language": ("問題と異なる言語の回答", "not in the language of the task"),
    "judged": ("採点済み", "judged"),
    "correct": ("正", "correct"),
    "wrong": ("誤", "wrong"),
    "measured": ("計測済み", "measured"),
    "unscored": ("採点不能", "unscored"),
    "generate": ("回答の生成", "generated answer"),
    "choose": ("選択肢の尤度", "likelihood of choices"),
    "measure": ("テキストの尤度", "likelihood of text"),
    "function": ("独自の評価関数", "custom function"),
    "endpoint": ("エンドポイント", "endpoint"),
    "endpoint_gives_no_likelihoods": ("エンドポイントが尤度を返さない", "the endpoint returns no likelihoods"),
    "findings_failed": ("集計に失敗", "the findings could not be computed"),
    "endpoint_counts_no_tokens": ("エンドポイントのトークン数が不正", "the endpoint's token counts are invalid"),
    "no_score": ("得点なし", "no score given"),
    "score_is_no_number": ("得点が数でない", "the score is no number"),
    "score_not_finite": ("得点が有限でない", "the score is not finite"),
    "score_outside_scale": (
        "得点がベンチマークの `scale` の範囲外",
        "the score is outside the benchmark's `scale`",
    ),
    "score_out_of_range": ("得点が範囲外", "the score is out of range"),
    "pattern_over_time": ("正規表現の照合が時間切れ", "matching the pattern took too long"),
    "pattern_over_memory": ("正規表現の照合がメモリの上限を超過", "matching the pattern took too much memory"),
    "comparison_over_time": ("答えの照合が時間切れ", "comparing the answer took too long"),
    "comparison_over_memory": ("答えの照合でメモリ超過", "comparing the answer took too much memory"),
    "comparison_failed": ("答えの照合に失敗", "the answer could not be compared"),
}
"""Code -> Japanese and English: why a number is null, how answers are produced, how a record was scored."""


def code_in_words(words: Words, code: str | None) -> str:
    """Return a code of the result files in words; a dash if there is none."""
    if not code:
        return DASH
    return words.say(*_CODES.get(code, (code, code)))


def count_with_unscored(words: Words, n_items: int, n_unscored: int | None) -> str:
    """Return a number of items, and the number of unscored records if there are any."""
    if not n_unscored:
        return integer(n_items)
    unscored = words.say(f"採点不能 {integer(n_unscored)} 件", f"{integer(n_unscored)} unscored")
    return f"{integer(n_items)} ({unscored})"


def dash_with_reason(words: Words, row: Json, name: str) -> str:
    """Return what is printed if `row[name]` is null: a dash, followed by the reason if the row gives one."""
    reason = row.get(f"{name}_reason")
    # The row of the primary metric has these numbers: a dash is enough in the row that is derived from it.
    if not reason or reason == "derived":
        return DASH
    return f"{DASH} ({code_in_words(words, reason)})"


def describe_interval(words: Words, row: Json, higher_is_better: bool) -> str:
    """Say on which side of 0 the interval of one comparison lies, and whether that side is better or worse.

    This is no verdict: those are in the analysis, and use margins and adjusted p values.
    """
    if row["ci95"] is None:
        return words.say("区間なし", "no interval")
    low, high = row["ci95"]
    if low <= 0 <= high:
        return words.say("区間は0を含む", "interval includes 0")
    worse = (high < 0) == higher_is_better
    ja_side, en_side = ("悪化方向", "towards worse") if worse else ("改善方向", "towards better")
    ja, en = ("低い", "lower") if high < 0 else ("高い", "higher")
    return words.say(f"{ja}({ja_side})、区間は0を含まない", f"{en} ({en_side}), interval excludes 0")


def effect_interval(words: Words, row: Json) -> str:
    """Return the interval of an effect on the loss, or the reason why there is none in parentheses."""
    if row["ci95"] is None:
        return f"({code_in_words(words, row.get('ci95_reason'))})"
    low, high = (number(end, LOSS_DIGITS, sign=True) for end in row["ci95"])
    return f"[{low}, {high}]"


def judge_name(words: Words, row: Json) -> str:
    """Return the name of a judge, or what stands for the mean over the jury."""
    return str(row["judge"]) if row["judge"] is not None else words.say("採点モデルの平均", "mean of the jury")


def token_step(findings: Findings, entry: Json) -> int:
    """Return for how many tokens the leaning to length is given: 100, or 10 where no arm's answers are so long."""
    rows = [row for row in findings.answer_style if row["benchmark"] == entry["benchmark"]]
    means = [one["mean"] for row in rows for one in row["lengths"] if one["unit"] == "tokens"]
    return 10 if means and max(means) < _LONG else 100
