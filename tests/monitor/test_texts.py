"""The data files of the PowerShell module say what the Python side says."""

from __future__ import annotations

import json

from conf import VERSION
from tests.monitor.data_files import MODULE, closing, texts, widths


def test_the_words_are_the_same() -> None:
    assert json.loads((MODULE / "texts.json").read_text(encoding="utf-8")) == texts()


def test_characters_are_as_wide_there_as_here() -> None:
    assert json.loads((MODULE / "widths.json").read_text(encoding="utf-8")) == {**widths(), "closing": closing()}


def test_the_version_is_the_same() -> None:
    assert f"'{VERSION}'" in (MODULE / "QuantAssay.psd1").read_text(encoding="utf-8")
    assert f"'{VERSION}'" in (MODULE / "QuantAssay.psm1").read_text(encoding="utf-8")
