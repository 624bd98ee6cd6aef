"""Tests of the glossary: documents use its Japanese terms, and not the synonyms that were dropped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reporting.documents.engine import TEMPLATES
from reporting.wording import TERMS, Words, verdict_word

DOCUMENTS = TEMPLATES.parent / "documents"
SOURCES = [*TEMPLATES.glob("*.j2"), *DOCUMENTS.rglob("*.py"), TEMPLATES.parent / "wording.py"]
DROPPED = {
    "標本化": "サンプリング",
    "揺れ": "ばらつき",
    "雑音の床": "ノイズフロア",
    "乱数の種": "乱数シード",
    "未決": "判定保留",
    "劣らない": "許容内",
    "設問": "問題",
    "校正": "較正",
    "土台": "ベース",
    "尺度": "スケール",
    "利用者": "ユーザー",
    "機械": "マシン",
    "用い": "使う",
}
"""Synonym or literal translation -> the term in use."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TEMPLATES.parent)))
def test_no_dropped_term_is_used(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [f"{word}: use {better}" for word, better in DROPPED.items() if word in text] == []


def test_every_term_of_the_glossary_is_used() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    used = set(re.findall(r'(?:term|header)\(words, "(\w+)"', text))
    text = text.replace((TEMPLATES.parent / "wording.py").read_text(encoding="utf-8"), "")
    assert [name for name, (ja, _) in TERMS.items() if name not in used and ja not in text] == []


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_model_card_explains_every_verdict(lang: str) -> None:
    card = (TEMPLATES / "model_card.md.j2").read_text(encoding="utf-8").casefold()
    words = Words("ja") if lang == "ja" else Words("en")
    for verdict in ("no_worse", "worse", "undecided"):
        assert f"**{verdict_word(words, verdict)}**" in card
