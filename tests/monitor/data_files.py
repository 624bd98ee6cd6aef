"""Write the data files of the PowerShell module from the Python side: `python -m tests.monitor.data_files`.

`test_texts.py` checks that they are up to date.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reporting.terminal.layout import display_width
from reporting.terminal.progress_words import CLOSING, PHASES, PROBLEMS, STATES, WORDS
from reporting.wording import VERDICTS

MODULE = Path(__file__).resolve().parents[2] / "ps" / "QuantAssay"


def texts() -> dict[str, Any]:
    """Return the words of the screen, by group, code and language."""
    groups = {"words": WORDS, "phases": PHASES, "states": STATES, "verdicts": VERDICTS, "problems": PROBLEMS}
    return {
        group: {code: {"ja": japanese, "en": english} for code, (japanese, english) in words.items()}
        for group, words in groups.items()
    }


def widths() -> dict[str, list[list[int]]]:
    """Return the ranges of code points that take two columns, and those that take none."""
    return {"wide": list(_ranges(2)), "zero": list(_ranges(0))}


def closing() -> list[int]:
    """Return the code points that may not begin a line."""
    return [ord(character) for character in CLOSING]


def _ranges(columns: int) -> Iterator[list[int]]:
    """Yield first and last code point of each range. Unassigned ones end no range: no text has them."""
    first = last = None
    for code in range(0x300, sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Cn", "Cs") and display_width(chr(code)) == 1:
            continue
        if display_width(chr(code)) == columns:
            first, last = (code, code) if first is None else (first, code)
        elif first is not None and last is not None:
            yield [first, last]
            first = None
    if first is not None and last is not None:
        yield [first, last]


def main() -> None:
    """Write both files."""
    texts_json = json.dumps(texts(), ensure_ascii=False, indent=1)
    (MODULE / "texts.json").write_text(texts_json + "\n", encoding="utf-8")
    (MODULE / "widths.json").write_text(
        json.dumps({**widths(), "closing": closing()}, separators=(",", ":")) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
