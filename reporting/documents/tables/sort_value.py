"""The number that a table cell is sorted by."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[<>≈]?\s*([+−-]?)(\d[\d,]*(?:\.\d+)?(?:e[+−-]?\d+)?)(?:\s?([KMGT]iB))?")
_UNITS = {"KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3, "TiB": 1024.0**4}


def sort_value(text: str) -> float | None:
    """Return the number that a cell begins with, in bytes if it is a size; None if it begins with something else.

    `17.5% [8.7, 32.2]` is 17.5, `< 0.001` is 0.001, `180 / 211` is 180, and a dash is None.
    """
    match = _NUMBER.match(text.strip())
    if match is None:
        return None
    sign, digits, unit = match.groups()
    value = float(digits.replace(",", "").replace("−", "-")) * _UNITS.get(unit, 1.0)
    return -value if sign in ("−", "-") else value
