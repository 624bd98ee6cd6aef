"""Writes the tables with all answers of a run, and the page that shows them side by side in each wanted language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conf.files import write_text
from conf.schema.pipeline import Language
from reporting.documents.side_by_side.choice import choose
from reporting.documents.side_by_side.data import pack_answers
from reporting.documents.side_by_side.judgements import read_judgements
from reporting.documents.side_by_side.page import answers_html
from reporting.documents.side_by_side.table import AnswerSources, write_answer_tables
from reporting.file_names import in_language
from reporting.wording import Words, languages


def write_side_by_side(
    comparison: Mapping[str, Any], results_path: str | Path, table: Path, page: Path, lang: Language
) -> list[Path]:
    """Write tables and pages, and return their paths; nothing if the run has no generated answers.

    Args:
        comparison: `quantization_comparison.json`.
        results_path: its path. The tables of the run are read beside it.
        table: where the table goes as Parquet. The same as CSV goes beside it.
        page: where the page goes, without a language in its name.
        lang: the wanted languages.
    """
    sources = AnswerSources.beside(results_path)
    tables = write_answer_tables(comparison, sources, table)
    if not tables:
        return []
    packed = pack_answers(table, read_judgements(sources.judgements), choose(table, comparison["benchmarks"]))
    pages = {one: in_language(page, one, lang) for one in languages(lang)}
    for one, path in pages.items():
        write_text(path, answers_html(comparison, packed, Words(one)))
    return [*tables, *pages.values()]
