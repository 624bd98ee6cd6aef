"""Classify the tokens of a text: mathematics, science, or neither.

Used by two roles: importance matrices can give such tokens a higher weight, and evaluation can measure on them alone.
Classes are found in the text, with rules (below) and word lists (`conf/token_classes/`). They do not depend on how the
text is tokenized: a token has the class of any span that it overlaps, even if only by part of a character.

Mathematics: numerals (ASCII and full-width; Japanese ones if they are used as numbers), operators, LaTeX, Greek letters
and terms. Science: units after a numeral, and terms. What is both counts as mathematics. English terms match whole
words in any case, with regular plurals. Japanese terms match anywhere, the longest first. Symbols and units match only
as written.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.hashing import content_hash
from conf.schema.base import Frozen
from conf.schema.protection import TokenWeights
from conf.yaml_files import read_yaml

FOLDER = Path(__file__).parents[1] / "conf" / "token_classes"
RULES_VERSION = 1
"""Increase this if the code below finds different classes with the same patterns and words."""


class TokenClass(IntEnum):
    """Class of a token."""

    OTHER = 0
    MATHEMATICS = 1
    SCIENCE = 2

    @property
    def label(self) -> str:
        """Name of the class in configuration and manifests."""
        return self.name.lower()


class MathematicsTerms(Frozen):
    """Contents of `mathematics.yaml`."""

    english: tuple[str, ...]
    japanese: tuple[str, ...]


class ScienceTerms(MathematicsTerms):
    """Contents of `science.yaml`."""

    symbols: tuple[str, ...]
    """Words that match only as written."""
    units: tuple[str, ...]
    """Match after a numeral."""
    unit_signs: tuple[str, ...]
    """Match anywhere."""


class NumeralWords(Frozen):
    """Contents of `numerals.yaml`."""

    counters: tuple[str, ...]
    """Words that make a number of a single Japanese numeral in front of them."""
    ordinary: tuple[str, ...]
    """Ordinary words: they start with a numeral but are not numbers, or contain a term in another meaning."""


def classify(pieces: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return the class of each token.

    Args:
        pieces: bytes of each token, in order. Joined, they are the text. Control tokens have no bytes and are `OTHER`.

    Returns:
        `TokenClass` values, one per piece.
    """
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    starts = np.concatenate(([0], ends[:-1]))
    joined = b"".join(pieces)
    # Each byte that is not valid UTF-8 becomes one character that no pattern matches.
    text = joined.decode("utf-8", "surrogateescape")
    byte_of = _byte_offsets(text)
    spans = _spans(text)
    classes = np.full(len(pieces), TokenClass.OTHER, np.uint8)
    for kind in (TokenClass.SCIENCE, TokenClass.MATHEMATICS):
        # Count the bytes of the class before each byte. A token overlaps the class if the count grows within it.
        covered = np.zeros(len(joined) + 1, np.int64)
        for start, end in spans[kind]:
            covered[byte_of[start] + 1 : byte_of[end] + 1] = 1
        before = np.cumsum(covered)
        classes[before[ends] > before[starts]] = kind
    return classes


def count_tokens(classes: NDArray[np.uint8]) -> dict[str, int]:
    """Return the number of tokens per class label."""
    counts = np.bincount(classes, minlength=len(TokenClass))
    return {kind.label: int(counts[kind]) for kind in TokenClass}


def weigh(classes: NDArray[np.uint8], weights: TokenWeights) -> NDArray[np.float32]:
    """Return the weight of each token."""
    return np.array([getattr(weights, kind.label) for kind in TokenClass], np.float32)[classes]


def weights_key(weights: TokenWeights | None) -> dict[str, Any]:
    """Return the part of a matrix's key that describes token weights: empty if all tokens count the same."""
    return {} if weights is None else {"token_weights": {**weights.model_dump(), "classes": class_rules()}}


@functools.cache
def class_rules() -> str:
    """Return the identity of rules and word lists for use in keys: 16 hexadecimal digits."""
    rules = _rules()
    patterns = {kind.label: [one.pattern for one in patterns] for kind, patterns in rules.patterns.items()}
    phrases = {first: [[kind.label, one.pattern] for kind, one in found] for first, found in rules.phrases.items()}
    terms = {word: kind.label for word, kind in (*rules.words.items(), *rules.japanese_terms.items())}
    more = [rules.word.pattern, rules.numeral_signs.pattern, rules.japanese_numeral.pattern]
    used = {"version": RULES_VERSION, "patterns": patterns, "phrases": phrases, "terms": terms, "more": more}
    return content_hash(used)[:16]


def _byte_offsets(text: str) -> NDArray[np.int64]:
    """Return the UTF-8 offset of each character, and of the end of the text: (characters + 1,)."""
    code = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    # Lone surrogates stand for single bytes that were not valid UTF-8.
    is_byte = (code >= 0xDC80) & (code <= 0xDCFF)
    lengths = 1 + (code >= 0x80).astype(np.int64) + (code >= 0x800) + (code >= 0x10000)
    return np.concatenate(([0], np.cumsum(np.where(is_byte, 1, lengths))))


