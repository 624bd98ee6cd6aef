"""Read a file of human scores for some answers: CSV with a header, or JSON lines.

    benchmark,arm,item_id,seed,turn,score,rater
    elyza,f16,elyza-017,0,,4,aiko

Tables as spreadsheets save them are read, too: with `;` or tabs between the values, and with empty rows at the end.
`arm`, `item_id` and `score` are needed. `benchmark` may be left out if only one is judged, `seed` means the first one,
`turn` counts from 1 (left out: the answer as a whole), `rater` tells several people apart. Every fault of the file is
told at once, each with its line.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl

from conf.faults import BadInput, Fault, Faults, is_utf8, near_names
from conf.user_files import DATA_FILE_BYTES, read_user_text
from reporting.frames import HUMAN_SCORE_SCHEMA

COLUMNS = tuple(HUMAN_SCORE_SCHEMA)
_NEEDED = ("arm", "item_id", "score")
IDS = ("arm", "item_id")
_FORM = f"a CSV file with a header, or JSON lines (.jsonl), with the columns {', '.join(COLUMNS)}"
_LIKE = "a row such as elyza,f16,elyza-017,0,,4,aiko"


@dataclass(frozen=True)
class Answers:
    """The answers to one judged benchmark that people may score."""

    arms: Sequence[str]
    item_ids: Collection[str]
    seeds: Sequence[int]
    n_turns: int
    scale: tuple[float, float]


@dataclass(frozen=True)
class _Row:
    line: int
    values: Mapping[str, Any]


def read_human_scores(path: Path, answers: Mapping[str, Answers], *, key: str) -> pl.DataFrame:
    """Return the scores (`reporting.frames.HUMAN_SCORE_SCHEMA`).

    Args:
        path: the file.
        answers: what can be scored, by the name of a judged benchmark.
        key: the flag or configuration key that messages about the file as a whole name.

    Raises:
        BadInput: the file cannot be read, or rows have faults; all of them.
    """
    if not answers:
        allowed = "no file, if no benchmark is judged"
        raise BadInput(Fault(key, str(path), allowed, "Add a judged benchmark, such as elyza, or leave the file out."))
    text = read_user_text(path, key=key, what="CSV or JSON-lines file", limit_bytes=DATA_FILE_BYTES)
    rows = list(_json_rows(text, path) if path.suffix.lower() in (".jsonl", ".ndjson") else _csv_rows(text, path, key))
    if not rows:
        raise BadInput(Fault(key, str(path), f"{_FORM}; this one has no row", "Add at least one score."))
    faults, scores, places = Faults(), list[dict[str, Any]](), dict[tuple[Any, ...], int]()
    for row in rows:
        score = faults.gather(_score, row, answers, path)
        if score is None:
            continue
        same = tuple(score[name] for name in COLUMNS if name != "score")
        if same in places:
            got = f"a second score of the same answer (the first is in line {places[same]})"
            step = "If two people scored it, name them in the column rater."
            faults.add(Fault(f"{path.name}:{row.line}", got, "one score of an answer by each rater", step))
        places.setdefault(same, row.line)
        scores.append(score)
    faults.stop_if_any()
    return pl.DataFrame(scores, schema=HUMAN_SCORE_SCHEMA)


def _csv_rows(text: str, path: Path, key: str) -> Iterator[_Row]:
    separator = _separator(text)
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = _without_empty_end(next(reader, []))
        if not set(_NEEDED) <= set(header) or not set(header) <= set(COLUMNS) or len(set(header)) < len(header):
            allowed = f"{_FORM}; {', '.join(_NEEDED)} are needed"
            raise BadInput(Fault(f"{path.name}:1", ",".join(header), allowed, "Give the first line these names."))
        for values in reader:
            if not any(map(str.strip, values)):
                continue  # spreadsheets write such rows below a table
            values = [*values[: len(header)], *_without_empty_end(values[len(header) :])]
            if len(values) != len(header):
                allowed = f"as many values as the header has, which is {len(header)}"
                raise BadInput(
                    Fault(f"{path.name}:{reader.line_num}", separator.join(values), allowed, f"Write {_LIKE}.")
                )
            row = {name: value.strip() or None for name, value in zip(header, values, strict=True)}
            if row["score"] is None:
                continue  # an answer that nobody has scored yet
            if separator != ",":
                row["score"] = row["score"].replace(",", ".")  # a comma can only be the decimal point
            yield _Row(reader.line_num, row)
    except csv.Error as error:
        fault = Fault(f"{path.name}:{reader.line_num}", str(error), _FORM, "Save the table as CSV in UTF-8 again.")
        raise BadInput(fault) from error


def _separator(text: str) -> str:
    """Return what stands between the names of the first line: in many countries spreadsheets write no commas there."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _without_empty_end(cells: Sequence[str]) -> list[str]:
    """Return the cells without spaces around them, up to the last one that has something in it."""
    found = [cell.strip() for cell in cells]
    while found and not found[-1]:
        found.pop()
    return found


