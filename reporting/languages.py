"""The language of an answer: by its script where that is enough, else by py3langid.

Kana make a sentence Japanese and Hangul makes it Korean. Among kanji, a character that only the Chinese or only the
Japanese standards have tells; a long text of others without any kana is Chinese. All other sentences are given to
py3langid (BSD-3-Clause, 5 MB, no other packages), limited to languages that models are commonly trained on.

It was chosen by measurement, on 923 Japanese and 1,489 English sentences of the benchmarks' data. Of the English ones
with 15 to 40 letters it named 97% right (lingua-language-detector in its full mode 97%, with 1 GB of memory and 19 s to
load; in its small mode 78%; cld3-py 84%), and all longer ones, in 0.1 ms each. Limited to these languages and to
answers with a probability of `_LEAST_PROBABILITY`, it knows 87% of 6,051 English sentences and phrases of 10 letters or
more and is wrong in 6 of them (0.1%), all short phrases such as "resource depletion".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby

MIXED_SHARE = 0.2
"""An answer is mixed if a second language has this share of it, or more: one sentence in five."""
MIXED_LETTERS = 16
"""The second language also needs this many letters, a short sentence (8 signs). A name or a term is no language."""
LEAST_LETTERS = 10
"""Fewer letters of an alphabet are too short for a guess."""
LETTERS_PER_SIGN = 2
"""One kana, kanji or Hangul sign counts as two letters. The 165 questions of MGSM that are here have 1.85 times as many
letters in English as in Japanese."""
_LEAST_HAN = 16
"""From this number on, kanji without kana and without a mark of their language are taken as Chinese. Japanese names and
titles look like that, too, but are shorter: 特定家庭用機器再商品化法 has 12."""
_LEAST_PROBABILITY = 0.5
_MOST_CHARS = 10_000
"""Longer answers are cut here: what follows says nothing new, and takes time."""
_PIECE_CHARS = 200
"""Neighbouring sentences of an alphabet are joined up to this length, because longer texts are told apart better."""
_MOST_PIECES = 5
"""Sentences of an alphabet that follow each other are joined to at most so many pieces, and only the beginning of each
is read: 20,000 answers take seconds then, however long they are."""
_READ_CHARS = 300
_PHRASE_WORDS = 4
"""Within a Japanese sentence, fewer words of an alphabet in a row are terms and names, which belong to the sentence."""
_CANDIDATES = (
    "af ar az be bg bn ca cs cy da de el en es et eu fa fi fr ga gu he hi hr hu hy id is it ja ka kk km kn ko lo lt lv"
    " mk ml mn mr ms my ne nl no pa pl pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh"
)
_NO_LANGUAGE = "zxx"
"""What py3langid calls numbers, code and the like."""

_NO_PROSE = re.compile(
    r"```.*?(?:```|\Z)"  # code; a block that was cut off has no end
    r"|`[^`\n]{1,200}`"
    r"|\$\$.{1,2000}?\$\$|\\\[.{1,2000}?\\\]|\\\(.{1,2000}?\\\)"  # formulas
    r"|\$(?!\s)[^$\n]{1,200}?(?<!\s)\$(?!\d)"  # "$3 and $4" is no formula
    r"|\\[A-Za-z]+"
    r"|(?:https?://|www\.)[!-~]+|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}"
    r"|<[^<>\n]{1,200}>",
    re.DOTALL,
)
_SENTENCE_ENDS = re.compile(r"(?<=[。！？])|(?<=[.!?])\s|\n")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc\u31f0-\u31ff\uff66-\uff9f]")
_HAN = re.compile(r"[\u3005\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_HANGUL = re.compile(r"[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]")
_CJK = re.compile(rf"{_KANA.pattern}|{_HAN.pattern}|{_HANGUL.pattern}")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = r"[A-Za-z\u00c0-\u024f'’]+"
_PHRASE = re.compile(rf"{_WORD}(?:[ ,;:-]{{1,3}}{_WORD}){{{_PHRASE_WORDS - 1},}}")


@dataclass(frozen=True)
class Languages:
    """The languages of one text."""

    main: str | None
    """ISO 639-1 code of the language with the largest share. None: the text is too short, or no language is certain."""
    shares: Mapping[str, float]
    """Share of each recognized language, largest first. What was not recognized is left out. The sum is 1, or there
    are none."""
    mixed: bool
    """True if a second language has at least `MIXED_SHARE` and `MIXED_LETTERS`."""


UNKNOWN = Languages(None, {}, False)


def language_of(text: str) -> str | None:
    """Return the main language of a text as ISO 639-1 code; None if it is too short or uncertain."""
    return languages_of(text).main


def languages_of(text: str) -> Languages:
    """Return the main language of a text, and the share of each language in it."""
    letters = _letters_by_language(prose_of(text))
    if not letters:
        return UNKNOWN
    ordered = sorted(letters.items(), key=lambda one: (-one[1], one[0]))
    total = sum(letters.values())
    shares = {language: count / total for language, count in ordered}
    mixed = len(ordered) > 1 and ordered[1][1] >= max(MIXED_LETTERS, MIXED_SHARE * total)
    return Languages(ordered[0][0], shares, mixed)


def prose_of(text: str) -> str:
    """Return a text without code, formulas, addresses and tags, which are in no language."""
    return _NO_PROSE.sub(" ", text[:_MOST_CHARS])


def _letters_by_language(prose: str) -> dict[str, int]:
    """Return how many letters each language has. Signs count as `LETTERS_PER_SIGN` letters."""
    found: dict[str, int] = {}

    def add(language: str | None, letters: int) -> None:
        if language is not None and letters > 0:
            found[language] = found.get(language, 0) + letters

    unclear = 0
    for is_sign, pieces in groupby(_pieces(prose), key=_has_signs):
        if not is_sign:
            for piece in _joined(pieces):
                add(_guess(piece), len(_LETTER.findall(piece)))
            continue
        for piece in pieces:
            language = _language_of_signs(piece)
            signs = LETTERS_PER_SIGN * len(_CJK.findall(piece))
            unclear += signs if language is None else 0
            add(language, signs)
    add(_language_of_han(found, unclear), unclear)
    return found


def _has_signs(piece: str) -> bool:
    return _CJK.search(piece) is not None


def _pieces(prose: str) -> Iterator[str]:
    """Yield the sentences, and the longer phrases of an alphabet within sentences of signs as pieces of their own."""
    for sentence in _SENTENCE_ENDS.split(prose):
        if _has_signs(sentence):
            yield from _PHRASE.findall(sentence)
            yield _PHRASE.sub(" ", sentence)
        elif sentence:
            yield sentence


def _joined(sentences: Iterator[str]) -> Iterator[str]:
    """Join sentences to few pieces that are long enough. A short rest stays with the piece before."""
    text = " ".join(sentences)
    size = max(_PIECE_CHARS, -(-len(text) // _MOST_PIECES))
    starts = range(0, max(1, len(text) - size // 2), size)
    return (text[start : start + size if start != starts[-1] else None] for start in starts)


def _guess(text: str) -> str | None:
    """Return the language of a text in an alphabet."""
    if len(_LETTER.findall(text)) < LEAST_LETTERS:
        return None
    language, probability = _classifier()(text[:_READ_CHARS])
    return language if probability >= _LEAST_PROBABILITY and language != _NO_LANGUAGE else None


@cache
def _classifier() -> Callable[[str], tuple[str, float]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # imported here, because loading takes half a second

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*_CANDIDATES.split(), _NO_LANGUAGE])
    classify: Callable[[str], tuple[str, float]] = identifier.classify
    return classify


def _language_of_signs(piece: str) -> str | None:
    """Return the language that a sentence's signs show; None for kanji alone without a mark of their language."""
    if _KANA.search(piece):
        return "ja"
    if _HANGUL.search(piece):
        return "ko"
    return next((language for sign in _HAN.findall(piece) if (language := _language_of_kanji(sign))), None)


@cache
def _language_of_kanji(sign: str) -> str | None:
    """Return the language whose standards alone have the sign: most simplified forms (们), most Japanese ones (気)."""
    if _can_encode(sign, "shift_jis"):
        return None if _can_encode(sign, "gb2312") or _can_encode(sign, "big5") else "ja"
    return "zh" if _can_encode(sign, "gb2312") else None


def _can_encode(sign: str, encoding: str) -> bool:
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _language_of_han(found: Mapping[str, int], unclear: int) -> str | None:
    """Return the language of kanji without a mark of their language: that of the other sentences, if they have one."""
    japanese, chinese = found.get("ja", 0), found.get("zh", 0)
    if japanese or chinese:
        return "ja" if japanese >= chinese else "zh"
    return "zh" if unclear >= LETTERS_PER_SIGN * _LEAST_HAN else None
