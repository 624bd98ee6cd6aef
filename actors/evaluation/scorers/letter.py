r"""Find the letter that an answer to a multiple-choice question names.

The letter behind the last mark counts ("the answer is (B)", "Answer: B", 答えは B, `\boxed{B}`, `<answer>B</answer>`,
"I would pick B"). Without a mark, a letter at the start of the answer counts, alone or before the text of its choice
("B", "(b)", "B. wet palms", "B wet palms", Bです), unless the answer begins with a list of the choices. Otherwise the
last letter counts that stands in brackets or alone and is not part of a list. Options that are discussed do not count,
nor do the article "A" and the pronoun "I" in a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from actors.engines import Answer, Choices, Measured
from actors.evaluation.contract import ScoredResult, right_or_wrong
from actors.evaluation.scorers.boxes import boxes
from actors.evaluation.scorers.continuation import first_answer
from actors.evaluation.scorers.spoken import spoken_of
from actors.items import Item

_WRAP = r"[*_`$({\[<「『【\"'~ \t]{0,8}"
"""Emphasis, brackets and quotes before a letter."""
_LETTER = r"(?<![A-Za-z\d])([A-J])(?![A-Za-z\d]|'[A-Za-z])"
_OPTION = r"(?:(?:the\s)?(?:option|choice|letter|statement)\s?|選択肢|記号)?"
_ARTICLE = (
    r"(?-i:(?!\s+(?!because|since|as\b|for\b|and\b|is\b|which|due|in\b|at\b|with\b|not\b|or\b|but\b|where)[a-z]))"
)
"""A letter before a small word is the article "a" or part of a text, unless a sentence goes on."""

_VERB = r"(?:is|was|would\sbe|should\sbe|must\sbe|seems\sto\sbe|appears\sto\sbe|could\sbe|may\sbe|will\sbe)"
_ENGLISH = (
    r"\b(?<!wrong\s)(?<!incorrect\s)(?:answers?|correct\s(?:option|choice|one|letter|statement)|(?:best|right)\s(?:option|choice)"
    rf"|ans)\b[*_\"']{{0,3}}(?:\sto\sthe\squestion|\shere)?\s{{0,3}}(?:[:=]|{_VERB}(?:\s(?:therefore|thus|clearly|likely|probably|definitely"
    r"|most\slikely|indeed))?(?:\s?:)?)"
)
_FIELD = r"[\"'](?:choice|option|letter)[\"']\s?:"
"""The field of an answer in JSON. One that is named "answer" is in the pattern before."""
_PICK = r"\b(?:pick|choose|select|chose|go\swith|going\swith|opt\sfor)"
_INSTEAD = r"\bnot\s[^.\n]{1,40},?\sbut(?:\srather)?|(?:では|じゃ|でも)な(?:く|くて|いので)[、,]?"
"""What stands between a letter that is denied and the answer: "not A, but C", AではなくC."""
_THEREFORE = r"\b(?:therefore|thus|so|hence|conclusion|final),?(?:\s(?:it\sis|it's|it\smust\sbe))?[,:]?"
_JAPANESE = r"(?:答え|こたえ|解答|正解|回答|答|結論)[」』】\])]{0,2}\s?(?:は|が|:|=|、|として|\s)?"
_SO = r"(?:よって|したがって|従って|ゆえに|以上より|以上から|消去法(?:により|で|から)|なので|ため)、?"
_BEST = r"(?:適切|正しい|妥当|適当|正解)(?:な|と思われる)?(?:選択肢|もの|記号|の){0,2}は、?"
_MARKED = re.compile(
    rf"(?:{_ENGLISH}|{_FIELD}|{_PICK}|{_INSTEAD}|{_THEREFORE}|{_JAPANESE}|{_SO}|{_BEST})(?P<next>\s{{0,4}}){_WRAP}{_OPTION}{_WRAP}{_LETTER}(?:(?<=[B-HJ])|{_ARTICLE})",
    re.IGNORECASE,
)
_STATED = re.compile(
    rf"(?:\b(?:option|choice|answer)\s|選択肢)?{_WRAP}{_LETTER}[)\]}}」』】*`$.]{{0,4}}(?:\s?(?:is|was)\s(?:the\s)?(?:most\s)?"
    r"(?:correct|right|best|answer|appropriate|true)|\s?(?:が|こそ|の(?:「[^」\n]{0,80}」)?(?:が|は))"
    r"(?:最も|一番|もっとも)?(?:正解|正しい|正答|答え|適切|適当|妥当)|だと思|と考え|を選)",
)
_TAGGED = re.compile(rf"<(answer|final_answer|final|choice)>\s?{_WRAP}{_OPTION}{_WRAP}{_LETTER}", re.IGNORECASE)
_IN_BOX = re.compile(
    rf"(?:\\(?:text|textbf|mathbf|mathrm|textrm|mathsf|bf|rm)\s?|{_WRAP}|{{)*{_OPTION}{_WRAP}{_LETTER}", re.IGNORECASE
)

_CLOSED = r"[*_`$)}\]>」』】\"'~]{0,4}"
_COPULA = r"です|だ|である|でしょう|で[、。]|かと|と(?:思|考|な)|にな"
_JAPANESE_TEXT = r"\s[ぁ-んァ-ヶ一-龠]|(?![社型群組君氏班地国店級点案棟列線極種以])[一-龠]"
"""The text of a choice behind its letter ("C 光合成", C光合成), but no name such as A社."""
_OPENING = re.compile(
    rf"[^\w\n]*{_OPTION}{_WRAP}{_LETTER}"
    rf"(?:{_CLOSED}(?:[).:,\]。、;!?](?!\w\.)|\s*$|\s*\n|\s?[-–—:|>/]|{_COPULA}|が|の|は|を|\s?\(|{_JAPANESE_TEXT}))",
    re.IGNORECASE,
)
_OPENING_WITH_TEXT = re.compile(rf"[^\w\n]*{_LETTER}\s+(?P<word>[a-z]+)")
_GOES_ON = ("because", "since", "as", "is", "due")
"""Words behind an A that is no article."""
_LIST_LINE = re.compile(
    rf"^[^\w\n]{{0,10}}(?:option\s|choice\s)?{_LETTER}[*_]{{0,2}}[).:]\s?\S", re.MULTILINE | re.IGNORECASE
)
_DISCUSSED = re.compile(
    r"^[^\w\n]{0,10}(?:why|the other|others|other options|incorrect|not|explanation)\b", re.I | re.M
)
_ALONE = re.compile(
    rf"\({_LETTER}\)|\b(?:option|choice)\s\(?{_LETTER}\)?|(?:^|(?<=[\s*$`「]))[*$`{{(「]{{0,3}}{_LETTER}(?=[).:,]|\*\*|[$`}}」]|です|\s*$)",
    re.MULTILINE | re.IGNORECASE,
)

_FONT = re.compile(r"\\(?:math|text)[a-z]{0,6}\s?\{([^{}\n]{1,80})\}")
_FORMULA_SIGN = re.compile(r"\\[()\[\]]")
_ENDS = re.compile(r"[*_`$)}\]>\"']{0,4}(?:[).:,;。、]|\s*$|\s*\n|です)")
"""What may follow a small letter, so that it is no article."""
_DENIED = re.compile(
    r"[)\]」]?\s?(?:(?:では|じゃ|でも)な|(?:は|も)(?:誤り|間違|不正解|不適|違|正しくな)"
    r"|isn't|is not|is wrong|is incorrect)"
)
_AND = r"\s{0,3}(?:,|、|・|/|&|\+|,?\s?\b(?:and|or)\b|と|や|か|または|もしくは|及び|および)\s{0,3}"
_ANOTHER = re.compile(
    rf"{_CLOSED}{_AND}{_WRAP}(?:option\s|choice\s)?{_LETTER}{_CLOSED}"
    r"(?:\s*$|\s*\n|\s?[.!?。,、&/・と]|の|が|で|だ|\s(?:and|or|are|both)\b)"
)
"""A second letter that is named together with the first ("A or B", AとB). Such an answer names no letter."""
_ONE_BEFORE = re.compile(rf"{_LETTER}{_CLOSED}{_AND}{_WRAP}$")
_QUOTES = str.maketrans("“”„‘’〈〉《》〔〕", '"""\'\'()()()')
_TAGGED_TEXT = re.compile(r"<(b|strong|i|em|u|code|option|span|p)>([^<\n]{0,200})</\1>", re.IGNORECASE)


