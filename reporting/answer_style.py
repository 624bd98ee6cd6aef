"""What can be seen in an answer's text alone: a bare yes or no, and repetition."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SHORT_TOKENS = 3
"""An answer of at most this many tokens is very short."""
REPEATED_SHARE = 0.5
"""An answer repeats itself if at least this share of its passages stands in it before.

Of 4,800 texts by people none reaches it: model answers of ELYZA-tasks-100, worked solutions of GSM8K, references of
MT-Bench, paragraphs of both Wikipedias. Of the 333 solutions of MATH-500 three do, which consist of formulas. A text of
one sentence said three times has two thirds."""
_PASSAGE_CHARS = 16
"""A passage is any so many characters in a row: with 8, tables and calculations come close to half."""
_END_CHARS = 400
"""The end of an answer is looked at alone, too: a model that falls into a loop stays in it until it is cut off."""
_MOST_CHARS = 20_000

_ONE_SIGN = re.compile(r"\\[A-Za-z]+|\d|\s+")
"""Numbers count as equal, so that a list that repeats itself with other numbers is seen; commands of formulas count as
one sign, so that the same function twice is no passage."""
_WEIGHTS = np.random.default_rng(0).integers(0, 2**63, _PASSAGE_CHARS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
"""Odd factors for the hash of a passage."""

_BARE_EN = "yes yeah yep no nope true false right wrong correct incorrect ok okay sure maybe none nothing unknown"
_BARE_JA = (
    "はい はいそうです ええ うん そう そうです その通り その通りです いいえ いえ いや ううん 違う 違います"
    " 正しい 正しいです 正解 正解です 不正解 誤り 誤りです 間違い 間違いです 真 偽 可能 可能です 不可能 不可能です"
    " できます できません ある あります ない なし ありません わかりました 分かりました わかりません 分かりません 不明"
)
_BARE = frozenset(f"{_BARE_EN} {_BARE_JA}".split())


def is_bare(text: str) -> bool:
    """Return whether an answer is no more than a yes, a no or the like, in English or Japanese."""
    normal = unicodedata.normalize("NFKC", text[:100]).casefold()
    return len(text) <= 100 and "".join(sign for sign in normal if sign.isalnum()) in _BARE


def is_repeating(text: str) -> bool:
    """Return whether an answer, or its end, mostly consists of what stands in it before (`REPEATED_SHARE`)."""
    plain = _ONE_SIGN.sub("0", text[-_MOST_CHARS:])
    signs = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    parts = (signs, signs[-_END_CHARS:]) if signs.size > _END_CHARS else (signs,)
    return any(_repeated_share(part) >= REPEATED_SHARE for part in parts)


def _repeated_share(signs: NDArray[np.uint32]) -> float:
    """Return the share of an answer's passages that stand in it before; 0 if it is too short to say.

    Args:
        signs: code points, shape (characters,).
    """
    if signs.size < 3 * _PASSAGE_CHARS:
        return 0.0
    passages = sliding_window_view(signs.astype(np.uint64), _PASSAGE_CHARS) @ _WEIGHTS
    return 1.0 - np.unique(passages).size / passages.size
