"""Names and values as MLflow takes them, and nested JSON as flat parameters and metrics."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from actors.hashing import content_hash

SETTING_KEYS = {"key", "settings", "versions", "ctx", "schema_version"}
"""Branches of manifests and plan whose numbers are settings (MLflow parameters), not results (MLflow metrics)."""
MAX_VALUE_LENGTH = 500
"""Characters of a parameter's value. Longer text is cut, and longer lists are left out."""
LONGEST_NAME = 250
"""Characters of a name in MLflow."""


def valid_name(name: str) -> str:
    """Spell the characters of `name` that MLflow does not allow in names of parameters and metrics.

    It allows letters of every script. Names of arms may contain `+` and `~`, which become words; any other character
    becomes its number, and the end of a long name its hash, so two names never become one.
    """
    spelled = name.replace("+", ".plus.").replace("~", ".of.")
    spelled = re.sub(r"[^\w\-. :/]", lambda match: f".x{ord(match[0]):x}.", spelled)
    return spelled if len(spelled) <= LONGEST_NAME else f"{spelled[: LONGEST_NAME - 9]}.{content_hash(spelled)[:8]}"


def valid_model_name(name: str) -> str:
    """Return `name` without the characters that MLflow does not allow in names of models."""
    return re.sub(r"[/:.%\"']", "_", name)


def scalars(
    tree: Mapping[str, Any], prefix: str = "", *, are_settings: bool = False
) -> Iterator[tuple[str, str | float]]:
    """Yield the values of nested JSON with dotted names: numbers as floats (metrics), the rest as text (parameters).

    An interval `[low, high]` becomes two numbers. Other lists become text if they are short enough.

    Args:
        are_settings: all values below are settings, so numbers become text too.
    """
    for key, value in tree.items():
        name = valid_name(f"{prefix}{key}")
        below = are_settings or key in SETTING_KEYS
        if value is None:
            continue
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{key}.", are_settings=below)
        elif isinstance(value, bool | str) or (below and isinstance(value, int | float)):
            yield name, str(value)[:MAX_VALUE_LENGTH]
        elif isinstance(value, int | float):
            if math.isfinite(value):
                yield name, float(value)
        elif not below and _is_interval(value):
            yield f"{name}_low", float(value[0])
            yield f"{name}_high", float(value[1])
        elif len(text := json.dumps(value, ensure_ascii=False)) <= MAX_VALUE_LENGTH:
            yield name, text


def with_interval(name: str, value: float | None, interval: Any) -> dict[str, float]:
    """Return what is known of a number and its interval: `<name>`, `<name>_low` and `<name>_high`."""
    found = {} if value is None else {valid_name(name): float(value)}
    if _is_interval(interval):
        found |= dict(zip((valid_name(f"{name}_low"), valid_name(f"{name}_high")), map(float, interval), strict=True))
    return {key: number for key, number in found.items() if math.isfinite(number)}


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(end) in {int, float} for end in value)