def final_letter(text: str, *, cut: bool = False) -> str | None:
    """Return the letter that an answer names, or None if it names none. `cut`: the token limit ended the text."""
    text = _TAGGED_TEXT.sub(r"\2", unicodedata.normalize("NFKC", text).translate(_QUOTES))
    text = _FORMULA_SIGN.sub("$", _FONT.sub(r"\1", text))
    first = first_answer(text, lambda head: _marked(head) is not None or _opening(head) is not None)
    cut = cut and first == text
    marked = _marked(first)
    if marked is None:
        marked = _opening(first) or (None if cut else _alone(first))
    if marked is None:
        return None
    letter, end = marked
    if _ANOTHER.match(first, end):
        return None
    # A letter at the very end of a text that was cut may have been the beginning of a word.
    return None if cut and not first[end:].strip(" ") else letter


def _marked(text: str) -> tuple[str, int] | None:
    """Return the letter behind the last mark, and where it ends."""
    found = [*_phrases(text), *_boxed(text)]
    return max(found)[1:] if found else None


def _phrases(text: str) -> Iterator[tuple[int, str, int]]:
    for pattern, group in ((_MARKED, 2), (_STATED, 1), (_TAGGED, 2)):
        for match in pattern.finditer(text):
            behind = text[match.end(group) : match.end(group) + 12]
            if (match[group].isupper() or _ENDS.match(behind)) and not _DENIED.match(behind):
                yield match.start(group), match[group].upper(), match.end(group)


