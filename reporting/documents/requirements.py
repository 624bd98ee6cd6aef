"""What the documents need before they can be written: Pango, and the user's methodology if there is one."""

from __future__ import annotations

import importlib
from pathlib import Path

from conf.faults import BadInput, Fault, Faults
from conf.user_files import SMALL_FILE_BYTES, read_user_text

PANGO_IS_MISSING = Fault(
    "Pango (system library)",
    None,
    "Pango must be installed: it draws the text of the PDF",
    "Run `make setup` or `apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0`.",
)


def check_pango() -> None:
    """Raise `BadInput` if Pango is missing, the system library that draws the text of the PDF."""
    try:
        # weasyprint loads Pango while it is imported. A machine without Pango can do everything else.
        importlib.import_module("weasyprint")
    except OSError as error:
        raise BadInput(PANGO_IS_MISSING) from error


def check_documents(methodology: Path | None) -> None:
    """Raise `BadInput` if Pango is missing or the user's methodology, if any, cannot be read."""
    faults = Faults()
    faults.gather(check_pango)
    if methodology is not None:
        faults.gather(read_methodology, methodology)
    faults.stop_if_any()


def read_methodology(path: Path) -> str:
    """Return the user's methodology, a Markdown text. Raises `BadInput` if it cannot be read."""
    return read_user_text(path, key="--methodology", what="Markdown file", limit_bytes=SMALL_FILE_BYTES)
