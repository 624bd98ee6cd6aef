"""Categories of benchmarks as people read them: their titles, and their means as perplexities instead of losses.

The known categories are those of Japanese leaderboards (ten for general language ability, six for alignment), and
language modelling for perplexity. Any other category is shown by its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reporting.wording import Words

TITLES = {
    "expression": ("表現", "Expression"),
    "translation": ("翻訳", "Translation"),
    "information_retrieval": ("情報検索", "Information retrieval"),
    "reasoning": ("推論", "Reasoning"),
    "mathematical_reasoning": ("数学的推論", "Mathematical reasoning"),
    "extraction": ("抽出", "Extraction"),
    "knowledge_qa": ("知識・質問応答", "Knowledge and question answering"),
    "english": ("英語", "English"),
    "semantic_analysis": ("意味解析", "Semantic analysis"),
    "syntactic_analysis": ("構文解析", "Syntactic analysis"),
    "controllability": ("制御性", "Controllability"),
    "ethics_morality": ("倫理・道徳", "Ethics and morality"),
    "toxicity": ("毒性", "Toxicity"),
    "bias": ("バイアス", "Bias"),
    "robustness": ("堅牢性", "Robustness"),
    "truthfulness": ("真実性", "Truthfulness"),
    "language_modelling": ("言語モデリング", "Language modelling"),
}
"""Name -> title in Japanese and English."""


def category_title(words: Words, name: str) -> str:
    """Return a category's title in the language of `words`; an unknown category is shown by its name."""
    return words.say(*TITLES.get(name, (name, name)))


def shown_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a category's row as people read it: a mean loss becomes its exponential, a perplexity."""
    if row["metric"] != "nll":
        return dict(row)
    ends = None if row["ci95"] is None else [math.exp(end) for end in row["ci95"]]
    mean = None if row["mean"] is None else math.exp(row["mean"])
    return dict(row) | {"metric": "perplexity", "mean": mean, "ci95": ends}
