"""Reads the answers that an order is about."""

from __future__ import annotations

from typing import Any

from actors.json_lines import read_jsonl
from actors.judging.orders import JudgeOrder
from actors.records import Record


def answers_of(order: JudgeOrder) -> list[Record]:
    """Return the records of the order's block. Raise `OSError`, `ValueError` or `TypeError` if they are damaged."""
    return [_record(row) for row in read_jsonl(order.records_path)]


def _record(row: dict[str, Any]) -> Record:
    earlier = row.get("earlier_texts")
    return Record(**{**row, "earlier_texts": None if earlier is None else tuple(earlier)})
