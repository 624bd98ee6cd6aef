"""JSON fields of numbers that may be undefined: an undefined number is null, with its reason in a second field."""

from __future__ import annotations

from typing import Any

from stats.intervals import Interval
from stats.reasons import Reason

Json = dict[str, Any]


def number(name: str, value: float | Reason) -> Json:
    """Return two fields: `name` with the value or null, and `<name>_reason`."""
    if isinstance(value, Reason):
        return {name: None, f"{name}_reason": value.value}
    return {name: value, f"{name}_reason": None}


def interval(name: str, value: Interval | Reason) -> Json:
    """Return two fields: `name` with [low, high] or null, and `<name>_reason`."""
    if isinstance(value, Reason):
        return {name: None, f"{name}_reason": value.value}
    return {name: [value.low, value.high], f"{name}_reason": None}


def method(value: Interval | Reason) -> str | None:
    """Return the code of the method that gave the interval; None if there is no interval."""
    return value.method if isinstance(value, Interval) else None
