"""The tables of all generated answers, as Parquet for programs and as CSV for spreadsheets.

One row per answer, with its question and with how it differs from the reference's answer. The rows are made a few items
at a time, so that a large run never stands in memory twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from conf.files import atomic_path, exists
from reporting import file_names
from reporting.documents.side_by_side.judgements import judge_schema, judges_of, read_judgements, with_judges
from reporting.documents.side_by_side.pairs import DIFFERENCE_COLUMNS, references_of, with_differences
from reporting.frames import QUESTION_SCHEMA

Json = Mapping[str, Any]
Schema = Mapping[str, pl.DataType | type[pl.DataType]]

ANSWER_TABLE: dict[str, pl.DataType | type[pl.DataType]] = {
    "benchmark": pl.String,
    "item_id": pl.String,
    "seed": pl.Int64,
    "model": pl.String,
    "arm": pl.String,
    "reference": pl.String,
    "outcome": pl.String,
    "reason": pl.String,
    "score": pl.Float64,
    **DIFFERENCE_COLUMNS,
    "answer": pl.String,
    "expected": pl.String,
    "criteria": pl.String,
    "question": pl.String,
    "text": pl.String,
    "earlier_texts": pl.List(pl.String),
    "thoughts": pl.String,
    "completion_tokens": pl.Int64,
    "thought_tokens": pl.Int64,
    "finish_reason": pl.String,
}
"""Columns of the table. Those of the judges follow (`judgements.judge_schema`)."""
PIECE_BYTES = 16 * 2**20
"""Bytes of texts that are in memory at a time."""
_ROW_BYTES = 500
"""What a row takes beside its texts."""
_ROWS_READ_AT_ONCE = 5000
MOST_CELL_CHARS = 10_000
"""Characters of a cell of the CSV. Excel breaks cells of more than 32,767 UTF-16 units apart."""
_FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
"""How a text begins that a spreadsheet may take for a formula. Japanese ones also read the wide signs."""


@dataclass(frozen=True)
class AnswerSources:
    """The tables of a results folder from which the table of answers is made."""

    answers: Path
    questions: Path
    judgements: Path

    @classmethod
    def beside(cls, results_path: str | Path) -> AnswerSources:
        """Return the tables beside a comparison file."""
        folder = Path(results_path).parent
        tables = (file_names.ANSWERS, file_names.QUESTIONS, file_names.JUDGEMENTS)
        return cls(*(folder / table for table in tables))


def write_answer_tables(
    comparison: Json, sources: AnswerSources, parquet: Path, piece_bytes: int = PIECE_BYTES
) -> list[Path]:
    """Write the table as Parquet, and as CSV beside it, and return their paths.

    Without generated answers nothing is written. `piece_bytes` limits the bytes of texts in memory at a time; a single
    item may have more.
    """
    names = [one["name"] for one in comparison["benchmarks"] if one["kind"] == "generate"]
    if not names or not exists(sources.answers):
        return []
    judges = judges_of(read_judgements(sources.judgements))
    schema = {**ANSWER_TABLE, **judge_schema(judges)}

    def pieces(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        for name in names:
            yield from _pieces(comparison, sources, name, judges, schema, piece_bytes)

    with atomic_path(parquet) as temporary:
        frame = register_io_source(pieces, schema=schema)
        frame.sink_parquet(temporary, row_group_size=_ROWS_READ_AT_ONCE)
    sheet = parquet.with_suffix(".csv")
    with atomic_path(sheet) as temporary:
        # With the byte order mark, Excel reads the file as UTF-8.
        for_spreadsheets(pl.scan_parquet(parquet), whole_texts=parquet.name).sink_csv(temporary, include_bom=True)
    return [parquet, sheet]


def for_spreadsheets(table: pl.LazyFrame, whole_texts: str) -> pl.LazyFrame:
    """Return a table whose texts no spreadsheet takes for formulas, with lists of texts as one text.

    A text that is too long for a cell is cut, and says so. `whole_texts` is the file that holds it whole.
    """
    schema = table.collect_schema()
    joined = [pl.col(name).list.join("\n\n") for name, kind in schema.items() if kind == pl.List(pl.String)]
    flat = table.with_columns(joined)
    names = [name for name, kind in flat.collect_schema().items() if kind == pl.String]
    flat = flat.with_columns(_in_one_cell(pl.col(name), whole_texts).alias(name) for name in names)
    inert = pl.when(pl.col(pl.String).str.contains(_FORMULA)).then("'" + pl.col(pl.String))
    return flat.with_columns(inert.otherwise(pl.col(pl.String)).name.keep())


def _in_one_cell(text: pl.Expr, whole_texts: str) -> pl.Expr:
    n_more = text.str.len_chars().cast(pl.Int64) - MOST_CELL_CHARS
    cut = pl.format(f"{{}} [… +{{}} characters, see {whole_texts}]", text.str.head(MOST_CELL_CHARS), n_more)
    return pl.when(n_more > 0).then(cut).otherwise(text)


def _pieces(
    comparison: Json, sources: AnswerSources, benchmark: str, judges: list[str], schema: Schema, piece_bytes: int
) -> Iterator[pl.DataFrame]:
    """Yield the rows of one benchmark, a few items at a time: items in order, for each one the arms in order."""
    own = pl.col("benchmark") == benchmark
    answers = _with_columns(pl.scan_parquet(sources.answers).cast({pl.Categorical: pl.String}), ANSWER_TABLE)
    judgements = read_judgements(sources.judgements)
    arms = _described(comparison["arms"])
    for first, last in _ranges(answers.filter(own), piece_bytes):
        part = own & pl.col("item_id").is_between(pl.lit(first), pl.lit(last))
        piece = answers.filter(part).drop("model", "reference", "question", "expected", "criteria").collect()
        piece = with_differences(piece.join(arms, on="arm"))
        piece = with_judges(piece, None if judgements is None else judgements.filter(part).collect(), judges)
        asked = _with_columns(_questions(sources.questions).filter(part), QUESTION_SCHEMA).collect()
        piece = piece.join(asked, on=["benchmark", "item_id"], how="left")
        yield piece.sort("item_id", "seed", "place").select(pl.col(name).cast(kind) for name, kind in schema.items())


def _described(arms: Sequence[Json]) -> pl.DataFrame:
    """Return a table of the arms with the order in which they are shown: those of a model together."""
    references = references_of(arms)
    models = list(dict.fromkeys(arm["model"] for arm in arms))
    compared_with = set(references.values())
    ordered = sorted(arms, key=lambda arm: (models.index(arm["model"]), arm["name"] not in compared_with))
    rows = [
        {"arm": arm["name"], "model": arm["model"], "reference": references.get(arm["name"]), "place": place}
        for place, arm in enumerate(ordered)
    ]
    return pl.DataFrame(rows, schema={"arm": pl.String, "model": pl.String, "reference": pl.String, "place": pl.Int64})


def _questions(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path) if exists(path) else pl.LazyFrame(schema=QUESTION_SCHEMA)


def _with_columns(table: pl.LazyFrame, schema: Schema) -> pl.LazyFrame:
    """Return a table with all columns of a schema: null where an older version did not write them."""
    known = table.collect_schema().names()
    missing = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in known]
    return table.with_columns(missing).select(list(schema))


def _ranges(answers: pl.LazyFrame, piece_bytes: int) -> list[tuple[str, str]]:
    """Return the first and last item of each piece of the answers, in the order of the item ids."""
    texts = (pl.col("text"), pl.col("thoughts"), pl.col("earlier_texts").list.join(""))
    sizes = pl.sum_horizontal(_ROW_BYTES, *(text.str.len_bytes().fill_null(0) for text in texts))
    by_item = answers.group_by("item_id").agg(n_bytes=sizes.sum()).sort("item_id").collect(engine="streaming")
    piece = pl.col("n_bytes").cum_sum() // piece_bytes
    pieces = by_item.group_by(piece.alias("piece"), maintain_order=True).agg(
        pl.col("item_id").first().alias("first"), pl.col("item_id").last().alias("last")
    )
    return pieces.select("first", "last").rows()