def _json_rows(text: str, path: Path) -> Iterator[_Row]:
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BadInput(Fault(f"{path.name}:{line}", content[:80], f"a JSON object ({error})")) from error
        if not isinstance(values, dict) or not set(values) <= set(COLUMNS):
            names = ", ".join(map(str, values)) if isinstance(values, dict) else content[:80]
            raise BadInput(Fault(f"{path.name}:{line}", names, f"a JSON object with the keys {', '.join(COLUMNS)}"))
        # Numbers are the usual ids of items, and a program writes them as such.
        yield _Row(line, {name: str(one) if name in IDS and type(one) is int else one for name, one in values.items()})


def _score(row: _Row, answers: Mapping[str, Answers], path: Path) -> dict[str, Any]:
    """Return one row of the table. Raise `BadInput` with all faults of the row."""
    faults, place = Faults(), f"{path.name}:{row.line}"
    benchmark = _benchmark(row, answers, place)
    known = answers[benchmark]
    seeds, (low, high) = known.seeds, known.scale
    arm = faults.gather(_name, row, "arm", known.arms, place)
    item_id = faults.gather(_name, row, "item_id", known.item_ids, place)
    seed = faults.gather(_integer, row, "seed", seeds, seeds[0], place)
    turns = range(1, known.n_turns + 1)
    turn = faults.gather(_integer, row, "turn", turns, 0, place)
    value = _number(row.values.get("score"))
    if value is None or not low <= value <= high:
        allowed = f"a number from {low:g} to {high:g}, the scale of {benchmark}"
        faults.add(Fault(f"{place} score", row.values.get("score"), allowed, "Correct the score or remove the row."))
    rater = row.values.get("rater")
    if not (rater is None or (isinstance(rater, str) and is_utf8(rater))):
        faults.add(Fault(f"{place} rater", rater, "a name"))
    faults.stop_if_any()
    return {
        "benchmark": benchmark,
        "arm": arm,
        "item_id": item_id,
        "seed": seed,
        # The only turn of an answer is the whole answer.
        "turn": turn - 1 if turn and known.n_turns > 1 else None,
        "score": value,
        "rater": rater or None,
    }


def _benchmark(row: _Row, answers: Mapping[str, Answers], place: str) -> str:
    name = row.values.get("benchmark")
    if name is None and len(answers) == 1:
        return next(iter(answers))
    if not isinstance(name, str) or name not in answers:
        allowed = f"a judged benchmark: one of {', '.join(answers)}"
        step = "Name the benchmark in each row, because several are judged." if name is None else ""
        raise BadInput(Fault(f"{place} benchmark", name, allowed, step))
    return name


def _name(row: _Row, column: str, known: Collection[str], place: str) -> str:
    name = row.values.get(column)
    if isinstance(name, str) and name in known:
        return name
    first = ", ".join(sorted(known)[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
    step = near_names(name, known) if isinstance(name, str) else ""
    allowed = f"one of the run's {len(known)}: {first}"
    raise BadInput(Fault(f"{place} {column}", name, allowed, step or "Correct the name or remove the row."))


def _integer(row: _Row, column: str, known: Sequence[int], default: int, place: str) -> int:
    given = row.values.get(column)
    if given is None:
        return default
    value = _number(given)
    if value is None or value not in known:
        names = ", ".join(map(str, known))
        raise BadInput(Fault(f"{place} {column}", given, f"empty, or one of {names}", "Correct it or remove the row."))
    return int(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