def _spans(text: str) -> dict[TokenClass, list[tuple[int, int]]]:
    """Return the spans of characters [start, end) that belong to each class. They may overlap."""
    rules = _rules()
    spans: dict[TokenClass, list[tuple[int, int]]] = {kind: [] for kind in TokenClass}
    for kind, patterns in rules.patterns.items():
        for pattern in patterns:
            spans[kind] += [match.span() for match in pattern.finditer(text)]
    for match in rules.word.finditer(text):
        word = match[0].lower()
        if word in rules.words:
            spans[rules.words[word]].append(match.span())
        for kind, phrases in rules.phrases.get(word, ()):
            spans[kind] += [phrase.span() for phrase in (phrases.match(text, match.start()),) if phrase]
    for match in rules.japanese.finditer(text):
        spans[rules.japanese_terms[match[0]]].append(match.span())
    for match in rules.numeral_signs.finditer(text):
        numeral = rules.japanese_numeral.match(text, match.start())
        if numeral:
            spans[TokenClass.MATHEMATICS].append(numeral.span())
    return spans


# --- the rules ------------------------------------------------------------------------------------

# A Greek letter next to an accented one belongs to a Greek word. So do three letters in a row.
_GREEK = "\u0391-\u03a9\u03b1-\u03c9\u03d1\u03d5\u03d6\u03f1\u03f5"
_DIGIT = "0-9０-９"
_SIGNS = "一二三四五六七八九〇零"
_PLACES = "十百千万億兆"
# What may come before an operator. A relation may follow a word ("speed = 5"), but arithmetic may not (COVID-19).
_CLOSED = rf"[{_DIGIT}{_GREEK})\]}}|!%％²³°′]"
_AFTER_OPERAND = rf"(?:(?<={_CLOSED})|(?<=(?<![A-Za-z])[A-Za-z]))"
_AFTER_WORD = rf"(?:(?<={_CLOSED})|(?<=[A-Za-z]))"
_BEFORE_OPERAND = rf"(?=[{_DIGIT}{_GREEK}(\[{{\\√∑∫|.$−-]|[A-Za-z](?![A-Za-z]))"
_PATTERNS = (
    # Numerals: not inside a name (x86), but with thousands separators, fraction, exponent and percent sign.
    rf"(?<![A-Za-z_{_DIGIT}])[{_DIGIT}]+(?:[.,．，][{_DIGIT}]+)*(?:[eE][+-]?[0-9]+)?[%％‰]?",
    # Superscripts, subscripts and vulgar fractions.
    "[²³¹⁰-ₜ¼-¾⅐-⅞]+",
    # Characters that are always operators: U+2200 to U+22FF, and those in other blocks.
    "[×÷±¬∀-⋿＋＝＜＞⇒⇔↦⟨⟩⌈⌉⌊⌋]+",
    # ASCII operators: only between operands, to exclude hyphens, headings, tags and paths.
    rf"{_AFTER_WORD}[ \t]*(?:[=<>]=?|!=|:=)[ \t]*{_BEFORE_OPERAND}",
    rf"{_AFTER_OPERAND}[ \t]*(?:\*\*|[+*/^-])[ \t]*{_BEFORE_OPERAND}",
    # One or two Greek letters.
    rf"[{_GREEK}](?<![\u0370-\u03ff].)[{_GREEK}]?(?![\u0370-\u03ff])",
    # LaTeX: commands with their arguments, indices, environments. Dollars follow pandoc's rule (tex_math_dollars): no
    # space inside and no digit after the closing one, which excludes amounts of money.
    r"(?<![A-Za-z0-9:\\])\\[A-Za-z]{2,}\*?(?:\{[^{}\n]{0,200}\})*",
    r"[\^_]\{[^{}\n]{0,200}\}",
    r"(?<![\\$])\$(?=[^\s$])[^$\n]{0,400}(?<=[^\s\\])\$(?![0-9$])",
    r"\$\$[^$]{1,2000}\$\$",
    r"\\\([^\n]{1,400}?\\\)",
    r"\\\[.{1,2000}?\\\]",
    r"\\begin\{(equation|align|gather|multline|eqnarray|cases|[a-z]*matrix|array)(\*?)\}.{1,4000}?\\end\{\1\2\}",
)


