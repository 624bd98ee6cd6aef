"""The order of headings, tables and figures in each document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdf
import pytest

REPORT = """
# Quantization analysis report
## Verdict
table 7: File
## What to try
## What was compared
table 9: Arm
## Results
figure quantization_verdict_en
figure quantization_heatmap_en
figure quantization_difference_en
figure quantization_performance_en
figure quantization_efficiency_en
figure quantization_categories_en
figure answer_lengths_en
figure answer_length_shifts_en
figure answer_styles_en
### Verdicts by benchmark
table 8: Arm
table 8: Benchmark
### By category
table 5: Category
### GSM8K (grade-school mathematics)
table 10: Arm
table 9: Arm − reference
### ARC-Challenge (science, multiple choice)
table 10: Arm
table 9: Arm − reference
### Perplexity (WikiText-2, English)
table 10: Arm
table 9: Arm − reference
### Perplexity (Japanese Wikipedia)
table 10: Arm
table 9: Arm − reference
## Flips between right and wrong
table 9: Benchmark
## Length and style of the answers
### Length
table 10: Benchmark
### Style
table 9: Benchmark
## Speed and memory
table 7: Arm
## Failures and missing data
### Failed work
### Unscored records
table 4: Arm
### Fallback tensors
## Answers side by side
### gsm8k · gsm8k-0017 · seed 0
table 5: Arm
### gsm8k · gsm8k-0024 · seed 0
table 5: Arm
### gsm8k · gsm8k-0000 · seed 0
table 5: Arm
## Notices
## Limits
## Reproducibility
table 2: Component
table 2: File
"""

METHODOLOGY = """
# Methodology of quantization and evaluation
## 1. Models
table 7: Model
## 2. Importance matrix
## 3. Quantization
table 9: Arm
## 4. Evaluation
table 8: Benchmark
## 5. Statistics
table 5: Looks at
## 6. Limits
## 7. Settings and versions
table 2: Setting
table 2: Component
"""

SCORECARD = """
# Evaluation of quantizations
## Verdict
## Abstract
## Set-up
## Methods
## Results
### GSM8K (grade-school mathematics)
### ARC-Challenge (science, multiple choice)
### Perplexity (WikiText-2, English)
### Perplexity (Japanese Wikipedia)
### Speed and memory
## Missing data and failures
### Notices
## Limitations
## Reproducibility
## References
"""


def outline(path: Path) -> list[str]:
    """Return the headings as written, tables as their first header and number of columns, figures as file names."""
    found = []
    lines = path.read_text(encoding="utf-8").splitlines()
    fenced = False
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        fenced ^= line.startswith("```")
        if fenced:
            continue
        if re.match("#{1,3} ", line):
            found.append(line)
        elif line.startswith("|") and below.startswith("| ---"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.append(f"table {len(cells)}: {cells[0]}")
        elif figure := re.match(r"!\[.*\]\((.*)\)$", line):
            found.append(f"figure {Path(figure[1]).stem}")
    return found


def bookmarks(entries: list[Any], level: int = 1) -> Iterator[str]:
    """Yield the headings of a PDF as a PDF reader lists them."""
    for entry in entries:
        if isinstance(entry, list):
            yield from bookmarks(entry, level + 1)
        else:
            yield f"{'#' * level} {entry['/Title']}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reports/quantization_analysis_report_en.md", REPORT),
        ("methodology/quantization_methodology_en.md", METHODOLOGY),
    ],
    ids=["report", "methodology"],
)
def test_headings_tables_and_figures_are_in_order(run: Path, name: str, expected: str) -> None:
    assert outline(run / name) == expected.strip().splitlines()


@pytest.mark.parametrize("name", ["quantization_analysis_report", "quantization_methodology"])
def test_both_languages_have_the_same_structure(run: Path, name: str) -> None:
    japanese, english = (outline(next(run.glob(f"*/{name}_{lang}.md"))) for lang in ("ja", "en"))
    assert [line.split()[0] for line in japanese] == [line.split()[0] for line in english]


@pytest.mark.parametrize(("lang", "table", "figure"), [("en", "Table", "Figure"), ("ja", "表", "図")])
def test_the_scorecard_is_built_like_a_paper(run: Path, lang: str, table: str, figure: str) -> None:
    reader = pypdf.PdfReader(run / f"scorecards/quantization_evaluation_{lang}.pdf")
    found, expected = list(bookmarks(reader.outline)), SCORECARD.strip().splitlines()
    assert [line.split()[0] for line in found] == [line.split()[0] for line in expected]
    if lang == "en":
        assert found == expected
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    # Captions are numbered without gaps.
    for word in (table, figure):
        numbers = [int(number) for number in re.findall(rf"{word} (\d+)\. ", text)]
        assert numbers == list(range(1, len(numbers) + 1)), word
        assert len(numbers) >= 5


def test_all_pages_have_numbers_and_all_but_the_first_a_running_head(run: Path) -> None:
    pages = pypdf.PdfReader(run / "scorecards/quantization_evaluation_en.pdf").pages
    for place, page in enumerate(pages, 1):
        text = page.extract_text()
        assert f"{place} / {len(pages)}" in text
        assert ("Evaluation of quantizations —" in text) == (place > 1)
