"""Find out whether calibration text contains benchmark questions: look for sequences that a text and a benchmark share.

A shared sequence has 13 words, or 25 characters in writing without spaces between words (kana, kanji). Sequences of
this length hardly occur by chance, as in the contamination study of GPT-3 (arXiv:2005.14165, appendix C). Case,
punctuation between words, and line breaks do not count. This module is pure: the caller provides the texts.
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

# Kana and kanji: 々〆〇, hiragana, katakana and its extensions, and the blocks of CJK ideographs.
_UNSPACED = "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_TOKEN = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BREAK = 0
"""A token that is part of no sequence. It separates documents, and replaces unspaced writing in a stream of words."""


@dataclass(frozen=True)
class Overlap:
    """A text and a benchmark that share sequences."""

    text: str
    benchmark: str
    n_shared: int
    """Number of different shared sequences. A long shared passage counts once for each position in it."""
    example: str
    """One of the sequences. A sequence of words is shown without case and punctuation."""


def find_overlaps(texts: Mapping[str, str], benchmarks: Mapping[str, Sequence[str]]) -> tuple[Overlap, ...]:
    """Return what each text shares with each benchmark, by name. No sequence crosses the border of two documents.

    Args:
        texts: calibration texts by name.
        benchmarks: documents of each benchmark by name: questions, or a whole text.
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
    """A sequence of tokens, and the positions where a valid window starts."""

    tokens: NDArray[np.uint64]
    starts: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    """One hash per window in `starts`."""


@dataclass(frozen=True)
class _Streams:
    words: _Stream
    characters: _Stream


def _tokenize(documents: Sequence[str], vocabulary: dict[str, int]) -> _Streams:
    """Return the words and the unspaced characters of documents. `vocabulary` numbers the words; new ones are added."""
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
    """Return the windows made mostly of kana and kanji. They may contain numbers, Latin names and punctuation."""
    whole = _window_sums(codes == _BREAK, CHARACTERS) == 0
    mostly = _window_sums(_are_unspaced(codes), CHARACTERS) > CHARACTERS // 2
    return _stream(codes, whole & mostly, CHARACTERS)


def _are_unspaced(codes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    present, places = np.unique(codes, return_inverse=True)
    known = np.array([_IS_UNSPACED.match(chr(code)) is not None for code in present.tolist()], np.bool_)
    return known[places] if codes.size else np.zeros(0, np.bool_)


def _window_sums(flags: NDArray[np.bool_], length: int) -> NDArray[np.int64]:
    """Return how many flags are set in each window of `length`."""
    sums = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(sums[length:] - sums[:-length], np.int64) if flags.size >= length else np.zeros(0, np.int64)


def _stream(tokens: NDArray[np.uint64], valid: NDArray[np.bool_], length: int) -> _Stream:
    starts = np.flatnonzero(valid).astype(np.int64)
    # Polynomial hash with an odd base, modulo 2^64. Equal windows have equal hashes; `_shared` rules out collisions.
    hashes = np.zeros(starts.size, np.uint64)
    for offset in range(length):
        hashes = hashes * _BASE + tokens[starts + offset]
    return _Stream(tokens, starts, hashes)


def _shared(ours: _Stream, theirs: _Stream, length: int) -> NDArray[np.int64]:
    """Return where in `ours` the windows start that also occur in `theirs`. Each window is listed once."""
    hashes, our_places, their_places = np.intersect1d(ours.hashes, theirs.hashes, return_indices=True)
    offsets = np.arange(length)
    mine = ours.tokens[ours.starts[our_places][:, np.newaxis] + offsets]  # (sequences, length)
    other = theirs.tokens[theirs.starts[their_places][:, np.newaxis] + offsets]
    return np.sort(ours.starts[our_places][(mine == other).all(axis=1)]) if hashes.size else np.zeros(0, np.int64)


def _example(
    calibration: _Streams, words: NDArray[np.int64], characters: NDArray[np.int64], vocabulary: Mapping[str, int]
) -> str:
    """Return the first shared sequence as readable text."""
    if words.size:
        names = list(vocabulary)
        numbers = calibration.words.tokens[words[0] : words[0] + WORDS].tolist()
        return " ".join(names[number - 1] for number in numbers)
    codes = calibration.characters.tokens[characters[0] : characters[0] + CHARACTERS].tolist()
    return "".join(map(chr, codes))
