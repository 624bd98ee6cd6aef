"""The table of scorers that a benchmark may name: what each is for, its settings, and what its target must be.

`actors/evaluation/scorers` holds the function of each name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Target = Literal["number", "letter", "formula", "text", "text_or_texts", "texts", "index", "none", "judged"]
"""What the expected answer of an item must be:

- `number`: a number, a text with one number, or a list of accepted numbers
- `letter`: one letter from A to J
- `formula`: one mathematical answer
- `text`: one text
- `text_or_texts`: one accepted text, or a list of them
- `texts`: the same, always passed to the scorer as a list
- `index`: the right choice, by its place from 0 or by its text
- `none`: there is no expected answer
- `judged`: what a judge must know: `criteria`, `references` (one per turn) and `category`
"""


@dataclass(frozen=True)
class ScorerRules:
    """What a scorer works with."""

    kind: Literal["generate", "choose", "measure"]
    """How the model is asked: it writes an answer, it is given choices, or a text is measured."""
    target: Target
    settings: frozenset[str] = frozenset()
    """Names of its settings. Each must be given, and no other."""


SCORERS: Mapping[str, ScorerRules] = {
    "number": ScorerRules("generate", "number"),
    "math": ScorerRules("generate", "formula"),
    "letter": ScorerRules("generate", "letter"),
    "exact": ScorerRules("generate", "text_or_texts"),
    "contains": ScorerRules("generate", "text_or_texts"),
    "short_answer": ScorerRules("generate", "texts"),
    "regex": ScorerRules("generate", "text_or_texts", settings=frozenset({"pattern"})),
    "choice_loglik": ScorerRules("choose", "index"),
    "measured": ScorerRules("measure", "none"),
    "judged": ScorerRules("generate", "judged"),
}
CUSTOM_SCORERS = tuple(name for name, rules in SCORERS.items() if rules.target != "judged")
"""The scorers that a custom benchmark may name. Judged benchmarks need rubrics, which only built-in ones have."""
