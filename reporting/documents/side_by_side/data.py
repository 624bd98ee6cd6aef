"""The answers as the page holds them: JSON in compressed pieces, in the order in which the page shows them.

A browser reads the first piece, shows it, and reads the others while somebody looks at it.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reporting.documents.side_by_side.choice import LONGEST_TEXT_CHARS, QUESTION, Choice
from reporting.documents.side_by_side.judgements import verdicts_of
from reporting.escape import visible

Json = dict[str, Any]

_PIECE_CHARS = 2_000_000
"""Characters of a piece of JSON. A browser reads one in about 20 ms, so it stays responsive in between."""
_OF_QUESTION = ("question", "expected", "criteria")
_OF_ANSWER = (
    *("arm", "outcome", "reason", "score", "flip", "score_difference", "text_difference", "answer", "text"),
    *("earlier_texts", "thoughts", "completion_tokens", "thought_tokens"),
)
_SHOWN = (*_OF_ANSWER, "verdicts")
CUT_MARK = " […]"
"""Stands at the end of a text that is cut."""
_DIGITS = 4


@dataclass(frozen=True)
class PackedAnswers:
    """The answers of the page, and what its filters offer."""

    pieces: tuple[str, ...]
    """Each is a JSON array of questions, compressed with gzip and written in base64."""
    letters: str
    """Each character of the answers once."""
    n_questions: int
    n_answers: int
    n_answers_in_all: int
    """Answers of the run. If the page holds fewer, those with the smallest differences are left out."""
    benchmarks: tuple[str, ...]
    models: tuple[str, ...]
    arms: tuple[str, ...]
    outcomes: tuple[str, ...]
    reasons: tuple[str, ...]
    """Codes of reasons, also of those that judges had."""
    seeds: tuple[int, ...]
    has_flips: bool


def pack_answers(table: Path, judgements: pl.LazyFrame | None, choice: Choice) -> PackedAnswers:
    """Return the answers of the page. The same answers give the same pieces.

    Args:
        table: the table of answers (`side_by_side.table`).
        judgements: what judges said; None if nobody was asked.
        choice: the questions of the page.
    """
    letters: set[str] = set()
    pieces = tuple(_packed(texts, letters) for texts in _in_pieces(_questions(table, judgements, choice)))
    answers = pl.scan_parquet(table)
    reasons = _values(answers, "reason") | (set() if judgements is None else _values(judgements, "reason"))
    return PackedAnswers(
        pieces=pieces,
        letters="".join(sorted(letters)),
        n_questions=choice.questions.height,
        n_answers=choice.n_answers,
        n_answers_in_all=choice.n_answers_in_all,
        benchmarks=tuple(choice.questions["benchmark"].unique(maintain_order=True)),
        models=tuple(sorted(_values(answers, "model"))),
        arms=tuple(sorted(_values(answers, "arm"))),
        outcomes=tuple(sorted(_values(answers, "outcome"))),
        reasons=tuple(sorted(reasons)),
        seeds=tuple(sorted(_values(answers, "seed"))),
        has_flips=bool(_values(answers, "flip")),
    )


def _values(table: pl.LazyFrame, column: str) -> set[Any]:
    return set(table.select(pl.col(column).drop_nulls().unique()).collect()[column])


def _in_pieces(questions: Iterable[Json]) -> Iterator[list[str]]:
    """Yield the questions as JSON, as many together as make a piece."""
    held: list[str] = []
    n_chars = 0
    for question in questions:
        text = json.dumps(question, ensure_ascii=False, separators=(",", ":"))
        held.append(text)
        n_chars += len(text)
        if n_chars >= _PIECE_CHARS:
            yield held
            held, n_chars = [], 0
    if held:
        yield held


def _packed(texts: list[str], letters: set[str]) -> str:
    """Return a piece, and add its letters to `letters`."""
    letters.update(*texts)
    return base64.b64encode(gzip.compress(f"[{','.join(texts)}]".encode(), 6, mtime=0)).decode()


def _questions(table: Path, judgements: pl.LazyFrame | None, choice: Choice) -> Iterator[Json]:
    """Yield the questions in order, each with its answers."""
    rows = _rows(table, judgements, choice).iter_rows(named=True)
    for _, of_question in itertools.groupby(rows, key=lambda row: row["rank"]):
        first, *others = of_question
        asked = _shown({name: first[name] for name in (*QUESTION, *_OF_QUESTION)})
        yield asked | {"answers": [_shown({name: one[name] for name in _SHOWN}) for one in (first, *others)]}


def _rows(table: Path, judgements: pl.LazyFrame | None, choice: Choice) -> pl.DataFrame:
    """Return the answers to the chosen questions in order, without more of their texts than the page shows."""
    # One more character than is shown tells that there are more.
    longest = LONGEST_TEXT_CHARS + 1
    shortened = (pl.col(pl.String).str.head(longest), pl.col("earlier_texts").list.eval(pl.element().str.head(longest)))
    verdicts = verdicts_of(judgements, choice.questions.select(QUESTION[:3]).unique(), longest)
    return (
        pl.scan_parquet(table, row_index_name="place")
        .select("place", *QUESTION, *_OF_QUESTION, *_OF_ANSWER)
        .with_columns(shortened)
        .join(choice.questions.lazy(), on=QUESTION)
        .join(verdicts.lazy(), on=["benchmark", "item_id", "seed", "arm"], how="left")
        .sort("rank", "place")
        .collect()
    )


def _shown(value: Any) -> Any:
    """Return a value as the page shows it: without nulls, texts inert and not too long, numbers with few digits."""
    if isinstance(value, str):
        short = value if len(value) <= LONGEST_TEXT_CHARS else f"{value[:LONGEST_TEXT_CHARS]}{CUT_MARK}"
        return visible(short)
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, Mapping):
        return {name: _shown(one) for name, one in value.items() if one is not None}
    return [_shown(one) for one in value] if isinstance(value, list) else value
