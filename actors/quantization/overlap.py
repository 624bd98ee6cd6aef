"""Does calibration text hold what the model will be asked? Sequences that a text and a benchmark share.

Two texts share a sequence of 13 words, or of 25 characters in writing without spaces between words (kana, kanji):
long enough that chance hardly makes them, as in the contamination study of GPT-3 (arXiv:2005.14165, appendix C). Case,
punctuation between words, and line breaks don't count. Pure: where the texts come from is the caller's business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORDS = 13
CHARACTERS = 25

# Kana and kanji:々〆〇, hiragana, katakana and its extensions, and the blocks of CJK ideographs.
_UNSPACED = "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_TOKEN = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BREAK = 0
"""A token that is in no sequence: between documents, and words' neighbours in unspaced writing."""


@dataclass(frozen=True)
class Overlap:
    """One text and one benchmark that share sequences."""

    text: str
    benchmark: str
    n_shared: int
    """Different sequences that both hold; one long passage counts once for each of its places."""
    example: str
    """One of them, without case and punctuation where it is one of words."""


def find_overlaps(texts: Mapping[str, str], benchmarks: Mapping[str, Sequence[str]]) -> tuple[Overlap, ...]:
    """What each of `texts` shares with each of `benchmarks`, by name; no sequence runs across two documents.

    Args:
        texts: calibration texts.
        benchmarks: documents of each benchmark, questions or a whole text.
    """
    vocabulary: dict[str, int] = {}
    read = {name: _tokenize([text], vocabulary) for name, text in texts.items()}
    found = []
    for benchmark, documents in benchmarks.items():
        asked = _tokenize(documents, vocabulary)
        for name, calibration in read.items():
            words = _shared(calibration.words, asked.words, WORDS)
            characters = _shared(calibration.characters, asked.characters, CHARACTERS)
            if words.size or characters.size:
                example = _example(calibration, words, characters, vocabulary)
                found.append(Overlap(name, benchmark, int(words.size + characters.size), example))
    return tuple(found)


@dataclass(frozen=True)
class _Stream:
    """Tokens in a row, and which places begin a sequence."""

    tokens: NDArray[np.uint64]
    starts: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    """Of the sequence at each of `starts`."""


@dataclass(frozen=True)
class _Streams:
    words: _Stream
    characters: _Stream


def _tokenize(documents: Sequence[str], vocabulary: dict[str, int]) -> _Streams:
    """Words and unspaced characters of documents; `vocabulary` gives each word its number, and grows."""
    words: list[int] = []
    letters: list[str] = []
    for document in documents:
        plain = unicodedata.normalize("NFKC", document).casefold()
        for token in _TOKEN.findall(plain):
            unspaced = _IS_UNSPACED.match(token) is not None
            words.append(_BREAK if unspaced else vocabulary.setdefault(token, len(vocabulary) + 1))
        words.append(_BREAK)
        letters.append("".join(plain.split()))
    stream = np.array(words, np.uint64)
    codes = np.frombuffer("\0".join(letters).encode("utf-32-le"), np.uint32).astype(np.uint64)
    return _Streams(_words(stream), _characters(codes))


def _words(tokens: NDArray[np.uint64]) -> _Stream:
    return _stream(tokens, _window_sums(tokens == _BREAK, WORDS) == 0, WORDS)


def _characters(codes: NDArray[np.uint64]) -> _Stream:
    """Sequences of which most characters are kana or kanji: numbers, names in Latin letters and marks may be among."""
    whole = _window_sums(codes == _BREAK, CHARACTERS) == 0
    mostly = _window_sums(_are_unspaced(codes), CHARACTERS) > CHARACTERS // 2
    return _stream(codes, whole & mostly, CHARACTERS)


def _are_unspaced(codes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    present, places = np.unique(codes, return_inverse=True)
    known = np.array([_IS_UNSPACED.match(chr(code)) is not None for code in present.tolist()], np.bool_)
    return known[places] if codes.size else np.zeros(0, np.bool_)


def _window_sums(flags: NDArray[np.bool_], length: int) -> NDArray[np.int64]:
    """How many flags are set in each run of `length`."""
    sums = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(sums[length:] - sums[:-length], np.int64) if flags.size >= length else np.zeros(0, np.int64)


def _stream(tokens: NDArray[np.uint64], valid: NDArray[np.bool_], length: int) -> _Stream:
    starts = np.flatnonzero(valid).astype(np.int64)
    # A polynomial in an odd base modulo 2^64; equal sequences have equal hashes, and `_shared` compares the rest.
    hashes = np.zeros(starts.size, np.uint64)
    for offset in range(length):
        hashes = hashes * _BASE + tokens[starts + offset]
    return _Stream(tokens, starts, hashes)


def _shared(ours: _Stream, theirs: _Stream, length: int) -> NDArray[np.int64]:
    """Where in `ours` a sequence begins that is in `theirs` as well; each sequence once."""
    hashes, our_places, their_places = np.intersect1d(ours.hashes, theirs.hashes, return_indices=True)
    offsets = np.arange(length)
    mine = ours.tokens[ours.starts[our_places][:, np.newaxis] + offsets]  # (sequences, length)
    other = theirs.tokens[theirs.starts[their_places][:, np.newaxis] + offsets]
    return np.sort(ours.starts[our_places][(mine == other).all(axis=1)]) if hashes.size else np.zeros(0, np.int64)


def _example(
    calibration: _Streams, words: NDArray[np.int64], characters: NDArray[np.int64], vocabulary: Mapping[str, int]
) -> str:
    """The first shared sequence, readable."""
    if words.size:
        names = list(vocabulary)
        numbers = calibration.words.tokens[words[0] : words[0] + WORDS].tolist()
        return " ".join(names[number - 1] for number in numbers)
    codes = calibration.characters.tokens[characters[0] : characters[0] + CHARACTERS].tolist()
    return "".join(map(chr, codes))