def _boxed(text: str) -> Iterator[tuple[int, str, int]]:
    for box in boxes(text):
        match = _IN_BOX.match(text, text.find("{", box.start) + 1, box.end) if box.content else None
        if match:
            yield box.start, match[1].upper(), match.end(1)


def _opening(text: str) -> tuple[str, int] | None:
    """Return the letter that begins an answer, unless it begins a list of the choices."""
    opening = _OPENING.match(text)
    if opening and not _begins_with_list(text):
        return opening[1].upper(), opening.end(1)
    with_text = _OPENING_WITH_TEXT.match(text)
    if with_text and (with_text[1] not in "AI" or (with_text[1] == "A" and with_text["word"] in _GOES_ON)):
        return with_text[1], with_text.end(1)
    return None


def _begins_with_list(text: str) -> bool:
    """Return whether a text begins with a list of at least two choices, in their order."""
    lines = [line[1].upper() for line in _LIST_LINE.finditer(text[:2000])]
    return lines[:2] == ["A", "B"]


def _alone(text: str) -> tuple[str, int] | None:
    """Return the last letter that stands alone, before any discussion of the others."""
    in_list = [line.span(1) for line in _LIST_LINE.finditer(text)] if _begins_with_list(text) else []
    discussed = _DISCUSSED.search(text)
    found = None
    for match in _ALONE.finditer(text, 0, discussed.start() if discussed else len(text)):
        group = 1 if match[1] else 2 if match[2] else 3
        among = _ONE_BEFORE.search(text, max(0, match.start(group) - 20), match.start(group))
        denied = _DENIED.match(text, match.end(group))
        if match[group].isupper() and match.span(group) not in in_list and not among and not denied:
            found = (match[group], match.end(group))
    return found


def score_letter(item: Item, result: Answer | Choices | Measured) -> ScoredResult:
    """Score 1 if the letter is the target. An answer without a letter is wrong, with its reason."""
    said = spoken_of(item, result)
    letter = final_letter(said.ends, cut=said.cut)
    return said.without_answer() if letter is None else right_or_wrong(letter == item.target, letter)
