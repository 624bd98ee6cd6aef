"""The marks that end a model's turn. Some servers leave them in the text of an answer."""

from __future__ import annotations

import re

END_MARKS = (
    r"<\|(?:end|return|call|im_end|eot_id|end_of_text|endoftext|END_RESPONSE|end_of_solution)\|>|<end_of_turn>|</s>"
)
"""A pattern that finds any of them."""
_AT_THE_END = re.compile(rf"\s*(?:{END_MARKS})\s*\Z")
_LONGEST = 200
"""Characters at the end that are looked at."""


def without_end_mark(answer: str) -> str:
    """Return an answer without the mark that ends it, and without white space around that."""
    found = _AT_THE_END.search(answer, max(0, len(answer) - _LONGEST))
    return answer[: found.start()] if found else answer