@dataclass(frozen=True)
class _Rules:
    """Compiled patterns and word lists."""

    patterns: Mapping[TokenClass, tuple[re.Pattern[str], ...]]
    word: re.Pattern[str]
    words: Mapping[str, TokenClass]
    """English terms of one word, and their plurals, in lower case."""
    phrases: Mapping[str, tuple[tuple[TokenClass, re.Pattern[str]], ...]]
    """Terms of several words, by their first word in lower case."""
    japanese: re.Pattern[str]
    japanese_terms: Mapping[str, TokenClass]
    """Ordinary words are `OTHER`. They are matched so that no shorter term is found inside them."""
    numeral_signs: re.Pattern[str]
    """Matches where a Japanese numeral may start."""
    japanese_numeral: re.Pattern[str]


@functools.cache
def _rules() -> _Rules:
    mathematics = MathematicsTerms.model_validate(_yaml("mathematics"))
    science = ScienceTerms.model_validate(_yaml("science"))
    numerals = NumeralWords.model_validate(_yaml("numerals"))
    lists = {TokenClass.MATHEMATICS: mathematics, TokenClass.SCIENCE: science}
    japanese = dict.fromkeys(numerals.ordinary, TokenClass.OTHER)
    japanese |= {term: kind for kind, terms in lists.items() for term in terms.japanese}
    return _Rules(
        patterns={
            TokenClass.MATHEMATICS: tuple(re.compile(pattern, re.DOTALL) for pattern in _PATTERNS),
            TokenClass.SCIENCE: (_symbols(science), _units(science)),
        },
        word=re.compile("[A-Za-zÀ-ÖØ-öø-ÿ]+"),
        words={
            form: kind
            for kind, terms in lists.items()
            for term in terms.english
            if term.isalpha()
            for form in with_plural(term)
        },
        phrases=_phrases(lists),
        japanese=re.compile(_longest_first(japanese)),
        japanese_terms=japanese,
        numeral_signs=re.compile(f"第[{_SIGNS}{_PLACES}]+|[{_SIGNS}{_PLACES}]+"),
        japanese_numeral=_japanese_numeral(numerals),
    )


def _yaml(name: str) -> dict[str, object]:
    path = FOLDER / f"{name}.yaml"
    return read_yaml(path, key=str(path))


def with_plural(term: str) -> tuple[str, ...]:
    """Return a term in lower case and its regular plural: `radius`, `radiuses`; `identity`, `identities`."""
    word = term.lower()
    if word.endswith("y") and word[-2] not in "aeiou":
        return word, f"{word[:-1]}ies"
    return word, f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh")) else f"{word}s"


def _phrases(
    lists: Mapping[TokenClass, MathematicsTerms],
) -> dict[str, tuple[tuple[TokenClass, re.Pattern[str]], ...]]:
    """Return patterns for terms of several words. A single space or hyphen may separate the words."""
    found: dict[str, dict[TokenClass, list[str]]] = {}
    for kind, terms in lists.items():
        for form in (form for term in terms.english if not term.isalpha() for form in with_plural(term)):
            found.setdefault(re.split("[ -]", form)[0], {}).setdefault(kind, []).append(form)
    return {
        first: tuple((kind, _any_of(phrases)) for kind, phrases in by_kind.items()) for first, by_kind in found.items()
    }


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    spaced = re.sub("[ -]", r"[\\s-]", "|".join(sorted(phrases, key=len, reverse=True)))
    return re.compile(rf"(?:{spaced})(?![A-Za-z])", re.IGNORECASE | re.ASCII)


def _symbols(science: ScienceTerms) -> re.Pattern[str]:
    symbols, signs = _longest_first(science.symbols), _longest_first(science.unit_signs)
    return re.compile(rf"(?<![A-Za-z0-9])(?:{symbols})(?![A-Za-z0-9])|(?:{signs})")


def _units(science: ScienceTerms) -> re.Pattern[str]:
    unit = rf"(?:{_longest_first(science.units)})(?![A-Za-zµμ])(?:\^?[-−]?[0-9]|[⁻²³⁰-⁹])*"
    # "1990s" is a decade: seconds need a space.
    glued = r"(?!s(?![A-Za-z/]))|[ \u00a0\u2009\u202f-]"
    return re.compile(rf"(?<=[{_DIGIT}{_SIGNS}{_PLACES}])(?:{glued}){unit}(?:[/·⋅*]{unit})*")


def _japanese_numeral(numerals: NumeralWords) -> re.Pattern[str]:
    sign = f"[{_SIGNS}{_PLACES}]"
    compound = f"(?:[{_SIGNS}][{_PLACES}]|[{_PLACES}]{sign}){sign}*|[{_SIGNS}]{{3,}}|[一二三四五六七八九]〇"
    counted = f"{sign}+(?:・[{_SIGNS}]+)?(?={_longest_first(numerals.counters)})"
    ordinary = _longest_first(numerals.ordinary)
    return re.compile(f"第{sign}+|(?!{ordinary})(?:{sign}+分の{sign}+|{compound}|{counted})")


def _longest_first(terms: Iterable[str]) -> str:
    return "|".join(re.escape(term) for term in sorted(terms, key=lambda term: (-len(term), term)))
