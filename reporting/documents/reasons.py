"""Codes of the result files in words: why a number is null, how an interval or a p value was made, outcomes.

An unknown code is shown as it is: a newer results file stays readable.
"""

from __future__ import annotations

from reporting.results_folder import Json
from reporting.wording import DASH, Words

_REASONS = {
    "no_sampling": ("標本化なし", "no sampling"),
    "one_run": ("実行は1回", "one run"),
    "no_scored_items": ("採点された問題なし", "no scored items"),
    "one_item": ("1問のみ", "one item"),
    "too_few_items": ("問題数が不足", "too few items"),
    "no_item_in_all_runs": ("全実行で採点された問題なし", "no item in all runs"),
    "zero_variance": ("値がすべて等しい", "all values equal"),
    "no_paired_items": ("対になる問題なし", "no paired items"),
    "planned_sets_differ": ("計画された問題が異なる", "planned items differ"),
    "one_cluster": ("出典は1つ", "one source"),
    "vocabularies_differ": ("語彙が異なる", "vocabularies differ"),
    "benchmark_missing": ("一部のベンチマークの結果なし", "a benchmark gave no result"),
    "see_flips": ("反転率を参照", "see the flips"),
    "early_stop": ("早期終了のため示さない", "not shown for an early stop"),
    "not_compared": ("基準と並べて計測されていない", "not measured beside the reference"),
    "derived": ("主指標から換算", "derived from the primary metric"),
    "not_measured": ("未計測", "not measured"),
    "block_failed": ("ブロックの失敗", "block failed"),
    "context_too_long": ("文脈長の超過", "context length exceeded"),
    "chat_template_failed": ("チャットテンプレートの失敗", "chat template failed"),
    "no_answer": ("答えなし", "no answer"),
    "cut_at_token_limit": ("トークン上限で打ち切り", "cut off at the token limit"),
    "other_answer": ("別の答え", "another answer"),
    "correct": ("正", "correct"),
    "wrong": ("誤", "wrong"),
    "measured": ("計測", "measured"),
    "unscored": ("採点不能", "unscored"),
    "generate": ("生成", "generated answer"),
    "choose": ("選択肢の尤度", "likelihood of choices"),
    "measure": ("テキストの尤度", "likelihood of text"),
    "function": ("独自の評価関数", "a function of the user's"),
    "endpoint": ("エンドポイント", "endpoint"),
    "endpoint_gives_no_likelihoods": ("エンドポイントは尤度を返さない", "the endpoint gives no likelihoods"),
    "no_score": ("点数なし", "no score given"),
    "comparison_over_time": ("答えの照合が時間切れ", "comparing the answer took too long"),
    "comparison_over_memory": ("答えの照合がメモリ超過", "comparing the answer took too much memory"),
    "comparison_failed": ("答えの照合が失敗", "the answer could not be compared"),
}


def in_words(words: Words, code: str | None, joint: str = " / ") -> str:
    """A code in the wanted language."""
    if not code:
        return DASH
    return words.say(*_REASONS.get(code, (code, code)), joint)


def null_with_reason(words: Words, row: Json, name: str, joint: str = " / ") -> str:
    """What is said where `row[name]` is null."""
    reason = row.get(f"{name}_reason")
    # Numbers of the primary metric stand in its own row: a dash says enough in the derived one.
    if not reason or reason == "derived":
        return DASH
    return f"{DASH} ({in_words(words, reason, joint)})"
