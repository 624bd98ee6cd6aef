"""Keep the answer to the question asked, where a model goes on with a question of its own.

A base model does not know that it is done: after its answer it often writes the next problem and solves that as well.
Only the first answer counts. A new problem begins with a label at the start of a line ("Question:", "Q:", 問題:), with
the mark of another chat turn, or with a question that nobody asked.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

_LABEL = re.compile(
    r"^[ \t]{0,3}(?:[#*]{1,6} ?)?(?:"
    r"(?:next |new |another )?(?:Q|Question|Problem|Exercise|Task|Example)(?: ?(?P<number>\d{1,3}))?\*{0,2}[:.)]"
    r"|(?:Human|User|Input|Instruction)\*{0,2}:"
    r"|[\[【]?(?:質問|問題|問い|問|例題|設問) ?(?P<ja_number>\d{0,3})[】\]]?\*{0,2}[:：.】\]]"
    r")|(?:<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>) ?user|\[INST\]",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION = re.compile(
    r"\b(?:how (?:many|much|long|far|old|tall|fast|often)|what (?:is|are|was|will|would))\b[^?\n]{0,200}\?"
    r"|(?:いくつ|いくら|何(?:個|人|円|本|枚|分|時|日|年|匹|羽|台|冊|歳|回|ドル))[^。\n?？]{0,40}[。?？]",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:wait|check|recheck|verify|mistake|error|correct(?:ion|ed)?|actually|oops|sorry|again|but|however)\b"
    r"|確認|検算|訂正|間違|修正|待って|いや",
    re.IGNORECASE,
)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_MOST = 5
"""So many labels and paragraphs are looked at, because each costs a search. What a model adds comes early."""
_WINDOW = 600


def first_answer(text: str, has_answer: Callable[[str], bool]) -> str:
    """Return the text before the first problem that the model added. `has_answer` finds an answer in a text.

    A problem that stands before any answer is the one that was asked, written down again.
    """
    for start in itertools.chain(_labels(text), _questions(text)):
        head = text[:start]
        if head.strip() and has_answer(head):
            return head
    return text


def _labels(text: str) -> list[int]:
    """Return where labels stand. Numbered ones after the first label are parts of one solution."""
    found = list(itertools.islice(_LABEL.finditer(text), _MOST))
    return [
        label.start() for place, label in enumerate(found) if not place or not (label["number"] or label["ja_number"])
    ]


def _questions(text: str) -> list[int]:
    """Return where paragraphs begin that ask something, and do not go back to what was said before."""
    starts = []
    for paragraph in itertools.islice(_PARAGRAPH.finditer(text), _MOST):
        question = _QUESTION.search(text, paragraph.end(), paragraph.end() + _WINDOW)
        if question and not _CORRECTION.search(text, paragraph.end(), question.end()):
            starts.append(paragraph.start())
    return starts
